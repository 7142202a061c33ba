"""What the chain remembers of a run, read back: every event, round and state diff, by position."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ringfence.deploy.local import TOKENS
from ringfence.evm import StateDiff, load
from ringfence.math import accrual, balance_sheet
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.liquidation import RiskParams
from ringfence.math.oracles import price_down, scale_factor
from ringfence.math.rates import KinkedRate
from ringfence.sim.chronicle import Chronicle, Entry, Prices, books_slots
from ringfence.sim.stage import Stage, Venue

_FEED_DECIMALS = 8
DECIMALS = {name: token.decimals for name, token in TOKENS.items()}
"""Of the tokens of every scenario, by their symbols."""
POSITION_EVENTS = ("Adjusted", "ToppedUp", "Liquidated")


def oracle_price(venue: Venue, answers: tuple[int, int]) -> int:
    """Return what a vault's oracle says when its feeds answer so, 1e36.

    Mirrors contracts/oracles/ChainlinkOracle.vy.
    """
    ether, dollar = answers
    if venue.side == "long":
        return price_down(
            scale_factor(DECIMALS["USDC"] + _FEED_DECIMALS, DECIMALS["WETH"] + _FEED_DECIMALS),
            ether,
            dollar,
        )
    return price_down(
        scale_factor(DECIMALS["WETH"] + _FEED_DECIMALS, DECIMALS["USDC"] + _FEED_DECIMALS),
        dollar,
        ether,
    )


def risk_of(venue: Venue) -> RiskParams:
    """Return a vault's parameters as the mirror wants them, read from the vault."""
    params = venue.vault.parameters()
    return RiskParams(
        liquidation_ltv=params.liquidation_ltv,
        target_ltv=params.target_ltv,
        base_bonus=params.base_bonus,
        beta_max=params.beta_max,
        reserve_cut=params.reserve_cut,
        min_debt=params.min_debt,
    )


@dataclass(frozen=True, slots=True)
class Interest:
    """What a vault's indices follow: its curve, the fallback rate, the reserve's share, 1e18."""

    rate: KinkedRate
    fallback: int
    reserve_factor: int

    @classmethod
    def of(cls, venue: Venue) -> Interest:
        """Return a vault's own, as it is now."""
        parameters = venue.vault.parameters()
        curve = venue.vault.engine.at(parameters.rate_model, load("KinkedRate"))
        rate = KinkedRate(curve.base(), curve.kink(), curve.slope_1(), curve.slope_2())
        return cls(rate, parameters.fallback_rate, parameters.reserve_factor)

    def at(self, sheet: BalanceSheet, time: int) -> BalanceSheet:
        """Return the books at a later time, unix seconds, if nobody touches them before."""
        rate, fallback = self.rate.borrow_rate, self.fallback
        return accrual.preview(sheet, time, rate, fallback, self.reserve_factor)[0]


def debt_indices(
    venue: Venue, sheets: Sequence[BalanceSheet], times: Sequence[int]
) -> tuple[int, ...]:
    """Return a vault's debt index, 1e18, at times, unix seconds, as its views count interest.

    `sheets` are its books whenever they were written, in order, the first before all times.
    """
    interest = Interest.of(venue)
    written = (
        sheets[bisect_right(sheets, time, key=lambda one: one.last_accrual) - 1] for time in times
    )
    return tuple(
        interest.at(sheet, time).debt_index for sheet, time in zip(written, times, strict=True)
    )


def in_usdc(symbol: str, amount: int | Fraction, price: Fraction) -> int:
    """Return an amount of WETH or USDC in USDC units at a price of USDC per WETH."""
    if symbol == "USDC":
        return int(amount)
    return int(amount * price * 10 ** DECIMALS["USDC"] / 10 ** DECIMALS["WETH"])


def symbol_of(stage: Stage, token: str) -> str:
    """Return what a token of the scenario is called."""
    return "WETH" if token == stage.weth.address else "USDC"


@dataclass(frozen=True)
class History:
    """Everything read back, before anything is made of it. `start` is the path's first second."""

    stage: Stage
    chronicle: Chronicle
    start: int
    first_block: int
    names: Mapping[str, str]
    entries: tuple[Entry, ...]
    prices: Prices

    @cached_property
    def venues(self) -> dict[str, Venue]:
        """The vaults by address."""
        return {venue.vault.address: venue for venue in self.stage.venues.values()}

    @cached_property
    def by_position(self) -> dict[tuple[str, int], list[Entry]]:
        """Each position's events in their order, by vault and id."""
        found: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if entry.event.name in POSITION_EVENTS and entry.event.address in self.venues:
                found[entry.event.address, entry.event["position_id"]].append(entry)
        return dict(found)

    @cached_property
    def by_transaction(self) -> dict[str, list[Entry]]:
        """Each transaction's events in their order."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.tx_hash].append(entry)
        return dict(found)

    @cached_property
    def liquidated(self) -> list[Entry]:
        """Every vault's `Liquidated` events."""
        return [
            entry
            for entry in self.entries
            if entry.event.name == "Liquidated" and entry.event.address in self.venues
        ]

    @cached_property
    def diffs(self) -> Mapping[str, StateDiff]:
        """The state diffs of all transactions in which a vault, router or liquidator spoke."""
        return self.chronicle.state_diffs([*self.by_transaction])

    def sibling(self, entry: Entry, name: str) -> Entry | None:
        """Return the event called `name` about the same position in the same transaction."""
        wanted = entry.event["position_id"]
        for other in self.by_transaction[entry.tx_hash]:
            if other.event.name == name and other.event.args.get("position_id") == wanted:
                return other
        return None

    def slot_before(self, entry: Entry) -> int:
        """Return the position's word before one of its events, 0 before the first."""
        word = 0
        for other in self.by_position[entry.event.address, entry.event["position_id"]]:
            if other is entry:
                return word
            word = other.event["slot"]
        return word

    def sheets(self, vault: str) -> list[BalanceSheet]:
        """Return a vault's books at the end of every block in which it spoke, in order."""
        blocks = sorted({one.block for one in self.entries if one.event.address == vault})
        asked = [
            ("eth_getStorageAt", [vault, hex(slot), hex(block)])
            for block in blocks
            for slot in books_slots()
        ]
        words = [int(word, 16) for word in self.chronicle.ask(asked)]
        pairs = zip(words[::2], words[1::2], strict=True)
        return [balance_sheet.unpack(*pair) for pair in pairs]

    def price_of(self, venue: Venue, time: int) -> int:
        """Return a vault's oracle price at a time, 1e36."""
        return oracle_price(venue, self.prices.answers(time))


def read_history(
    stage: Stage, chronicle: Chronicle, start: int, first_block: int, names: Mapping[str, str]
) -> History:
    """Read the chain: every event of the vaults, the router, the liquidator; the feeds' rounds."""
    vaults = [venue.vault for venue in stage.venues.values()]
    entries = chronicle.events([*vaults, stage.router, stage.liquidator])
    prices = chronicle.prices(stage.ether_feed, stage.dollar_feed)
    return History(stage, chronicle, start, first_block, names, tuple(entries), prices)
