"""Tokens by name, minted to a trader who lets a vault spend."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.evm import Contract, Engine, load
from tests.support.doubles import SUPPLY, DeployToken


@pytest.fixture
def trader(engine: Engine) -> Any:
    return engine.accounts[1]


@pytest.fixture
def vault(engine: Engine) -> Any:
    """Stands for a vault: an account that may spend the trader's tokens."""
    return engine.accounts[2]


@pytest.fixture
def deploy_token(engine: Engine, trader: Any, vault: Any) -> DeployToken:
    def deploy(stem: str, decimals: int = 18, *more: Any) -> Contract:
        token = engine.deploy(load(stem), "Token", "TKN", decimals, *more)
        token.mint(trader, SUPPLY)
        token.approve(vault, 400_000, sender=trader)
        return token

    return deploy
