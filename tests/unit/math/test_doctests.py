"""The examples in the mirror's docstrings, the design's worked case among them."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import ringfence.math

MODULES = [found.name for found in pkgutil.iter_modules(ringfence.math.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings__their_examples__come_out_as_written(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"ringfence.math.{name}"))
    assert results.failed == 0


def test_docstrings__the_worked_case__is_among_them() -> None:
    module = importlib.import_module("ringfence.math.liquidation")
    assert doctest.testmod(module).attempted >= 5
