"""ERC-4626, clause by clause, at decimals 2, 6, 8 and 18 in every state that a vault can be in.

Clause of the standard                                       test (without `test_`)
-----------------------------------------------------------  ---------------------------------------
asset: the underlying ERC-20, never reverts                  asset__any_state__names_the_token
totalAssets: all that is managed, interest in, no revert     total_assets__any_state__is_the_claims
convertTo*: no caller, no limits, down, no revert            convert__any_amount__rounds_down
max*: no revert, limits in, no balance of the asset in       max__any_account__never_reverts
max*: that much goes through                                 max__used_whole__goes_through
maxDeposit, maxMint: 0 where deposits are off                max__deposits_off__is_zero
preview*: no caller and no limits in                         preview__any_caller__ignores_limits
previewDeposit, previewRedeem: not more than the call gives  preview__then_called__is_exact
previewMint, previewWithdraw: not less than the call takes   preview__then_called__is_exact
deposit, mint, withdraw, redeem: what moves, and the event   call__any_amount__moves_and_logs
deposit, mint: revert unless all assets come                 enter__tokens_missing__reverts
withdraw, redeem: allowance where caller is not the owner    leave__by_another__needs_and_spends
withdraw, redeem: revert unless all can be paid              leave__more_than_owned__reverts
rounding: in favour of the vault over its users              round_trip__of_eight__never_profits
nothing in, nothing out (RND-1, not the standard's)          call__with_nothing__reverts
"""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.evm import Contract
from tests.support.lenders import STATES, Standing, stand
from tests.support.market import (
    KEEPER,
    LENDER,
    MAX_UINT256,
    NOBODY,
    OPERATOR,
    RECEIVER,
    STRANGER,
    WAD,
    div_up,
    reverts,
)

CALLS = ("deposit", "mint", "withdraw", "redeem")
ENTERS = ("deposit", "mint")
OFF = ("paused", "ruin")
"""Where deposits are off; "capped" leaves seven units."""

examples = settings(max_examples=8)
amounts = st.one_of(
    st.integers(1, 1_000), st.integers(1, 2**80), st.sampled_from((1, 2, 5, 7, 10**18 - 1))
)
calls = st.sampled_from(CALLS)


