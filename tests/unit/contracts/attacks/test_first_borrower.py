"""What the first borrower of an empty market could do to the price of a debt."""

from __future__ import annotations

from ringfence.evm import Engine
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    STRANGER,
    USDC,
    WAD,
    WETH,
    Market,
    deploy_market,
)
from tests.unit.contracts.attacks.catalogue import attack

CALLS = 50


def borrow_for_nothing(market: Market) -> int:
    """At an index of 3 and a bit, borrow a crumb that rounds to no scaled debt, again and again.

    Return what was borrowed and is not owed, asset units.
    """
    market.deposit(CASH)
    market.set_books(debt_index=3 * WAD + WAD // 2)
    position = market.open(10 * WETH, 350 * USDC, owner=STRANGER)
    for _ in range(CALLS):
        market.vault.adjust(position, 0, 3, STRANGER, b"", sender=STRANGER)
    return market.asset.balanceOf(STRANGER) - market.debt(position)


@attack(
    "first-borrower share games",
    guard="scaled debt is rounded up when borrowed (health._scaled_up)",
    breaks=(
        Break(
            "modules/health.vy",
            "return fixed_point._div_up(unsafe_mul(amount, fixed_point.WAD), debt_index)",
            "return unsafe_div(unsafe_mul(amount, fixed_point.WAD), debt_index)",
        ),
    ),
    without="50 crumbs of 3 units at an index of 3.5 are borrowed and never owed",
    here="each crumb owes a whole unit of scaled debt, 3.5: the borrower is out of pocket",
    seen="HopeLend, October 2023 (CertiK): an empty market, its index driven up, a rounding",
)
def test_adjust__borrowing_crumbs_that_round_to_no_debt__owes_more_than_it_gets(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    assert borrow_for_nothing(deploy_market(engine, artifact=broken)) == 3 * CALLS
    market = deploy_market(engine, artifact=real)
    assert borrow_for_nothing(market) == -CALLS // 2, "RND-2: borrowed for nothing"
    assert market.books().surplus >= 0, "BOOK-3: claims exceed assets"
