"""A made-up result of a run, for tests of what reads one: no chain was asked for any of it.

The price is a polygon without noise, debts bear no interest, and a position is liquidated at the
first step at which its LTV is above the bound. Every kind of position and of liquidation occurs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from ringfence.math import balance_sheet, position_slot
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import RiskParams
from ringfence.sim.result import (
    Action,
    ActionKind,
    Books,
    Check,
    Conservation,
    Keeper,
    Lender,
    Liquidation,
    LiquidationKind,
    Market,
    Position,
    Result,
    Status,
    Step,
    Token,
    Word,
)

HOUR = 3_600
STEP = 1_200
CENT = WAD // 100
USDC = Token("USDC", "0x" + "c0" * 20, 6)
WETH = Token("WETH", "0x" + "e0" * 20, 18)
WAYPOINTS = (
    (0, 195.55),
    (24, 186.4),
    (30, 176.0),
    (31, 130.94),
    (36, 141.0),
    (48, 86.0),
    (54, 126),
)
KEEPER_OFF = (30 * HOUR + 900, 30 * HOUR + 3_300)
START = 1_583_971_200
LONG = Market(
    name="weth-usdc-conservative",
    title="Synthetic WETH/USDC Conservative",
    vault="0x" + "a1" * 20,
    side="long",
    collateral="WETH",
    asset="USDC",
    initial_ltv=0.80,
    target_ltv=0.83,
    liquidation_ltv=0.86,
    beta_max=1.077,
    before=Books(150_000_000000, 20_000_000000, 168_000_000000, 2_000_000000, 10**18),
    after=Books(160_000_000000, 7_900_000000, 167_400_000000, 500_000000, 996 * 10**15),
    lenders=(Lender("lender-1", "0x" + "11" * 20, 168_000_000000, 167_400_000000),),
    liquidations=0,
    to_reserve_lost=0,
    to_lenders_lost=0,
    risk=RiskParams(
        86 * WAD // 100, 83 * WAD // 100, WAD // 100, 1_077 * WAD // 1_000, WAD // 10, 0
    ),
    debt_indices=(),
)
SHORT = replace(
    LONG,
    name="usdc-weth-short",
    title="Synthetic USDC/WETH Short",
    vault="0x" + "a2" * 20,
    side="short",
    collateral="USDC",
    asset="WETH",
    before=Books(500 * 10**18, 90 * 10**18, 589 * 10**18, 10**18, 10**18),
    after=Books(550 * 10**18, 41 * 10**18, 589 * 10**18 + 10**17, 19 * 10**17, 10**18 + 10**14),
    lenders=(Lender("lender-2", "0x" + "12" * 20, 589 * 10**18, 589 * 10**18 + 10**17),),
)


def price_at(time: int) -> float:
    """Return the synthetic price, USDC per WETH."""
    hours = time / HOUR
    for (since, first), (until, last) in pairwise(WAYPOINTS):
        if hours <= until:
            return first + (last - first) * (hours - since) / (until - since)
    return WAYPOINTS[-1][1]


@dataclass
class Sketch:
    """A position in the making; amounts are floats in whole tokens."""

    number: int
    market: Market
    account: int
    leverage: float
    opened_at: int
    margin: float
    closes_at: int | None = None
    tops_up: bool = False
    collateral: float = 0.0
    debt: float = 0.0
    open: bool = False
    status: Status = "open"
    put_in: float = 0.0
    taken_out: float = 0.0
    bonus: float = 0.0
    ltvs: list[float | None] = field(default_factory=list)
    due: list[int] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    @property
    def position_id(self) -> int:
        return (0xB000 + self.account) << 96 | self.number

    def decimals(self) -> tuple[int, int]:
        return (18, 6) if self.market.side == "long" else (6, 18)

    def ltv(self, price: float) -> float:
        value = self.collateral * (price if self.market.side == "long" else 1 / price)
        return self.debt / value

    def act(self, kind: ActionKind, time: int, collateral: float, debt: float, margin: int) -> None:
        held, lent = self.decimals()
        self.collateral += collateral
        self.debt += debt
        self.actions.append(
            Action(
                kind=kind,
                time=time,
                tx_hash=f"0x{len(self.actions):02x}{self.number:062x}",
                price=price_at(time),
                collateral=round(collateral * 10**held),
                debt=round(debt * 10**lent),
                margin=margin,
                margin_token=self.market.collateral,
                slot=position_word(self, time),
            )
        )


def sketches() -> list[Sketch]:
    """Return the positions before anything happens."""
    longs = [
        Sketch(number, LONG, number % 5, 2.0 + 0.25 * number, 0, 10.0 + number, tops_up=number == 2)
        for number in range(12)
    ]
    shorts = [
        Sketch(
            12 + number,
            SHORT,
            number % 5,
            2.0 + 0.5 * number,
            (0 if number < 3 else 47) * HOUR,
            1_000.0 + 100 * number,
            closes_at=46 * HOUR if number < 2 else None,
        )
        for number in range(6)
    ]
    return [*longs, *shorts]


def play(sketch: Sketch, time: int, liquidations: list[Liquidation]) -> None:
    """Let one step pass for one position."""
    price = price_at(time)
    per_unit = price if sketch.market.side == "long" else 1 / price
    in_usdc = price if sketch.market.side == "long" else 1.0
    held, _ = sketch.decimals()
    if not sketch.open and sketch.status == "open" and time >= sketch.opened_at:
        bought = sketch.margin * sketch.leverage
        lent = sketch.margin * (sketch.leverage - 1) * per_unit
        sketch.act("opened", time, bought, lent, round(sketch.margin * 10**held))
        sketch.put_in, sketch.open = sketch.margin * in_usdc, True
    if sketch.open and sketch.ltv(price) > sketch.market.liquidation_ltv:
        sketch.due.append(time // STEP)
    if sketch.open and sketch.closes_at is not None and time >= sketch.closes_at:
        equity = sketch.collateral - sketch.debt / per_unit
        sketch.act("closed", time, -sketch.collateral, -sketch.debt, -round(equity * 10**held))
        sketch.taken_out, sketch.status, sketch.open = equity * in_usdc, "closed", False
    if sketch.open and sketch.tops_up and sketch.ltv(price) > 0.8:
        sketch.act("topped up", time, sketch.margin, 0.0, round(sketch.margin * 10**held))
        sketch.put_in += sketch.margin * in_usdc
    off = KEEPER_OFF[0] <= time < KEEPER_OFF[1]
    if sketch.open and sketch.ltv(price) > sketch.market.liquidation_ltv and not off:
        liquidate(sketch, time, liquidations)
    sketch.ltvs.append(sketch.ltv(price) if sketch.open else None)


def liquidate(sketch: Sketch, time: int, liquidations: list[Liquidation]) -> None:
    """Take what a liquidation would, roughly, with the words that it would have changed."""
    price = price_at(time)
    per_unit = price if sketch.market.side == "long" else 1 / price
    held, lent = sketch.decimals()
    before, value = sketch.ltv(price), sketch.collateral * per_unit
    beta = min(1.01 + before - 0.86, 1.077)
    first = position_word(sketch, time - 7_200)
    kind: LiquidationKind
    if before * beta >= 1:
        kind, seized, loss = "insolvent", sketch.collateral, sketch.debt - value / beta
    elif sketch.number % 2:
        kind, seized, loss = "full", sketch.debt * beta / per_unit, 0.0
    else:
        kind, loss = "partial", 0.0
        seized = (sketch.debt - 0.83 * value) / (1 - beta * 0.83) * beta / per_unit
    repaid = sketch.debt - loss if kind != "partial" else seized * per_unit / beta
    action: ActionKind = "liquidated in part" if kind == "partial" else "liquidated"
    left = sketch.collateral - seized
    back = left if kind == "full" else 0.0
    sketch.act(action, time, -seized - back, -repaid - loss, -round(back * 10**held))
    in_usdc = 1.0 if sketch.market.side == "long" else price
    bonus = 0.0 if kind == "insolvent" else repaid * (beta - 1)
    sketch.bonus += bonus * in_usdc
    if kind != "partial":
        sketch.status, sketch.open = "liquidated", False
        sketch.taken_out = back * per_unit * in_usdc
    index = len(liquidations)
    scale = 10**lent
    books = balance_sheet.BalanceSheet(
        168_000 * scale, 150_000 * scale, START + time - 300, 20_000 * scale, 10**18, 10**18
    )
    last = position_word(sketch, time - 7_200)
    slots = [position_slot.unpack(word) for word in (first, last)]
    paid, cut = round(repaid * scale), round(bonus * 0.1 * scale)
    after = replace(
        books,
        cash=books.cash + paid + cut,
        last_accrual=START + time,
        total_scaled_debt=books.total_scaled_debt - slots[0].scaled_debt + slots[1].scaled_debt,
        supply_index=10**18 - (10**15 if kind == "insolvent" else 0),
    )
    words = zip(
        ("position", "books 1", "books 2"),
        (2**255 + sketch.number, 3, 4),
        (first, *balance_sheet.pack(books)),
        (last, *balance_sheet.pack(after)),
        strict=True,
    )
    liquidations.append(
        Liquidation(
            tx_hash=f"0x{index:064x}",
            block=100 + index,
            time=time,
            market=sketch.market.name,
            position_id=sketch.position_id,
            account=f"trader-{sketch.account:02d}",
            kind=kind,
            price=price,
            ltv_before=before,
            ltv_after=sketch.ltv(price) if sketch.open else 0.0,
            seized=slots[0].collateral - slots[1].collateral,
            repaid=paid,
            cut=cut,
            loss=round(loss * scale),
            loss_to_reserve=round(loss * 0.6 * scale),
            loss_to_lenders=round(loss * scale) - round(loss * 0.6 * scale),
            profit=round((bonus * 0.9 - 0.3 * loss) * scale),
            gas_used=310_000 + index,
            gas_cost=(310_000 + index) * 20 * 10**9,
            words=tuple(Word(*word) for word in words),
            other_vaults=0,
            isolated=True,
        )
    )


def position_word(sketch: Sketch, risk_time: int) -> int:
    """Return the slot of a position as the vault would pack it, 0 when it is gone."""
    if sketch.collateral < 1e-9:
        return 0
    held, lent = sketch.decimals()
    return position_slot.pack(
        position_slot.PositionSlot(
            round(sketch.collateral * 10**held), round(sketch.debt * 10**lent), START + risk_time
        )
    )


def finished(sketch: Sketch, last: int) -> Position:
    """Return a sketch as a result has it."""
    held, lent = sketch.decimals()
    price = price_at(last)
    equity = 0.0
    if sketch.open:
        value = sketch.collateral * (price if sketch.market.side == "long" else 1.0)
        equity = max(0.0, value - sketch.debt * (1.0 if sketch.market.side == "long" else price))
    put_in, out, kept = (round(one * 10**6) for one in (sketch.put_in, sketch.taken_out, equity))
    return Position(
        position_id=sketch.position_id,
        market=sketch.market.name,
        side=sketch.market.side,
        account=f"trader-{sketch.account:02d}",
        owner=f"0x{0xB000 + sketch.account:040x}",
        leverage=sketch.leverage,
        opened_at=sketch.opened_at,
        status=sketch.status,
        actions=tuple(sketch.actions),
        slot=sketch.actions[-1].slot,
        collateral=round(sketch.collateral * 10**held) if sketch.open else 0,
        debt=round(sketch.debt * 10**lent) if sketch.open else 0,
        put_in=put_in,
        taken_out=out,
        kept=kept,
        result=out + kept - put_in,
        to_keepers=round(sketch.bonus * 0.9 * 10**6),
        to_reserve=round(sketch.bonus * 0.1 * 10**6),
        ltvs=tuple(sketch.ltvs),
        liquidatable_at=tuple(sketch.due),
    )


def synthetic_result(**changes: Any) -> Result:
    """Return the made-up result, with fields changed at will."""
    drawn = sketches()
    liquidations: list[Liquidation] = []
    times = range(0, WAYPOINTS[-1][0] * HOUR, STEP)
    for time in times:
        for sketch in drawn:
            play(sketch, time, liquidations)
    price = price_at(times[-1])
    result = Result(
        scenario="synthetic",
        title="A synthetic crash",
        seed=7,
        seconds=0.0,
        chain_id=31337,
        transactions=345,
        accounts=11,
        crash_end=48 * HOUR,
        keeper_off=(KEEPER_OFF,),
        tokens=(USDC, WETH),
        steps=tuple(
            Step(
                time=one,
                market=price_at(one),
                feed=price_at(one - one % 3_600),
                pool=price_at(one) * 1.0004,
                keeper_on=not KEEPER_OFF[0] <= one < KEEPER_OFF[1],
                answer=round(price_at(one) * 10**8),
            )
            for one in times
        ),
        markets=tuple(
            replace(
                market,
                debt_indices=(WAD,) * len(times),
                liquidations=sum(one.market == market.name for one in liquidations),
                to_reserve_lost=sum(
                    one.loss_to_reserve for one in liquidations if one.market == market.name
                ),
                to_lenders_lost=sum(
                    one.loss_to_lenders for one in liquidations if one.market == market.name
                ),
            )
            for market in (LONG, SHORT)
        ),
        positions=tuple(finished(sketch, times[-1]) for sketch in drawn),
        liquidations=tuple(liquidations),
        keeper=Keeper(
            address="0x" + "fe" * 20,
            liquidations=len(liquidations),
            profits={
                "USDC": sum(one.profit for one in liquidations if one.market == LONG.name),
                "WETH": sum(one.profit for one in liquidations if one.market == SHORT.name),
            },
            gas_used=sum(one.gas_used for one in liquidations),
            gas_cost=sum(one.gas_cost for one in liquidations),
            total=round(price * 10**6),
        ),
        conservation=(
            Conservation("USDC", 21, 10**15, 10**15),
            Conservation("WETH", 21, 10**23, 10**23),
        ),
        checks=(
            Check("every liquidation is isolated", True, f"{len(liquidations)} of them"),
            Check("tokens are conserved", True, "2 tokens, difference 0"),
        ),
    )
    return replace(result, **changes)
