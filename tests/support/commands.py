"""The commands trade, lend and govern run in process, over the desk of `client`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ringfence.client import Ringfence, Sender
from scripts._client import Desk as CommandDesk
from tests.support.client import NEWCOMER, Desk, desk, standing_desk_lens, standing_stage
from tests.support.market import CURATOR, GUARDIAN, LENDER, STRANGER, TRADER

ACCOUNTS = {
    "newcomer": NEWCOMER,
    "trader": TRADER,
    "lender": LENDER,
    "stranger": STRANGER,
    "curator": CURATOR,
    "guardian": GUARDIAN,
}


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where commands are typed."""

    desk: Desk
    ringfence: Ringfence

    def run(self, cli: click.Command, *words: str, typed: str | None = None) -> Result:
        """Run a command, by the newcomer unless it names an --account."""
        given = CommandDesk(self.ringfence, self._sender)
        # Wide enough for every table.
        return CliRunner(mix_stderr=False).invoke(
            cli, list(words), obj=given, input=typed, env={"COLUMNS": "200"}
        )

    def does(self, cli: click.Command, *words: str) -> str:
        """Run a command that must succeed, and return what it prints."""
        result = self.run(cli, *words)
        assert result.exit_code == 0, result.stderr or result.output or result.exception
        return result.stdout

    def tells(self, cli: click.Command, *words: str) -> Any:
        """Run a command that must succeed, and return its JSON."""
        return json.loads(self.does(cli, *words, "--json"))

    def refuses(self, cli: click.Command, *words: str) -> str:
        """Run a command that must fail: one line, exit code 1, no traceback, nothing changed."""
        before = self._picture()
        result = self.run(cli, *words)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit), result.exception
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("error: ")
        assert "Traceback" not in result.output
        assert self._picture() == before, "a refused command changed something"
        return lines[0].removeprefix("error: ")

    def _sender(self, alias: str | None) -> Sender:
        return self.desk.sender(ACCOUNTS[alias or "newcomer"])

    def _picture(self) -> list[Any]:
        desk = self.desk
        wealth = [desk.stage.wealth(account) for account in ACCOUNTS.values()]
        ids = desk.long.position_ids()
        return [*wealth, desk.long.state(), desk.long.positions(ids), len(desk.node.journal)]


@pytest.fixture
def terminal(desk: Desk, tmp_path: Path) -> Terminal:
    """A terminal for one test."""
    return Terminal(desk, Ringfence.open(desk.node, desk.record(tmp_path)))


__all__ = ["Terminal", "desk", "standing_desk_lens", "standing_stage", "terminal"]
