"""The record's file: whole or not at all, and read with one clear line when it is not a record."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ringfence.deploy import FileError, Record, RecordStore, record_path, source_commit
from tests.support.deployment import ROOT, Deployment, markets


def test_load__no_file__is_an_empty_record(tmp_path: Path) -> None:
    record = RecordStore(tmp_path / "none.json").load(7)
    assert record == Record(chain_id=7)
    assert record.vaults == {}


def test_save__then_load__is_the_same(deployment: Deployment) -> None:
    record = deployment.deploy(markets())
    deployment.store.save(record)
    assert deployment.store.load(record.chain_id) == record


def test_save__written__leaves_no_other_file(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "deployments" / "7.json")
    store.save(Record(chain_id=7))
    store.save(Record(chain_id=7))
    assert [path.name for path in store.path.parent.iterdir()] == ["7.json"]
    assert json.loads(store.path.read_text())["chain_id"] == 7


def test_save__cannot_replace__old_record_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RecordStore(tmp_path / "7.json")
    store.save(Record(chain_id=7))

    def fail(_self: Path, _target: Path) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        store.save(Record(chain_id=8))
    assert store.load(7) == Record(chain_id=7)
    assert [path.name for path in tmp_path.iterdir()] == ["7.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"chain_id": 7, "contract": {}}', "\xff"])
def test_load__not_a_record__one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "7.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(FileError, match=r"is not a deployment record: .*; restore it from git"):
        RecordStore(path).load(7)


def test_address__not_deployed__says_so() -> None:
    with pytest.raises(FileError, match="factory is not deployed; deploy it first"):
        Record(chain_id=7).address("factory")


def test_record_path__rehearsal__is_ignored_by_git() -> None:
    for rehearsal in (False, True):
        path = record_path(ROOT, 31_337, rehearsal=rehearsal)
        ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", str(path)])
        assert (ignored.returncode == 0) is rehearsal


def test_source_commit__repository__is_its_head() -> None:
    head = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert source_commit(ROOT).removesuffix("-dirty") == head.stdout.strip()


def test_source_commit__no_repository__is_unknown(tmp_path: Path) -> None:
    assert source_commit(tmp_path) == "unknown"