@pytest.fixture(scope="module", params=(2, 6, 8, 18), ids="decimals {}".format)
def decimals(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


@pytest.fixture(scope="module", params=STATES)
def standing(request: pytest.FixtureRequest, decimals: int) -> Standing:
    return stand(request.param, decimals)


def arguments(name: str, owner: LocalAccount, receiver: Any = None) -> tuple[Any, ...]:
    """What follows the amount; the receiver is the owner unless given."""
    receiver = receiver or owner
    return (receiver,) if name in ENTERS else (receiver, owner)


def most(vault: Contract, name: str, account: Any) -> int:
    value: int = getattr(vault, f"max{name.capitalize()}")(account)
    return value


def usable(standing: Standing, name: str, drawn: int) -> int:
    """An amount within the lender's limit for this call; 0 where there is none."""
    largest = most(standing.vault, name, LENDER)
    if name in ENTERS:
        standing.market.give(standing.market.asset, LENDER, 2**112)
        largest = min(largest, 2**84)
    return drawn if drawn <= largest else largest


def run(vault: Contract, name: str, amount: int, owner: LocalAccount = LENDER) -> int:
    value: int = getattr(vault, name)(amount, *arguments(name, owner), sender=owner).value
    return value


def test_states__each__are_what_they_are_called(standing: Standing) -> None:
    books, index = standing.market.books(), standing.vault.current_balance_sheet().supply_index
    expected = {
        "unused": books.total_shares == 0 and index == WAD,
        "lent": index == WAD and books.total_shares > 0,
        "left": books.total_shares == 0 and index > WAD and books.surplus > 0,
        "loss": 10**12 < index < WAD,
        "ruin": 0 < index < 10**12,
        "drained": books.cash == 5,
    }
    assert expected.get(standing.state, index > WAD)


def test_asset__any_state__names_the_token(standing: Standing) -> None:
    assert standing.vault.asset() == standing.market.asset.address
    assert standing.vault.decimals() == standing.market.asset.decimals()


def test_total_assets__any_state__is_the_claims(standing: Standing) -> None:
    vault, books = standing.vault, standing.vault.current_balance_sheet()
    assert vault.totalAssets() == books.total_shares * books.supply_index // WAD
    assert vault.totalAssets() == vault.convertToAssets(vault.totalSupply())
    owned = books.cash * WAD + books.total_scaled_debt * books.debt_index
    assert vault.totalAssets() * WAD <= owned, "BOOK-3: claims exceed assets"


@examples
@given(amount=amounts)
def test_convert__any_amount__rounds_down(standing: Standing, amount: int) -> None:
    vault, index = standing.vault, standing.vault.current_balance_sheet().supply_index
    shares = vault.convertToShares(amount)
    assert shares * index <= amount * WAD < (shares + 1) * index, "RND-1: shares round up"
    assets = vault.convertToAssets(amount)
    assert assets * WAD <= amount * index < (assets + 1) * WAD, "RND-1: assets round up"
    assert vault.convertToAssets(shares) <= amount, "RND-1: converting there and back gains"
    for caller in (LENDER, KEEPER):
        assert vault.convertToShares.call(amount, sender=caller) == shares
        assert vault.convertToAssets.call(amount, sender=caller) == assets


@pytest.mark.parametrize("account", [LENDER, STRANGER, KEEPER, NOBODY, RECEIVER])
def test_max__any_account__never_reverts(standing: Standing, account: Any) -> None:
    vault, owned = standing.vault, standing.vault.balanceOf(account)
    before = [most(vault, name, account) for name in CALLS]
    assert before[3] <= owned, "RND-1: maxRedeem is more than is owned"
    assert before[2] <= vault.convertToAssets(owned), "RND-1: maxWithdraw is more than is owned"
    with standing.undone():
        standing.market.asset.mint(vault, 2**90)
        if isinstance(account, LocalAccount):
            standing.market.asset.mint(account, 2**90)
        after = [most(vault, name, account) for name in CALLS]
    assert after == before, "BOOK-5: a balance of the asset changes a maximum"


@pytest.mark.parametrize("name", CALLS)
def test_max__used_whole__goes_through(standing: Standing, name: str) -> None:
    with standing.undone():
        standing.market.give(standing.market.asset, LENDER, 2**120)
        largest = most(standing.vault, name, LENDER)
        if largest:
            receipt = getattr(standing.vault, name)(
                largest, *arguments(name, LENDER), sender=LENDER, check=False
            )
            assert receipt.success, f"RND-1: max of {name} reverts: {receipt.revert_reason}"
        left = most(standing.vault, name, LENDER)
        # What a share is worth and the other way round, and no more: the floors leave that much.
        index = standing.vault.current_balance_sheet().supply_index
        assert left <= 1 + WAD // index, f"RND-1: max of {name} leaves {left} more"


@pytest.mark.parametrize("name", ENTERS)
def test_max__deposits_off__is_zero(standing: Standing, name: str) -> None:
    with standing.undone():
        standing.market.give(standing.market.asset, STRANGER, 2**84)
        largest = most(standing.vault, name, STRANGER)
        assert (largest == 0) == (standing.state in OFF), "RND-1: a maximum lies on deposits"
        receipt = getattr(standing.vault, name)(largest + 1, STRANGER, sender=STRANGER, check=False)
        if largest == 0 or standing.state == "capped":
            assert not receipt.success


@examples
@given(name=calls, amount=amounts)
def test_preview__any_caller__ignores_limits(standing: Standing, name: str, amount: int) -> None:
    preview = getattr(standing.vault, f"preview{name.capitalize()}")
    index = standing.vault.current_balance_sheet().supply_index
    to_shares = name in ("deposit", "withdraw")
    dividend, divisor = (amount * WAD, index) if to_shares else (amount * index, WAD)
    rounds_up = name in ("mint", "withdraw")
    expected = div_up(dividend, divisor) if rounds_up else dividend // divisor
    for caller in (LENDER, KEEPER, RECEIVER):
        answer = preview.call(amount, sender=caller)
        assert answer == expected, f"RND-1: preview of {name} favours somebody"


@examples
@given(name=calls, drawn=amounts)
def test_preview__then_called__is_exact(standing: Standing, name: str, drawn: int) -> None:
    with standing.undone():
        amount = usable(standing, name, drawn)
        if amount == 0:
            return
        preview = getattr(standing.vault, f"preview{name.capitalize()}")(amount)
        receipt = getattr(standing.vault, name)(
            amount, *arguments(name, LENDER), sender=LENDER, check=False
        )
        if receipt.success:
            assert receipt.value == preview, f"RND-1: preview of {name} is not exact"
        else:
            assert preview == 0, f"RND-1: {name} of {amount} reverts: {receipt.revert_reason}"


@examples
@given(name=calls, drawn=amounts)
def test_call__any_amount__moves_and_logs(standing: Standing, name: str, drawn: int) -> None:
    market, vault = standing.market, standing.vault
    with standing.undone():
        amount = usable(standing, name, drawn)
        if amount == 0 or getattr(vault, f"preview{name.capitalize()}")(amount) == 0:
            return
        before = vault.balanceOf(LENDER), vault.balanceOf(RECEIVER), vault.totalSupply()
        cash = vault.current_balance_sheet().cash
        receipt = getattr(vault, name)(amount, *arguments(name, LENDER, RECEIVER), sender=LENDER)
        other = receipt.value
        by_assets = name in ("deposit", "withdraw")
        assets, shares = (amount, other) if by_assets else (other, amount)
        after = vault.balanceOf(LENDER), vault.balanceOf(RECEIVER), vault.totalSupply()
        flows = market.flows(receipt)
        if name in ENTERS:
            assert after == (before[0], before[1] + shares, before[2] + shares)
            event, payer, payee = "Deposit", LENDER.address, vault.address
            fields = {"sender": LENDER.address, "owner": RECEIVER}
        else:
            assert after == (before[0] - shares, before[1], before[2] - shares)
            event, payer, payee = "Withdraw", vault.address, RECEIVER
            fields = {"sender": LENDER.address, "receiver": RECEIVER, "owner": LENDER.address}
        expected = {("asset", payer): -assets, ("asset", payee): assets} if assets else {}
        assert flows == expected, f"ISO-2: {name} moved other tokens"
        moved = vault.current_balance_sheet().cash - cash
        assert moved == (assets if name in ENTERS else -assets), "BOOK-5: cash is not what moved"
        logged = [fields for title, fields in market.events(receipt) if title == event]
        assert logged == [fields | {"assets": assets, "shares": shares}]


@pytest.mark.parametrize("name", ENTERS)
def test_enter__tokens_missing__reverts(standing: Standing, name: str) -> None:
    vault, asset = standing.vault, standing.market.asset
    if most(vault, name, KEEPER) == 0:
        return
    with standing.undone():
        amount = min(most(vault, name, KEEPER), 10**6)
        cost = vault.previewMint(amount) if name == "mint" else amount
        call = getattr(vault, name)
        asset.mint(KEEPER, cost)
        asset.approve(vault, cost - 1, sender=KEEPER)
        assert not call(amount, KEEPER, sender=KEEPER, check=False).success
        asset.approve(vault, cost, sender=KEEPER)
        asset.transfer(RECEIVER, 1, sender=KEEPER)
        assert not call(amount, KEEPER, sender=KEEPER, check=False).success
        asset.mint(KEEPER, 1)
        assert call(amount, KEEPER, sender=KEEPER, check=False).success == (
            vault.previewDeposit(cost) > 0
        )


@examples
@given(name=st.sampled_from(("withdraw", "redeem")), drawn=amounts)
def test_leave__by_another__needs_and_spends(standing: Standing, name: str, drawn: int) -> None:
    vault = standing.vault
    with standing.undone():
        amount = usable(standing, name, drawn)
        if amount == 0:
            return
        shares = vault.previewWithdraw(amount) if name == "withdraw" else amount
        call = getattr(vault, name)
        vault.approve(OPERATOR, shares - 1, sender=LENDER)
        with reverts("not enough allowance"):
            call(amount, RECEIVER, LENDER, sender=OPERATOR)
        vault.approve(OPERATOR, shares + 3, sender=LENDER)
        before = vault.balanceOf(LENDER)
        call(amount, RECEIVER, LENDER, sender=OPERATOR)
        assert vault.allowance(LENDER, OPERATOR) == 3
        assert before - vault.balanceOf(LENDER) == shares, "ISO-2: more shares than agreed"
        with reverts("not enough allowance"):
            call(amount, RECEIVER, LENDER, sender=KEEPER)


@pytest.mark.parametrize("name", ["withdraw", "redeem"])
def test_leave__more_than_owned__reverts(standing: Standing, name: str) -> None:
    with standing.undone():
        owned = standing.vault.balanceOf(LENDER)
        amount = owned + 1 if name == "redeem" else standing.vault.previewMint(owned) + 1
        reasons = {"not enough shares", "not enough cash"}
        receipt = getattr(standing.vault, name)(amount, LENDER, LENDER, sender=LENDER, check=False)
        assert not receipt.success
        assert receipt.revert_reason in reasons


@pytest.mark.parametrize("name", CALLS)
def test_call__with_nothing__reverts(standing: Standing, name: str) -> None:
    receipt = getattr(standing.vault, name)(0, *arguments(name, LENDER), sender=LENDER, check=False)
    assert not receipt.success, f"RND-1: {name} of nothing succeeds"


@pytest.mark.parametrize("there", CALLS)
@settings(max_examples=6)
@given(drawn=amounts, by_assets=st.booleans())
def test_round_trip__of_eight__never_profits(
    standing: Standing, there: str, drawn: int, by_assets: bool
) -> None:
    vault = standing.vault
    with standing.undone():
        standing.market.give(standing.market.asset, LENDER, 2**112)
        amount = usable(standing, there, drawn)
        if amount == 0 or getattr(vault, f"preview{there.capitalize()}")(amount) == 0:
            return
        other = run(vault, there, amount)
        assets, shares = (amount, other) if there in ("deposit", "withdraw") else (other, amount)
        enters = there in ENTERS
        back = (
            ("withdraw" if by_assets else "redeem")
            if enters
            else ("deposit" if by_assets else "mint")
        )
        given_back = assets if by_assets else shares
        receipt = getattr(vault, back)(
            given_back, *arguments(back, LENDER), sender=LENDER, check=False
        )
        if not receipt.success:
            return
        result = receipt.value
        # By assets, shares come back; by shares, assets do.
        message = f"RND-1: {there} and {back} of {amount} profits"
        if by_assets:
            assert result >= shares if enters else result <= shares, message
        else:
            assert result <= assets if enters else result >= assets, message


def test_round_trip__back_again__goes_through(decimals: int) -> None:
    """The round trips above may end early; where cash and room are there, none does."""
    standing = stand("interest", decimals)
    standing.market.give(standing.market.asset, LENDER, 2**100)
    for there, back in (("deposit", "withdraw"), ("mint", "redeem"), ("withdraw", "deposit")):
        run(standing.vault, there, 12_345)
        assert run(standing.vault, back, 12_345) > 0
    assert standing.vault.maxDeposit(LENDER) < MAX_UINT256
