"""Curator and guardian: caps, an expiring pause, the reserve's excess, the hand-over.

Mirrors contracts/modules/authority.vy. Times in seconds, amounts in asset units.
"""

from __future__ import annotations

from dataclasses import replace

from ringfence.math.balance_sheet import BalanceSheet, reserve_down, total_debt_up
from ringfence.math.errors import RevertError, check_cash, check_not_zero
from ringfence.math.fixed_point import WAD, div_up
from ringfence.math.vault_state import Call, VaultState, entry_point

MAX_PAUSE = 7 * 86_400
COLLECTION_DELAY = 3 * 86_400
COLLECTION_EXPIRY = 10 * 86_400

CURATOR = "authority.curator"
GUARDIAN = "authority.guardian"
PENDING_CURATOR = "authority.pending_curator"
PENDING_AMOUNT = "authority._pending_amount"
ANNOUNCED_AT = "authority._announced_at"


class Authority(VaultState):
    """What curator and guardian may do; nothing of it stops an exit (AUTH-2)."""

    def appoint(self, curator: int, guardian: int) -> None:
        """Write and log what the constructor of `authority` does."""
        self._write(CURATOR, curator)
        self._write(GUARDIAN, guardian)
        self.log("CuratorTransferred", curator=curator)
        self.log("GuardianSet", guardian=guardian)

    @entry_point
    def set_caps(self, call: Call, supply_cap: int, debt_cap: int) -> None:
        """Bound cash + total debt, and total debt; the guardian only down."""
        fields = self.load_limits()
        if call.caller != self.curator:
            self._check_guardian(call)
            if supply_cap > fields.supply_cap or debt_cap > fields.debt_cap:
                raise RevertError("guardian may only lower caps")
        self.store_limits(replace(fields, supply_cap=supply_cap, debt_cap=debt_cap))
        self.log("CapsSet", supply_cap=supply_cap, debt_cap=debt_cap)

    @entry_point
    def pause_new_risk(self, call: Call, until: int) -> None:
        """Stop new risk up to a time; the curator may also end a pause early."""
        if not call.now <= until <= call.now + MAX_PAUSE:
            raise RevertError("pause must end within 7 days")
        fields = self.load_limits()
        if call.caller != self.curator:
            self._check_guardian(call)
            if call.now < fields.paused_until + MAX_PAUSE:
                raise RevertError("last pause ended < 7 days ago")
        self.store_limits(replace(fields, paused_until=until))
        self.log("NewRiskPaused", until=until)

    @entry_point
    def set_guardian(self, call: Call, guardian: int) -> None:
        """Appoint the guardian."""
        self._check_curator(call)
        self._write(GUARDIAN, guardian)
        self.log("GuardianSet", guardian=guardian)

    @entry_point
    def transfer_curator(self, call: Call, new_curator: int) -> None:
        """Name who may accept the hand-over."""
        self._check_curator(call)
        self._write(PENDING_CURATOR, new_curator)
        self.log("CuratorTransferStarted", new_curator=new_curator)

    @entry_point
    def accept_curator(self, call: Call) -> None:
        """Become curator."""
        if call.caller != self.pending_curator:
            raise RevertError("caller is not pending curator")
        self._write(CURATOR, call.caller)
        self._write(PENDING_CURATOR, 0)
        self.log("CuratorTransferred", curator=call.caller)

    @entry_point
    def announce_reserve_collection(self, call: Call, amount: int) -> None:
        """Announce that part of the reserve's excess will be collected."""
        self._check_curator(call)
        check_not_zero(amount)
        self._check_excess(amount, self.accrue_in_memory(call))
        self._write(PENDING_AMOUNT, amount)
        self._write(ANNOUNCED_AT, call.now)
        self.log(
            "ReserveCollectionAnnounced",
            amount=amount,
            executable_at=call.now + COLLECTION_DELAY,
        )

    @entry_point
    def collect_reserve(self, call: Call, receiver: int) -> None:
        """Pay out the announced amount if it is still in excess."""
        self._check_curator(call)
        amount = self._read(PENDING_AMOUNT)
        elapsed = call.now - self._read(ANNOUNCED_AT)
        if elapsed < COLLECTION_DELAY:
            raise RevertError("collection is too early")
        if elapsed > COLLECTION_EXPIRY:
            raise RevertError("announcement has expired")
        sheet = self.accrue_in_memory(call)
        self._check_excess(amount, sheet)
        check_cash(amount, sheet.cash)
        self.store_accrued(replace(sheet, cash=sheet.cash - amount))
        self._write(ANNOUNCED_AT, 0)
        self.push(self.asset, receiver, amount)
        self.log("ReserveCollected", receiver=receiver, amount=amount)

    @property
    def curator(self) -> int:
        """Who sets caps, appoints the guardian and collects the reserve's excess."""
        return self._read(CURATOR)

    @property
    def guardian(self) -> int:
        """Who may lower caps and pause new risk."""
        return self._read(GUARDIAN)

    @property
    def pending_curator(self) -> int:
        """Who may accept the hand-over, 0 when none is under way."""
        return self._read(PENDING_CURATOR)

    def pending_collection(self) -> tuple[int, int]:
        """Return the announced amount and when it was announced, 0 when there is none."""
        return self._read(PENDING_AMOUNT), self._read(ANNOUNCED_AT)

    def _check_curator(self, call: Call) -> None:
        if call.caller != self.curator:
            raise RevertError("caller is not the curator")

    def _check_guardian(self, call: Call) -> None:
        if call.caller != self.guardian:
            raise RevertError("caller is not the guardian")

    def _check_excess(self, amount: int, sheet: BalanceSheet) -> None:
        kept = div_up(total_debt_up(sheet) * self.params.reserve_target, WAD)
        if amount + kept > reserve_down(sheet):
            raise RevertError("amount exceeds the excess")

    def _read(self, name: str) -> int:
        return self.storage.load((self.address, name))

    def _write(self, name: str, word: int) -> None:
        self.storage.store((self.address, name), word)
