"""The Silverback bot for real, in a process of its own, where Silverback is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from ringfence.evm.artifacts import ROOT
from tests.support.crash import Crash, crash_stage

pytestmark = pytest.mark.skipif(
    find_spec("silverback") is None,
    reason="Silverback is not installed: it is no dependency of the project, see the guide",
)

_SECONDS = 120.0
_MAINNET = 1
"""Silverback polls a local chain for ten seconds only."""

_CONFIG = """
name: bot
plugins:
  - name: foundry
node:
  ethereum:
    mainnet:
      uri: {url}
"""


class Bot:
    """A running bot; `lines` is all that it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()
        self._queue: Queue[str | None] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put(None)

    def says(self, words: str, within: float = _SECONDS) -> bool:
        """Wait for a line with these words; False when the time is up before."""
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left)
            except Empty:
                return False
            if line is None:
                pytest.fail("the bot ended: " + "".join(self.lines))
            self.lines.append(line)
            if words in line:
                return True
        return False


@contextmanager
def running(crash: Crash, folder: Path, websocket: bool) -> Iterator[Bot]:
    """Run the bot from a folder of its own: it has a configuration there, and leaves state."""
    for name in ("bots", "scripts", "ringfence"):
        (folder / name).symlink_to(ROOT / name)
    config = _CONFIG.format(url=crash.engine.url)
    if websocket:
        config += f"      ws_uri: {crash.engine.url.replace('http', 'ws')}\n"
    (folder / "ape-config.yaml").write_text(config)
    command = Path(sys.executable).with_name("silverback")
    process = subprocess.Popen(
        [command, "run", "keeper", "--network", "ethereum:mainnet:node", "--account", "TEST::0"],
        cwd=folder,
        env={**os.environ, "RINGFENCE_RECORD": str(crash.record), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Bot(process)
    finally:
        process.kill()
        process.wait(_SECONDS)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("websocket", [False, True], ids=["polling", "websocket"])
def test_bot__crash__liquidates_and_ends_when_told(tmp_path: Path, websocket: bool) -> None:
    with (
        crash_stage(tmp_path, chain_id=_MAINNET) as crash,
        running(crash, tmp_path, websocket) as bot,
    ):
        assert bot.says("transitioning to runtime"), bot.lines
        runner = "WebsocketRunner" if websocket else "PollingRunner"
        assert any(f"Using {runner}" in line for line in bot.lines), bot.lines
        keeper = crash.engine.accounts[0].address
        held = crash.stage.usdc.balanceOf(keeper)
        crash.move_pool(180)
        crash.move_feed(180)
        for _ in range(20):
            crash.mine()
            if bot.says("sent: 1", within=10):
                break
        else:
            pytest.fail("nothing was sent: " + "".join(bot.lines))
        crash.mine()
        assert crash.stage.usdc.balanceOf(keeper) > held
        assert crash.long.vault.is_healthy(crash.long_id)
        bot.process.terminate()
        assert bot.process.wait(_SECONDS) == 0
