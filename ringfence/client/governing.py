"""Curator and guardian of one market: caps, the pause, the reserve's excess, the hand-over."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringfence.client.market import Market, MarketState, moment
from ringfence.client.node import Facts
from ringfence.client.plan import Plan, transaction
from ringfence.client.refusals.vault import (
    AnnouncementError,
    CollectionEarlyError,
    ExcessError,
    NotCuratorError,
    NotGuardianError,
    NotPendingCuratorError,
)
from ringfence.client.units import ZERO_ADDRESS
from ringfence.evm.abi import AbiValue
from ringfence.math.authority import COLLECTION_DELAY, COLLECTION_EXPIRY, MAX_PAUSE

PAUSE_END = 300
"""Soonest end of a pause, seconds from the latest block: time for a transaction to be mined."""


@dataclass(frozen=True, slots=True)
class Governor:
    """An account that is, or would be, curator or guardian of a market."""

    market: Market = field(repr=False)
    address: str

    def set_caps(self, supply_cap: int | None, debt_cap: int | None) -> Plan:
        """Plan to bound cash + debt, and debt, asset units; None leaves a cap as it is."""
        state, asset = self.market.state(), self.market.asset
        supply = state.supply_cap if supply_cap is None else supply_cap
        debt = state.debt_cap if debt_cap is None else debt_cap
        caps = f"{asset.text(supply)} and {asset.text(debt)}"
        old = f"{asset.text(state.supply_cap)} and {asset.text(state.debt_cap)}"
        return self._plan(
            state,
            f"bound supply to {asset.text(supply)} and debt to {asset.text(debt)}",
            "set_caps",
            supply,
            debt,
            facts={"guardian may only lower caps": (caps, old)},
        )

    def pause(self, seconds: int) -> Plan:
        """Plan to pause new risk for so many seconds from now; 0 ends a pause (curator only).

        At least PAUSE_END from now: the vault refuses an end that is past when it is mined.
        """
        state = self.market.state()
        until = state.now + max(seconds, PAUSE_END)
        ended = moment(state.paused_until + MAX_PAUSE)
        return self._plan(
            state,
            f"pause new risk until {moment(until)}",
            "pause_new_risk",
            until,
            facts={
                "pause must end within 7 days": (moment(until), moment(state.now + MAX_PAUSE)),
                "last pause ended < 7 days ago": (None, f"not before {ended}"),
            },
        )

    def set_guardian(self, guardian: str) -> Plan:
        """Plan to appoint a guardian."""
        return self._plan(
            self.market.state(), f"make {guardian} the guardian", "set_guardian", guardian
        )

    def hand_over(self, curator: str) -> Plan:
        """Plan the first step of handing the curator's office over."""
        what = f"name {curator}, who may then accept, as the next curator"
        return self._plan(self.market.state(), what, "transfer_curator", curator)

    def accept(self) -> Plan:
        """Plan the second step, by the next curator."""
        return self._plan(self.market.state(), "become the curator", "accept_curator")

    def announce(self, amount: int) -> Plan:
        """Plan to announce that so many asset units of the reserve's excess will be collected."""
        state, asset = self.market.state(), self.market.asset
        return self._plan(
            state,
            f"announce the collection of {asset.text(amount)}, possible from "
            f"{moment(state.now + COLLECTION_DELAY)}",
            "announce_reserve_collection",
            amount,
            facts={ExcessError.reason: (asset.text(amount), asset.text(state.excess))},
        )

    def collect(self, receiver: str) -> Plan:
        """Plan to pay out what was announced 3 to 10 days ago."""
        state, asset = self.market.state(), self.market.asset
        amount = asset.text(state.pending_collection)
        first = moment(state.announced_at + COLLECTION_DELAY)
        last = moment(state.announced_at + COLLECTION_EXPIRY)
        expired = f"announced {moment(state.announced_at)}" if state.announced_at else "none"
        return self._plan(
            state,
            f"collect {amount} of the reserve for {receiver}",
            "collect_reserve",
            receiver,
            facts={
                CollectionEarlyError.reason: (f"it is {moment(state.now)}", f"not before {first}"),
                AnnouncementError.reason: (expired, last if state.announced_at else None),
                ExcessError.reason: (amount, asset.text(state.excess)),
                "not enough cash": (amount, asset.text(state.sheet.cash)),
            },
        )

    def _plan(
        self,
        state: MarketState,
        what: str,
        name: str,
        *arguments: AbiValue,
        facts: Facts | None = None,
    ) -> Plan:
        offices: Facts = {
            NotCuratorError.reason: (self.address, state.curator),
            NotGuardianError.reason: (self.address, _named(state.curator, state.guardian)),
            NotPendingCuratorError.reason: (self.address, _named(state.pending_curator)),
        }
        one = transaction(
            "MarginVault",
            self.market.address,
            what,
            name,
            *arguments,
            facts={**offices, **(facts or {})},
        )
        return Plan(self.market.node, self.address, (one,))


def _named(*offices: str) -> str:
    """Return the holders of some offices in words, vacant ones left out."""
    return ", ".join(one for one in offices if one != ZERO_ADDRESS) or "nobody"
