"""Tasks on processes and on a cluster: one result, whoever computes it and whoever dies."""

from __future__ import annotations

import doctest
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.prices.paths import Gbm, Merton
from ringfence.risk.work import tasks as work
from ringfence.risk.work.tasks import Cache, Processes, Task, canonical, packed, run_tasks
from tests.support.risk_tasks import (
    DIES,
    DRAW,
    FAILS,
    NOTED,
    SEED,
    THREAD,
    Thread,
    expected,
    scales,
)

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("workers", [1, 2])
def test_run_tasks__any_number_of_workers__same_bytes_in_order(workers: int) -> None:
    # The first is the last to finish.
    inputs = [{"scale": scale, "seconds": 0.3 * (scale == 0)} for scale in range(40)]
    found = [packed(one) for one in run_tasks(DRAW, inputs, SEED, Processes(workers), print)]
    assert found == expected(40)


def test_run_tasks__project_off_the_path_as_ape_has_it__workers_find_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one and Path(one) != ROOT])
    found = run_tasks(DRAW, scales(1), SEED, Processes(1), print)
    assert [packed(one) for one in found] == expected(1)


def test_run_tasks__stopped_and_run_again__does_only_what_is_left(tmp_path: Path) -> None:
    notes, cache = tmp_path / "notes", Cache(tmp_path / "cache", print)
    inputs = scales(6, notes=str(notes))
    first = run_tasks(NOTED, inputs[:3], SEED, THREAD, print, cache)
    assert len(list(first)) == 3
    again = run_tasks(NOTED, inputs, SEED, THREAD, print, cache)
    assert [packed(one) for one in again] == expected(6)
    assert sorted(notes.read_text().split()) == list("012345")


def test_run_tasks__damaged_entry__is_done_again_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    cache = Cache(tmp_path, said.append)
    list(run_tasks(DRAW, scales(3), SEED, THREAD, said.append, cache))
    damaged = sorted(tmp_path.iterdir())[1]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])
    found = run_tasks(DRAW, scales(3), SEED, THREAD, said.append, cache)
    assert [packed(one) for one in found] == expected(3)
    assert said == [f"{damaged} is damaged; its task is done again"]
    assert damaged.read_bytes() == whole


def test_run_tasks__other_seed_task_or_input__is_other_work(tmp_path: Path) -> None:
    cache = Cache(tmp_path, print)
    for task, scale, seed in (
        (DRAW, 1, SEED), (DRAW, 1, 43), (DRAW, 2, SEED), (Task("other", DRAW.call), 1, SEED),
    ):  # fmt: skip
        list(run_tasks(task, [{"scale": scale}], seed, THREAD, print, cache))
    assert len(list(tmp_path.iterdir())) == 4


class OtherCode(ThreadPoolExecutor):
    """A worker whose sources are not those of who sends it work."""

    def submit(self, call: Callable[..., Any], *given: Any, **more: Any) -> Future[Any]:
        def elsewhere() -> Any:
            with mock.patch(
                "ringfence.risk.work.tasks.digest_of", lambda module: f"other {module}"
            ):
                return call(*given, **more)

        return super().submit(elsewhere)


def test_run_tasks__worker_with_other_code__refused_and_nothing_kept(tmp_path: Path) -> None:
    elsewhere = Thread(OtherCode)
    with pytest.raises(RiskError, match="a worker has other code"):
        list(run_tasks(DRAW, scales(1), SEED, elsewhere, print, Cache(tmp_path, print)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["numpy", "numba", "scipy", "python"])
def test_run_tasks__other_versions__are_other_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    cache = Cache(tmp_path, print)
    list(run_tasks(DRAW, scales(1), SEED, THREAD, print, cache))
    monkeypatch.setitem(work._VERSIONS, library, "0")
    list(run_tasks(DRAW, scales(1), SEED, THREAD, print, cache))
    assert len(list(tmp_path.iterdir())) == 2


def test_canonical__code_of_a_dataclass_changed__is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = canonical({"x": Gbm(0.9)})
    monkeypatch.setattr(work, "digest_of", lambda module: f"changed {module}")
    assert canonical({"x": Gbm(0.9)}) != before


def test_run_tasks__worker_killed__finished_work_is_kept_and_the_rest_done_anew(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    inputs = scales(8, notes=str(tmp_path / "notes"), dies_at=5, once=str(tmp_path / "died"))
    found = run_tasks(DIES, inputs, SEED, Processes(1), said.append)
    assert [packed(one) for one in found] == expected(8)
    assert said == [
        "a worker died; finished work is kept, the rest is done once more by new workers"
    ]
    assert (tmp_path / "notes").read_text().split() == list("01234567")


def test_run_tasks__worker_killed_again__refused_and_finished_work_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", print)
    inputs = scales(8, notes=str(tmp_path / "notes"), dies_at=5)
    with pytest.raises(
        RiskError, match="workers died twice, last at task 5; finished work is kept"
    ):
        list(run_tasks(DIES, inputs, SEED, Processes(1), print, cache))
    assert len(list(cache.directory.iterdir())) == 5


def test_run_tasks__task_fails__its_own_error(tmp_path: Path) -> None:
    inputs = scales(3, notes=str(tmp_path / "notes"), fails_at=1)
    with pytest.raises(ZeroDivisionError, match="as told"):
        list(run_tasks(FAILS, inputs, SEED, THREAD, print))


def test_run_tasks__closed_early__ends_what_has_not_begun(tmp_path: Path) -> None:
    taken = 0

    def endless() -> Iterator[dict[str, object]]:
        nonlocal taken
        while True:
            yield {"scale": taken, "seconds": 0.01, "notes": str(tmp_path / "notes")}
            taken += 1

    work = run_tasks(NOTED, endless(), SEED, THREAD, print)
    assert packed(next(work)) == expected(1)[0]
    work.close()
    assert taken <= 32
    assert len((tmp_path / "notes").read_text().split()) < 10


def test_canonical__arrays__by_content() -> None:
    one = canonical({"x": np.arange(3)})
    assert one == canonical({"x": np.arange(6)[:3]})
    assert len({one, canonical({"x": np.arange(3.0)}), canonical({"x": np.arange(4)})}) == 3


def test_canonical__dataclasses__by_type_and_fields() -> None:
    forms = {canonical({"x": one}) for one in (Gbm(0.9), Gbm(0.8), Merton(0.9, 0, 0, 0), Twin(0.9))}
    assert len(forms) == 4
    assert canonical(Gbm(0.9)) in canonical({"x": Gbm(0.9)})


@dataclass(frozen=True)
class Twin:
    """What has the fields of a Gbm is not one."""

    volatility: float
    drift: float = 0.0


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_canonical__no_form__refused(value: object) -> None:
    with pytest.raises(RiskError, match="no canonical form"):
        canonical({"x": value})


def test_docstrings__examples__hold() -> None:
    found = doctest.testmod(work)
    assert (found.failed, found.attempted) == (0, 2)
