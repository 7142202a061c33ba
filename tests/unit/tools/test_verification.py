"""The page of the verification's figures says whether they are of the sources as they stand."""

from __future__ import annotations

import pytest

from tools import verification

STALE = "The sources have changed since"


def test_page__sources_as_they_were__says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    read = verification._read
    monkeypatch.setattr(verification, "digest_of_sources", lambda *_: "as measured")
    monkeypatch.setattr(verification, "_read", lambda name: read(name) | {"sources": "as measured"})
    assert STALE not in verification.page()


def test_page__a_contract_that_changed__says_so_of_every_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "digest_of_sources", lambda *_: "another")
    assert verification.page().count(STALE) == 3
