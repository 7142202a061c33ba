"""The command choose on one process, on two, and on a Dask scheduler with two workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringfence.risk.answers.judge import Law
from ringfence.risk.prices.models import DEFAULT_MODELS
from ringfence.risk.prices.stress import stress_days
from scripts import _risk_choose
from scripts._risk_choose import choose
from tests.support.dask import Dask, wait_for_workers

SMALL = (
    "markets/weth-usdc-conservative.toml", "--step", "3600", "--delay", "0", "--refill", "1",
    "--budget", "0.3", "--bonus", "0.01", "--positions", "8", "--json",
)  # fmt: skip
LAWS = {
    "kou": Law(DEFAULT_MODELS["kou"], 2_500),
    "hawkes": Law(DEFAULT_MODELS["hawkes"], 2_500),
    "crash": Law(stress_days()["2020-03-12"], 2, given=True),
}
ROOT = Path(__file__).parents[4]


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    running = Dask(tmp_path)
    yield running
    running.end()


def said(*words: str) -> bytes:
    result = CliRunner(mix_stderr=False).invoke(choose, [*SMALL, *words])
    assert result.exit_code == 0, result.stderr or result.exception
    return result.stdout_bytes


@pytest.mark.timeout(900)
def test_choose__one_worker_two_or_a_cluster__same_bytes(
    dask: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(_risk_choose, "_laws", lambda _paths, _stress_paths: LAWS)
    address = dask.scheduler()
    dask.worker(address)
    dask.worker(address)
    wait_for_workers(address, 2)
    alone = said("--workers", "1")
    assert alone.startswith(b'{"market": "weth-usdc-conservative"')
    assert said("--workers", "2") == alone
    assert said("--scheduler", address) == alone
