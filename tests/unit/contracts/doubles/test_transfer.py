"""The tokens' transfers: what every one of them does, and each one's trick."""

from __future__ import annotations

from typing import Any

import pytest

from ringfence.evm import Contract, Engine, Reverted, load
from tests.support.doubles import SUPPLY, DeployToken
from tests.support.feeds import NOBODY

PLAIN = ["TestToken", "NoReturnToken", "BlacklistingToken", "FalseReturningToken"]
PLAIN += ["ReenteringToken", "PermitToken"]


# What all of them do


@pytest.mark.parametrize("stem", PLAIN)
@pytest.mark.parametrize("decimals", [2, 6, 8, 18])
def test_transfer__balance_suffices__moves_exactly_so_much(
    deploy_token: DeployToken, trader: Any, vault: Any, stem: str, decimals: int
) -> None:
    token = deploy_token(stem, decimals)

    receipt = token.transfer(vault, 300_000, sender=trader)

    assert receipt.value is (None if stem == "NoReturnToken" else True)
    assert token.decimals() == decimals
    assert (token.name(), token.symbol()) == ("Token", "TKN")
    assert token.balanceOf(trader) == SUPPLY - 300_000
    assert token.balanceOf(vault) == 300_000
    assert token.totalSupply() == SUPPLY


@pytest.mark.parametrize("stem", PLAIN)
def test_transfer_from__allowance_suffices__moves_and_counts_down(
    deploy_token: DeployToken, trader: Any, vault: Any, stem: str
) -> None:
    token = deploy_token(stem)

    receipt = token.transferFrom(trader, vault, 300_000, sender=vault)

    assert receipt.value is (None if stem == "NoReturnToken" else True)
    assert token.allowance(trader, vault) == 100_000
    assert token.balanceOf(trader) == SUPPLY - 300_000
    assert token.balanceOf(vault) == 300_000


@pytest.mark.parametrize("stem", [stem for stem in PLAIN if stem != "FalseReturningToken"])
def test_transfer__too_much__reverts(
    deploy_token: DeployToken, trader: Any, vault: Any, stem: str
) -> None:
    token = deploy_token(stem)

    with pytest.raises(Reverted, match=r"^balance too low$"):
        token.transfer(vault, SUPPLY + 1, sender=trader)
    with pytest.raises(Reverted, match=r"^allowance too low$"):
        token.transferFrom(trader, vault, 400_001, sender=vault)
    token.approve(vault, 2**256 - 1, sender=trader)
    with pytest.raises(Reverted, match=r"^balance too low$"):
        token.transferFrom(trader, vault, SUPPLY + 1, sender=vault)
    assert token.balanceOf(trader) == SUPPLY


