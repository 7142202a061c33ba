"""Every number on a risk command's line: refused in one line, or used for what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from math import inf, nextafter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ringfence.risk.prices.paths import Gbm
from scripts import _risk_choose, _risk_joint, _risk_loss
from scripts._risk_setup import Number
from scripts.risk import cli
from tests.support.risk_tasks import THREAD

ROOT = Path(__file__).parents[4]
LONG = str(ROOT / "markets" / "weth-usdc-conservative.toml")
CHAIN = ("--chain", str(ROOT / "markets" / "chains" / "1.toml"))
DRAWN = ("--step", "43200", "--model", "gbm:volatility=2")
FEW = (*DRAWN, "--paths", "60", "--batch", "30", *CHAIN)
QUICK = {
    "allocate": (LONG, *FEW, "--paths", "400", "--batch", "400"),
    "choose": (LONG, "--bonus", "0.01", "--paths", "2000", "--step", "43200", *CHAIN),
    "contagion": (LONG, "--positions", "50", "--blocks", "2"),
    "cross": (LONG, *FEW, "--accounts", "5"),
    "loss": (LONG, *FEW, "--positions", "20"),
    "rounds": ("0x" + "11" * 20, "--rpc", "http://127.0.0.1:9"),
    "trader": (LONG, *DRAWN, "--paths", "60", "--leverage", "3", "--price", "2000", *CHAIN),
}


def numbers() -> Iterator[tuple[str, click.Option, Number]]:
    for name, command in sorted(cli.commands.items()):
        for option in command.params:
            if isinstance(option.type, Number):
                yield name, option, option.type


OPTIONS = [pytest.param(*one, id=f"{one[0]}{one[1].opts[0]}") for one in numbers()]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (_risk_choose, _risk_joint, _risk_loss):
        monkeypatch.setattr(module, "workers_of", lambda _workers, _scheduler: THREAD)
    monkeypatch.setattr(_risk_choose, "DEFAULT_MODELS", {"gbm": Gbm(2.0)})
    monkeypatch.setattr(_risk_choose, "stress_days", dict)


def run(name: str, *words: str) -> Result:
    return CliRunner(mix_stderr=False).invoke(cli, [name, *QUICK[name], *words])


def refused(result: Result) -> str:
    """Return the one line that a command ended with, having written nothing."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert not result.stdout
    assert not list(Path().iterdir())
    [line] = result.stderr.splitlines()
    return line


def test_commands__any_number__is_of_the_type_that_refuses() -> None:
    loose = (click.types.FloatParamType, click.types.IntParamType)
    options = [one for command in cli.commands.values() for one in command.params]
    assert len(OPTIONS) > 60
    assert not [one.name for one in options if isinstance(one.type, loose)]


@pytest.mark.parametrize(("name", "option", "kind"), OPTIONS)
def test_commands__no_number_of_the_range__one_line_and_nothing_written(
    name: str, option: click.Option, kind: Number
) -> None:
    names = {one.name for one in cli.commands[name].params}
    keeping = [f"--{word}={word}" for word in ("report", "cache", "out") if word in names]
    too_large = ("inf", "1e308", "1e999") if kind.high < inf else ()
    for text in (*too_large, "nan", "-nan", "sNaN", "-inf", "-1", "-1e-9", "", "x", "1,5"):
        line = refused(run(name, *keeping, f"{option.opts[0]}={text}", "--json"))
        assert line.startswith(f"error: {option.opts[0]} is {text!r} (limits: ")
        assert line.endswith("number between")


def ends(kind: Number) -> list[str]:
    """Return the ends of a range that hold no more work than usual: all but large counts."""
    low, high = kind.low, kind.high
    if kind.kind is int:
        return [str(low), str(high)] if low == 0 else []
    if kind.kind is Decimal:
        return [str(low + Decimal("1e-18") * kind.above), str(high)]
    inside = nextafter(low, high) if kind.above else low
    return [str(inside), str(nextafter(high, low) if kind.below else high)]


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        pytest.param(name, option, text, id=f"{name}{option.opts[0]}={text}")
        for name, option, kind in numbers()
        if name != "rounds"
        for text in ends(kind)
    ],
)
def test_commands__ends_of_the_range__one_line_or_figures(
    name: str, option: click.Option, text: str
) -> None:
    result = run(name, f"{option.opts[0]}={text}", "--json")
    if result.exit_code:
        refused(result)
        return

    def no_number(text: str) -> None:
        pytest.fail(f"{text} among the figures of {option.opts[0]}")

    assert json.loads(result.stdout, parse_constant=no_number)
