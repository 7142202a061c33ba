"""Tasks on a real Dask scheduler with two workers, and what is said when they are gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.work.cluster import Cluster
from ringfence.risk.work.tasks import Cache, packed, run_tasks
from tests.support.dask import Dask, wait_for_workers
from tests.support.risk_tasks import DRAW, NOTED, SEED, expected, scales


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    running = Dask(tmp_path)
    yield running
    running.end()


def test_run_tasks__one_of_two_workers_killed__same_bytes(dask: Dask) -> None:
    address = dask.scheduler()
    victim, _ = dask.worker(address), dask.worker(address)
    wait_for_workers(address, 2)
    inputs = scales(40, seconds=0.05)
    work = run_tasks(DRAW, inputs, SEED, Cluster(address), print)
    found = [packed(next(work)) for _ in range(5)]
    victim.kill()
    found += [packed(one) for one in work]
    assert found == expected(40)


def test_run_tasks__all_workers_killed__one_line_and_finished_work_is_kept(dask: Dask) -> None:
    address = dask.scheduler()
    victim = dask.worker(address)
    wait_for_workers(address, 1)
    cache = Cache(dask.directory / "cache", print)
    inputs = scales(40, seconds=0.05, notes=str(dask.directory / "notes"))
    work = run_tasks(NOTED, inputs, SEED, Cluster(address), print, cache)
    first = [packed(next(work)) for _ in range(3)]
    victim.kill()
    with pytest.raises(RiskError, match=f"scheduler at {address} has no worker; start one"):
        list(work)
    kept = len(list(cache.directory.iterdir()))
    assert kept >= 3
    dask.worker(address)
    wait_for_workers(address, 1)
    work = run_tasks(NOTED, inputs, SEED, Cluster(address), print, cache)
    found = [packed(one) for one in work]
    assert found == expected(40)
    assert found[:3] == first


def test_run_tasks__scheduler_killed__one_line_with_its_address(dask: Dask) -> None:
    address = dask.scheduler()
    dask.worker(address)
    wait_for_workers(address, 1)
    said: list[str] = []
    inputs = scales(40, seconds=0.05)
    work = run_tasks(DRAW, inputs, SEED, Cluster(address, patience=1), said.append)
    assert packed(next(work)) == expected(1)[0]
    dask.processes[0].kill()
    with pytest.raises(RiskError, match=f"no Dask scheduler answers at {address} within 1 s"):
        list(work)
    assert len(said) == 1


def test_open__no_scheduler__one_line_with_its_address() -> None:
    with (
        pytest.raises(RiskError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 "),
        Cluster("tcp://127.0.0.1:9", patience=1).open(),
    ):
        pass


def test_open__no_address__one_line() -> None:
    with (
        pytest.raises(RiskError, match="no Dask scheduler answers at nowhere://x"),
        Cluster("nowhere://x", patience=1).open(),
    ):
        pass
