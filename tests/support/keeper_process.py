"""The keeper's command in a process of its own, its output in files."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ringfence.evm.artifacts import ROOT

SPAWNED = multiprocessing.get_context("spawn")
"""A new interpreter for each life, as people start it: it imports for seconds."""
FORKED = multiprocessing.get_context("forkserver")
"""Forked off a process that has imported all, so that it starts in a moment."""
FORKED.set_forkserver_preload(
    [
        *("ape._cli", "ape_ethereum.ecosystem", "ape_foundry.provider", "ape_node.provider"),
        *("ape_test.provider", "ape_vyper", "ringfence.keeper.run", "ringfence.sim.report"),
        *("scripts._client", "scripts._keeper_check", "scripts._keeper_replay"),
        *("scripts._keeper_show", "scripts._keeper_stress"),
    ]
)

Beat = dict[str, Any]

_SECONDS = 240.0
"""How long anything is waited for: where all is busy Ape takes minutes to start."""
_POLL = 0.1


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _run(words: list[str], output: Path, errors: Path, environment: dict[str, str]) -> None:
    """Be `ape WORDS`."""
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    for path, mode, number in ((output, "wb", 1), (errors, "ab", 2)):
        with path.open(mode) as file:
            os.dup2(file.fileno(), number)
    from ape._cli import cli

    sys.exit(cli(words))


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
    context: BaseContext = SPAWNED
    lives: int = 0
    _process: BaseProcess | None = None

    @property
    def output(self) -> Path:
        return self.folder / f"{self.name}.{self.lives}.jsonl"

    @property
    def errors(self) -> Path:
        return self.folder / f"{self.name}.stderr"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def beats(self) -> list[Beat]:
        lines = self.output.read_text().split("\n")[:-1] if self.output.exists() else []
        return [json.loads(line) for line in lines]

    def start(self) -> None:
        self.lives += 1
        words = ["run", "keeper", "run", "--yes", "--json", *self.words]
        words += ["--listen", str(self.port)]
        self._process = self.context.Process(
            target=_run, args=(words, self.output, self.errors, dict(os.environ))
        )
        # The process gets this one's path, off which Ape takes the project with each script.
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        self._process.start()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.join(_SECONDS)

    def stop(self) -> int | None:
        """End it by SIGTERM; return its exit code."""
        assert self._process is not None
        self._process.terminate()
        self._process.join(_SECONDS)
        return self._process.exitcode

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