def test_transfer_from__allowance_without_end__never_runs_down(
    deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token = deploy_token("TestToken")
    token.approve(vault, 2**256 - 1, sender=trader)

    token.transferFrom(trader, vault, 1, sender=vault)

    assert token.allowance(trader, vault) == 2**256 - 1


def test_transfer__to_oneself__changes_nothing(deploy_token: DeployToken, trader: Any) -> None:
    token = deploy_token("TestToken")

    token.transfer(trader, SUPPLY, sender=trader)

    assert token.balanceOf(trader) == token.totalSupply() == SUPPLY


def test_mint__supply_would_overflow__reverts(deploy_token: DeployToken, trader: Any) -> None:
    token = deploy_token("TestToken")

    with pytest.raises(Reverted):
        token.mint(trader, 2**256 - SUPPLY)
    token.mint(trader, 2**256 - 1 - SUPPLY)
    assert token.totalSupply() == 2**256 - 1


# Tricks


def test_transfer__false_returning_token_and_too_much__false_and_nothing_moves(
    deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token = deploy_token("FalseReturningToken")

    assert token.transfer(vault, SUPPLY + 1, sender=trader).value is False
    assert token.transferFrom(trader, vault, 400_001, sender=vault).value is False
    assert token.balanceOf(trader) == SUPPLY
    assert token.allowance(trader, vault) == 400_000


@pytest.mark.parametrize("fee_bps", [0, 1, 100, 10_000])
def test_transfer__fee_on_transfer_token__burns_the_fee(
    deploy_token: DeployToken, trader: Any, vault: Any, fee_bps: int
) -> None:
    token = deploy_token("FeeOnTransferToken", 18, fee_bps)
    fee = 300_000 * fee_bps // 10_000

    token.transfer(vault, 300_000, sender=trader)
    token.transferFrom(trader, vault, 300_000, sender=vault)

    assert token.balanceOf(trader) == SUPPLY - 600_000
    assert token.balanceOf(vault) == 2 * (300_000 - fee)
    assert token.totalSupply() == SUPPLY - 2 * fee


def test_transfer__surcharging_token__burns_one_more_of_the_senders(
    deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token = deploy_token("SurchargingToken")

    token.transfer(vault, 300_000, sender=trader)
    token.transferFrom(trader, vault, 300_000, sender=vault)

    assert token.balanceOf(vault) == 600_000
    assert token.balanceOf(trader) == SUPPLY - 600_002


def test_set_fee__token_seemed_sound__takes_a_fee_from_then_on(
    deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token = deploy_token("FeeOnTransferToken", 6, 0)
    token.transfer(vault, 1_000, sender=trader)

    token.set_fee(50)
    token.transfer(vault, 1_000, sender=trader)

    assert token.balanceOf(vault) == 1_000 + 995


@pytest.mark.parametrize("listed", ["trader", "vault"])
def test_transfer__blacklisted_on_either_side__reverts_until_taken_off(
    deploy_token: DeployToken, trader: Any, vault: Any, listed: str
) -> None:
    token = deploy_token("BlacklistingToken")
    account = {"trader": trader, "vault": vault}[listed]

    token.set_blacklisted(account, True)
    with pytest.raises(Reverted, match=r"^account is blacklisted$"):
        token.transfer(vault, 1, sender=trader)
    with pytest.raises(Reverted, match=r"^account is blacklisted$"):
        token.transferFrom(trader, vault, 1, sender=vault)

    token.set_blacklisted(account, False)
    token.transfer(vault, 1, sender=trader)
    assert token.balanceOf(vault) == 1


def test_approve__approve_from_zero_token__replaces_no_allowance_by_another(
    deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token = deploy_token("ApproveFromZeroToken")

    with pytest.raises(Reverted, match=r"^allowance is not zero$"):
        token.approve(vault, 1, sender=trader)
    assert token.allowance(trader, vault) == 400_000
    token.transferFrom(trader, vault, 300_000, sender=vault)
    token.approve(vault, 0, sender=trader)
    assert token.approve(vault, 1, sender=trader).value is True
    assert token.allowance(trader, vault) == 1


# The re-entering token


def test_transfer__reentering_token_armed__calls_once_and_remembers(
    engine: Engine, deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token, feed = deploy_token("ReenteringToken"), engine.deploy(load("SettableFeed"), 8, 1)
    token.arm(feed, feed.set_answer.encode(7))

    token.transfer(vault, 1, sender=trader)
    token.transfer(vault, 1, sender=trader)

    assert feed.answer() == 7
    assert token.has_called()
    assert token.call_succeeded()
    assert token.target() == NOBODY
    assert token.balanceOf(vault) == 2


def test_transfer_from__inner_call_reverts__transfer_goes_on_and_the_reason_is_kept(
    engine: Engine, deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token, other = deploy_token("ReenteringToken"), deploy_token("TestToken")
    token.arm(other, other.transfer.encode(vault, 1))

    token.transferFrom(trader, vault, 5, sender=vault)

    assert token.has_called()
    assert not token.call_succeeded()
    assert b"balance too low" in token.call_output()
    assert token.balanceOf(vault) == 5


def test_transfer__inner_call_moves_the_token_itself__ends(
    deploy_token: DeployToken, trader: Any, vault: Any
) -> None:
    token: Contract = deploy_token("ReenteringToken")
    token.mint(token, 10)
    token.arm(token, token.transfer.encode(vault, 10))

    token.transfer(vault, 1, sender=trader)

    assert token.call_succeeded()
    assert token.balanceOf(vault) == 11
