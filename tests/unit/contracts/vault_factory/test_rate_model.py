"""VaultFactory asks a rate model about an idle market and about one that is lent out."""

from __future__ import annotations

import pytest

from tests.support.factory import Draft

FAILS_WITHOUT = {"debt": "6024", "cash": "6004"}
"""PUSH1 where the argument stands in the call data."""


@pytest.mark.parametrize("argument", FAILS_WITHOUT)
def test_create_vault__rate_model_fails_at_an_end__reverts(draft: Draft, argument: str) -> None:
    # CALLDATALOAD PUSH1 14 JUMPI, revert; at 14: return 1.
    code = FAILS_WITHOUT[argument] + "35600a575f5ffd" + "00" + "5b60015f5260205ff3"
    draft.engine.set_code(draft.rate_model, bytes.fromhex(code))
    draft.refuses("rate model does not answer")
    draft.engine.set_code(draft.rate_model, bytes.fromhex("60015f5260205ff3"))
    draft.vault()
