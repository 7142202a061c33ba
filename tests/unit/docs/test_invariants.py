"""The generator of docs/invariants.md: what it finds, and what it refuses."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]

LIST = """
[groups]
DRY = "Dryness"
[DRY-1]
says = "Nothing gets wet."
bound = "A drop is allowed."
[DRY-2]
says = "Umbrellas open."
waits = "Nobody owns one."
"""
TEST = 'def test_rain__falls__runs_off(): assert dry, "DRY-{number}: got wet"\n'


@pytest.fixture(scope="module")
def invariants() -> ModuleType:
    spec = importlib.util.spec_from_file_location("invariants", ROOT / "tools" / "invariants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["invariants"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository: a list of two and a test of one of them."""
    for folder in ("docs", "tests", "verification"):
        (tmp_path / folder).mkdir()
    (tmp_path / "verification" / "invariants.toml").write_text(LIST)
    (tmp_path / "tests" / "test_rain.py").write_text(TEST.format(number=1))
    monkeypatch.setattr(sys, "argv", ["invariants.py"])
    return tmp_path


def test_main__every_id_tested_or_explained__writes_the_page(
    invariants: ModuleType, house: Path
) -> None:
    assert invariants.main(house) == 0
    page = (house / "docs" / "invariants.md").read_text()
    for text in (
        "## Dryness",
        "Nothing gets wet.",
        "What holds to the unit: A drop is allowed.",
        "[test_rain](../tests/test_rain.py)::test_rain__falls__runs_off | got wet |",
        "**No test yet.** Nobody owns one.",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "DRY-1 has no test: open an assertion's message with its id"),
        (TEST.format(number=9), "tests/test_rain.py::test_rain__falls__runs_off asserts DRY-9"),
        (TEST.format(number=2), "DRY-2 is asserted: take its `waits` out"),
        ('def helper(): assert dry, "DRY-1: unused"\n', "DRY-1 has no test"),
    ],
    ids=["no test", "unknown id", "no longer waits", "helper that nothing calls"],
)
def test_main__list_and_tests_disagree__fails_and_says_where(
    invariants: ModuleType,
    house: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    problem: str,
) -> None:
    (house / "tests" / "test_rain.py").write_text(source)
    assert invariants.main(house) == 1
    assert problem in capsys.readouterr().out
    assert not (house / "docs" / "invariants.md").exists()


def test_main__check__refuses_a_stale_page(
    invariants: ModuleType, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invariants.main(house) == 0
    monkeypatch.setattr(sys, "argv", ["invariants.py", "--check"])
    assert invariants.main(house) == 0
    page = house / "docs" / "invariants.md"
    page.write_text(page.read_text() + "by hand\n")
    assert invariants.main(house) == 1


@pytest.mark.parametrize(
    "source",
    [
        'def test_x(): assert dry, f"DRY-1: {one} got wet"',
        'def test_x(): require(dry, "DRY-1: got wet")',
        'def test_x(): check(dry, message=f"DRY-1: {one}")',
        'def test_x(): assert dry, "DRY-1"',
        'class Cloud:\n  def burst(self): assert dry, "DRY-1: wet"\ndef test_x(): cloud.burst()',
    ],
    ids=["f-string", "helper's argument", "keyword", "id alone", "method that a test reaches"],
)
def test_find_assertions__every_way_to_say_it__is_found(
    invariants: ModuleType, house: Path, source: str
) -> None:
    (house / "tests" / "test_rain.py").write_text(source)
    assert [one.id for one in invariants.find_assertions(house)] == ["DRY-1"]


@pytest.mark.parametrize(
    "source",
    ['def test_x():\n  """DRY-1: said only."""', 'def test_x(): assert dry, "as DRY-1: says"'],
    ids=["docstring", "in the middle"],
)
def test_find_assertions__id_that_opens_no_message__is_not_counted(
    invariants: ModuleType, house: Path, source: str
) -> None:
    (house / "tests" / "test_rain.py").write_text(source)
    assert invariants.find_assertions(house) == []
