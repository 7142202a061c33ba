"""The compiler guard: its record passes as it was written, and any change fails with a message."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
SOURCE = """\
# pragma version 0.4.3
first: uint256
second: uint256
LEAST: constant(uint256) = 1


@external
def set(amount: uint256):
    assert amount >= LEAST
    self.first = amount
"""
ACKNOWLEDGE = "the compiled contracts changed; `make compiled` acknowledges it"


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The command, at work on a repository with one contract and one double."""
    spec = importlib.util.spec_from_file_location("compiled", ROOT / "tools" / "compiled.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    contracts = tmp_path / "contracts"
    (contracts / "testing").mkdir(parents=True)
    (contracts / "Box.vy").write_text(SOURCE)
    (contracts / "testing" / "Double.vy").write_text(SOURCE)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CONTRACTS", contracts)
    monkeypatch.setattr(module, "RECORD", tmp_path / "compiled.json")
    return module


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_main__record_just_written__passes(
    compiled: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compiled.main([]) == 0
    capsys.readouterr()
    assert compiled.main(["--check"]) == 0
    assert _lines(capsys) == []


def test_main__written__holds_contracts_and_no_double(compiled: ModuleType) -> None:
    compiled.main([])
    record = json.loads(compiled.RECORD.read_text())
    assert list(record) == ["Box"]
    assert record["Box"]["layout"]["storage_layout"]["second"]["slot"] == 1


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("LEAST: constant(uint256) = 1", "LEAST: constant(uint256) = 2", "Box.runtime.sha256"),
        (
            "first: uint256\nsecond: uint256",
            "second: uint256\nfirst: uint256",
            "Box.layout.storage_layout.first.slot: 0 -> 1",
        ),
    ],
)
def test_main__source_changed__fails_and_names_the_value(
    compiled: ModuleType, capsys: pytest.CaptureFixture[str], old: str, new: str, named: str
) -> None:
    compiled.main([])
    before = compiled.RECORD.read_text()
    capsys.readouterr()
    (compiled.CONTRACTS / "Box.vy").write_text(SOURCE.replace(old, new))
    assert compiled.main(["--check"]) == 1
    *changes, last = _lines(capsys)
    assert any(line.startswith(named) for line in changes), changes
    assert last == ACKNOWLEDGE
    assert compiled.RECORD.read_text() == before, "a check wrote"


def test_main__change_acknowledged__passes(compiled: ModuleType) -> None:
    compiled.main([])
    (compiled.CONTRACTS / "Box.vy").write_text(SOURCE.replace("= 1", "= 2"))
    assert compiled.main(["--check"]) == 1
    compiled.main([])
    assert compiled.main(["--check"]) == 0


@pytest.mark.parametrize("field", ["compiler", "settings", "creation", "runtime", "layout"])
def test_main__record_changed__fails(
    compiled: ModuleType, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    compiled.main([])
    record = json.loads(compiled.RECORD.read_text())
    record["Box"][field] = "another"
    compiled.RECORD.write_text(json.dumps(record))
    capsys.readouterr()
    assert compiled.main(["--check"]) == 1
    *changes, last = _lines(capsys)
    assert changes
    assert all(line.startswith(f'Box.{field}: "another" -> ') for line in changes), changes
    assert last == ACKNOWLEDGE


def test_main__contract_without_record__fails(
    compiled: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compiled.main(["--check"]) == 1
    assert _lines(capsys)[-1] == ACKNOWLEDGE


def test_main__source_that_does_not_compile__fails_and_keeps_the_record(
    compiled: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled.main([])
    before = compiled.RECORD.read_text()
    (compiled.CONTRACTS / "Box.vy").write_text(SOURCE.replace("self.first", "self.third"))
    assert compiled.main([]) == 1
    assert "third" in capsys.readouterr().err
    assert compiled.RECORD.read_text() == before
