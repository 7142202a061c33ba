"""What must hold after each action, stated without the code under test; ids open the messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ringfence.math import lender_shares
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.position_slot import PositionSlot, unpack
from ringfence.math.vault_state import POSITIONS
from tests.support.model.actions import CALLBACK_DATA, POSITION_CALLS, Action
from tests.support.model.liquidation_rules import ceil_div, check_liquidation, require
from tests.support.model.pair import slot_of
from tests.support.model.twin import Outcome, Twin

EMPTY = PositionSlot(0, 0, 0)
slot_of_word = lru_cache(maxsize=4_096)(unpack)
LENDERS_EXITS = ("withdraw", "redeem", "transferFrom")


@dataclass(frozen=True, slots=True)
class Picture:
    """A market at one moment: the books as stored and as accrued, positions, balances, shares."""

    stored: BalanceSheet
    accrued: BalanceSheet
    slots: Mapping[int, PositionSlot]
    balances: tuple[Mapping[int, int], Mapping[int, int]]
    shares: Mapping[int, int]
    now: int
    price: tuple[int, int] | None

    def debt(self, position: int) -> int:
        """Asset units owed, rounded up."""
        return ceil_div(self.slots[position].scaled_debt * self.accrued.debt_index, WAD)

    def value(self, collateral: int, price: int) -> int:
        """Asset units, rounded down."""
        return collateral * price // PRICE_SCALE

    def is_healthy(self, position: int, liquidation_ltv: int) -> bool | None:
        """At `high`; None without a price."""
        if self.price is None or not self.price[1]:
            return None
        slot = self.slots[position]
        value = self.value(slot.collateral, self.price[1])
        return self.debt(position) * WAD <= value * liquidation_ltv


class Invariants:
    """Checks each step of one twin, against the picture before it."""

    def __init__(self, twin: Twin, positions: list[int], accounts: tuple[int, ...]) -> None:
        self.twin = twin
        self.params = twin.params
        self.positions = positions
        self.accounts = (*accounts, twin.address)
        self._slots = {
            slot_of("MarginVault", (POSITIONS, position)): position for position in positions
        }
        self._books = {
            slot_of("MarginVault", (f"balance_sheet.{name}",)) for name in ("_word_1", "_word_2")
        }
        self._put_in = dict.fromkeys(positions, 0)
        self._seized = dict.fromkeys(positions, 0)
        self.situations: Counter[str] = Counter()
        self.before = self.look()

    def look(self) -> Picture:
        """Take a picture of the market."""
        mirror, storage = self.twin.mirror, self.twin.storage
        words = storage.words
        call = self.twin.call_by(0)
        quote = None if isinstance(call.quote, str) or call.quote[0] > call.quote[1] else call.quote
        address = self.twin.address
        return Picture(
            stored=mirror.load_sheet(),
            accrued=mirror.current_sheet(call),
            slots={
                one: slot_of_word(words.get((address, POSITIONS, one), 0)) for one in self.positions
            },
            balances=(
                {one: mirror.collateral.balance_of(one) for one in self.accounts},
                {one: mirror.asset.balance_of(one) for one in self.accounts},
            ),
            shares={
                one: words.get((address, lender_shares.BALANCE, one), 0) for one in self.accounts
            },
            now=self.twin.now,
            price=quote,
        )

    def permissions(self, action: Action) -> bool:
        """Whether the caller is the position's owner, or some operator of the owner."""
        owner = action.args[0] >> 96
        granted = self.twin.mirror.operator_permissions(owner, action.caller)[0]
        return action.caller == owner or granted != 0

    def check(self, action: Action, outcome: Outcome, may_act: bool) -> None:
        """Check everything after an action; `may_act` is what `permissions` said before it."""
        before, after = self.before, self.look()
        self._books_hold(after)
        if action.name in ("warp", "set_quote", "break_oracle", "set_rate", "break_rate"):
            self.before = after
            return
        if any(event.name == "RateModelFailed" for event in outcome.events):
            self.situations["the rate model failed"] += 1
        self._indices(before, after, action, outcome)
        self._wallets(before, after, action)
        self._cash(before, after, action, outcome)
        self._isolation(before, after, action, outcome)
        if action.name in POSITION_CALLS and action.args[0] in self._put_in:
            self._position(before, after, action, outcome, may_act)
        self.before = after

    # Books

    def _books_hold(self, after: Picture) -> None:
        sheet = after.stored
        vault = self.twin.address
        slots = after.slots.values()
        held = after.balances[0][vault], after.balances[1][vault]
        collateral = sum(slot.collateral for slot in slots)
        require(held[1] >= sheet.cash, "BOOK-1: the vault holds fewer assets than its cash")
        require(
            held[0] >= collateral, "BOOK-1: the vault holds less than the positions' collateral"
        )
        scaled = sum(slot.scaled_debt for slot in slots)
        require(scaled == sheet.total_scaled_debt, "BOOK-2: scaled debts do not sum to the total")
        shares = sum(after.shares.values())
        require(shares == sheet.total_shares, "BOOK-2: shares do not sum to the total")
        for one in (sheet, after.accrued):
            claims = one.total_shares * one.supply_index
            assets = one.cash * WAD + one.total_scaled_debt * one.debt_index
            require(claims <= assets, "BOOK-3: claims exceed assets")
        for slot in slots:
            require(slot.collateral > 0 or slot == EMPTY, "BOOK-3: debt without collateral")

    def _indices(self, before: Picture, after: Picture, action: Action, outcome: Outcome) -> None:
        old, new = before.stored, after.stored
        require(new.debt_index >= old.debt_index, "BOOK-4: the debt index fell")
        require(
            new.debt_index in (old.debt_index, before.accrued.debt_index),
            "BOOK-4: the debt index is neither the stored nor the accrued one",
        )
        if new.supply_index >= old.supply_index and (
            new.supply_index in (old.supply_index, before.accrued.supply_index)
        ):
            return
        events = {event.name for event in outcome.events}
        require(action.name == "liquidate", "BOOK-4: the supply index fell without a liquidation")
        require("LossSocialised" in events, "BOOK-4: lenders' loss was not emitted")
        assets = new.cash * WAD + new.total_scaled_debt * new.debt_index
        left = assets - new.total_shares * new.supply_index
        require(0 <= left < new.total_shares, "BOOK-4: lenders bear a loss that the reserve could")

    def _cash(self, before: Picture, after: Picture, action: Action, outcome: Outcome) -> None:
        vault = self.twin.address
        moved = after.balances[1][vault] - before.balances[1][vault]
        cash = after.stored.cash - before.stored.cash
        if action.name in ("donate", "give", "allow"):
            require(cash == 0, "BOOK-5: a donation moved cash")
            require(before.accrued == after.accrued, "BOOK-5: a donation changed the books")
            return
        if vault not in action.args:
            require(cash == moved, "BOOK-5: cash moved by other than the tokens moved")
        if not outcome.succeeded:
            require(before == after, "BOOK-5: a reverted call changed something")

    # Isolation

    def _wallets(self, before: Picture, after: Picture, action: Action) -> None:
        """ISO-2: tokens leave only the caller's wallet; shares also one that gave allowance."""
        for old, new in zip(before.balances, after.balances, strict=True):
            for account, balance in new.items():
                if balance < old[account]:
                    require(
                        account in (action.caller, self.twin.address),
                        "ISO-2: tokens left a wallet whose owner did not call",
                    )
        for account, shares in after.shares.items():
            if shares < before.shares[account]:
                allowed = action.name in LENDERS_EXITS and account in action.args
                require(
                    account == action.caller or allowed,
                    "ISO-2: shares left an account that did not call",
                )

    def _isolation(self, before: Picture, after: Picture, action: Action, outcome: Outcome) -> None:
        changed = {self._slots[slot] for slot in outcome.diff if slot in self._slots}
        target = {action.args[0]} if action.name in POSITION_CALLS else set()
        require(changed <= target, "ISO-1: another position's slot changed")
        if action.name in POSITION_CALLS:
            allowed = self._books | {
                slot for slot, position in self._slots.items() if position in target
            }
            if action.name == "top_up":
                allowed -= self._books
            if target <= set(self._put_in):
                require(set(outcome.diff) <= allowed, "ISO-1: another word of the vault changed")
        for one in self.positions:
            if one not in target:
                require(before.slots[one] == after.slots[one], "ISO-1: another position changed")

    # One position

    def _position(
        self, before: Picture, after: Picture, action: Action, outcome: Outcome, may_act: bool
    ) -> None:
        position = action.args[0]
        old, new = before.slots[position], after.slots[position]
        healthy = before.is_healthy(position, self.params.liquidation_ltv)
        if action.name != "liquidate":
            self._put_in[position] += max(new.collateral - old.collateral, 0)
            if not may_act:
                require(new.collateral >= old.collateral, "ISO-4: a stranger took collateral")
                require(new.scaled_debt <= old.scaled_debt, "ISO-4: a stranger raised debt")
        elif old.scaled_debt == 0:
            require(old == new, "ISO-5: a debt-free position was liquidated")
        if not may_act and healthy:
            still = after.is_healthy(position, self.params.liquidation_ltv)
            require(still is not False, "LIQ-2: a stranger made a healthy position liquidatable")
        if action.name == "liquidate" and old.scaled_debt:
            self._edge(before, position)
        if not outcome.succeeded:
            return
        if len(action.args[-1:]) and action.args[-1] == CALLBACK_DATA:
            self.situations[f"{action.name} with a callback"] += 1
        if action.name in ("adjust", "close"):
            self._new_risk(after, old, new, position)
            self._borrowing(before, after, action, outcome)
        if action.name == "liquidate":
            require(healthy is False, "LIQ-3: a position within its LTV was liquidated")
            require(
                old.last_risk_increase < before.now, "LIQ-3: liquidated in its last risk's block"
            )
            self._liquidation(before, after, action, outcome)

    def _edge(self, before: Picture, position: int) -> None:
        """Note a liquidation that was tried with the price at its threshold, or a unit below."""
        if before.price is None or not before.price[1]:
            return
        debt, collateral = before.debt(position) * WAD, before.slots[position].collateral
        below, at, above = (
            before.value(collateral, before.price[1] + n) * self.params.liquidation_ltv >= debt
            for n in (-1, 0, 1)
        )
        if at and not below:
            self.situations["liquidation tried at the liquidation LTV"] += 1
        if above and not at:
            self.situations["liquidation tried a unit of price below it"] += 1

    def _new_risk(
        self, after: Picture, old: PositionSlot, new: PositionSlot, position: int
    ) -> None:
        borrowed = new.scaled_debt > old.scaled_debt
        withdrawn = new.collateral < old.collateral and new.scaled_debt > 0
        if not (borrowed or withdrawn):
            return
        if (
            new.scaled_debt < old.scaled_debt
            and new.scaled_debt * old.collateral <= old.scaled_debt * new.collateral
        ):
            self.situations["reduce-only"] += 1
            if after.price is None or after.price[0] == 0:
                self.situations["reduce-only without a price"] += 1
            return
        require(after.price is not None, "LIQ-1: risk was taken on without a price")
        low = 0 if after.price is None else after.price[0]
        require(low > 0, "LIQ-1: risk was taken on at a price of zero")
        debt = after.debt(position)
        bound = after.value(new.collateral, low) * self.params.initial_ltv
        require(debt * WAD <= bound, "LIQ-1: the LTV is above the initial one")
        if bound < (debt + 1) * WAD:
            self.situations["new risk up to the initial LTV"] += 1
        require(debt >= self.params.min_debt, "LIQ-1: the debt is below min_debt")
        require(new.last_risk_increase == after.now, "LIQ-3: new risk was not dated")

    def _borrowing(self, before: Picture, after: Picture, action: Action, outcome: Outcome) -> None:
        position = action.args[0]
        moved = outcome.value[1]
        grown = after.debt(position) - before.debt(position)
        most = ceil_div(before.accrued.debt_index, WAD)
        require(moved <= max(grown, 0) or moved <= 0, "RND-2: more was lent than is owed")
        require(grown <= moved + most, "RND-2: the debt grew by more than a unit of scaled debt")

    def _liquidation(
        self, before: Picture, after: Picture, action: Action, outcome: Outcome
    ) -> None:
        position = action.args[0]
        old, new = before.slots[position], after.slots[position]
        seized, paid = outcome.value
        self._seized[position] += seized
        require(
            self._seized[position] <= self._put_in[position],
            "ISO-2: liquidators took more than was put in",
        )
        [event] = [event for event in outcome.events if event.name == "Liquidated"]
        repaid, cut, loss = (event.args[name] for name in ("repaid", "cut", "loss"))
        require(repaid + cut == paid, "LIQ-6: what was pulled is not repayment and cut")
        require(repaid <= action.args[1], "LIQ-6: more was repaid than max_repay")
        high = 0 if before.price is None else before.price[1]
        if loss:
            events = {event.name for event in outcome.events}
            bearer = "lenders" if "LossSocialised" in events else "the reserve alone"
            self.situations[f"loss borne by {bearer}"] += 1
        index = before.accrued.debt_index
        solvent = check_liquidation(old, new, index, high, self.params.risk, repaid, loss)
        extent = "part" if new.scaled_debt else "all"
        case = "solvent" if solvent else "insolvent"
        self.situations[f"{case} liquidation, {extent} of the debt"] += 1
