"""The keeper as people start it: the command in a process of its own, its output in files."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringfence.evm.artifacts import ROOT

Beat = dict[str, Any]

_SECONDS = 240.0
"""How long anything is waited for: Ape alone takes 7 s to start, minutes where all is busy."""
_POLL = 0.1


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@dataclass(slots=True)
class KeeperProcess:
    """One keeper; `words` are the options after `ape run keeper run --yes --json`.

    It can be started again: `folder` keeps what all its lives have printed, `beats` are all of
    those of the last one.
    """

    folder: Path
    words: tuple[str, ...]
    name: str = "keeper"
    port: int = field(default_factory=free_port)
    lives: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.folder / f"{self.name}.{self.lives}.jsonl"

    @property
    def errors(self) -> Path:
        return self.folder / f"{self.name}.stderr"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def beats(self) -> list[Beat]:
        lines = self.output.read_text().split("\n")[:-1] if self.output.exists() else []
        return [json.loads(line) for line in lines]

    def start(self) -> None:
        self.lives += 1
        ape = str(Path(sys.executable).parent / "ape")
        command = [ape, "run", "keeper", "run", "--yes", "--json", *self.words]
        command += ["--listen", str(self.port)]
        with self.output.open("wb") as output, self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
            )

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_SECONDS)

    def stop(self) -> int:
        """End it by SIGTERM; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_SECONDS)

    def health(self) -> tuple[int, dict[str, Any]]:
        """Return what /health says: the status and the body; 0 where nothing listens."""
        try:
            url = f"http://127.0.0.1:{self.port}/health"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Wait until it has done something; fail when it ends before, or takes too long."""
        deadline = time.monotonic() + _SECONDS
        while not done():
            if not self.alive or time.monotonic() > deadline:
                told = "goes on" if self.alive else "has ended"
                raise AssertionError(f"no {what}, and it {told}: {self.errors.read_text()[-2000:]}")
            time.sleep(_POLL)

    def wait_beat(self, wanted: Callable[[Beat], Any], what: str) -> Beat:
        """Wait for a beat of this life that is `wanted`, and return the first such."""
        found: list[Beat] = []

        def look() -> bool:
            found.extend([beat for beat in self.beats if wanted(beat)][:1])
            return bool(found)

        self.wait(look, what)
        return found[0]
