"""The catalogue: no class without a test, no test without its two runs, the page up to date."""

from __future__ import annotations

import importlib
import inspect

import pytest

from ringfence.evm.artifacts import ROOT
from tests.unit.contracts.attacks.catalogue import CLASSES, collect
from tools.attacks import PAGE, render


@pytest.mark.parametrize("title", CLASSES)
def test_classes__each__has_a_test(title: str) -> None:
    assert any(attack.title == title for attack in collect().values())


def test_attacks__each__is_run_on_the_double_and_on_the_real_contract() -> None:
    for attack in collect().values():
        path, name = attack.test.split("::")
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        assert {"broken", "real"} <= set(inspect.signature(getattr(module, name)).parameters), name


def test_page__as_committed__is_what_the_catalogue_says() -> None:
    assert (ROOT / PAGE).read_text() == render(), "stale: python -m tools.attacks"
