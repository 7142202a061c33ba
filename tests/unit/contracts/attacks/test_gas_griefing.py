"""Too little gas for the rate model, so that the vault falls back on a rate the caller likes."""

from __future__ import annotations

from ringfence.evm import Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import CASH, STRANGER, TEN_PERCENT, USDC, WETH, YEAR, deploy_market
from tests.unit.contracts.attacks.catalogue import attack

STEP = 5_000
LEAST, MOST = 60_000, 200_000


def starve(engine: Engine, artifact: Artifact) -> tuple[int, set[str | None]]:
    """Accrue a year with every gas limit, from too little to plenty, and put all back each time.

    Returns the most interest that a borrower of 800,000 USDC escaped in any call that went through,
    asset units, and the reasons of those that did not.
    """
    model = engine.deploy(load("GasCheckingRate"), TEN_PERCENT)
    market = deploy_market(engine, artifact=artifact, rate_model=model, fallback_rate=0)
    market.deposit(CASH)
    position = market.open(1_000 * WETH, 800_000 * USDC)
    engine.advance(YEAR)
    owed = market.vault.position(position).debt
    escaped, reasons = [], set()
    for gas in range(LEAST, MOST, STEP):
        mark = engine.snapshot()
        receipt = market.vault.accrue(sender=STRANGER, gas_limit=gas, check=False)
        if receipt.success:
            escaped.append(owed - market.debt(position))
        else:
            reasons.add(receipt.revert_reason)
        engine.restore(mark)
    return max(escaped), reasons


@attack(
    "gas-griefing of the rate call",
    guard="what is left is checked before the model is asked (accrual)",
    breaks=(Break("modules/accrual.vy", "if msg.gas < _GAS_FLOOR:", "if False:"),),
    without="a call with little gas turns a year's 84,133 USDC of interest into none",
    here="with less than the model may use, the call reverts; no gas limit changes the rate",
    seen="SWC-126, insufficient gas griefing: relayers and multisigs that forwarded 63/64",
)
def test_accrue__any_gas_limit__asks_the_model_or_reverts(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works, _reasons = starve(engine, broken)
    assert works == 84_133_333_323, f"the double stands it: {works}"
    fails, reasons = starve(engine, real)
    assert fails == 0, "LIVE-2: a caller's gas limit chose the rate"
    assert "not enough gas" in reasons, "LIVE-2: no limit was refused for its gas"
