"""The largest value of what the vault's arithmetic starts from, with the reason for each.

Keys: a module, then "function(parameter)" for what a function is called with, which every call is
held to, or "function: expression" for what holds inside it, by a guard that is named; of whole
operations, the expression as it stands in the source. A row's bound is the largest value.
"""

from __future__ import annotations

from typing import TypeAlias

from ringfence.math.balance_sheet import MAX_ASSETS, MAX_INDEX, MAX_SHARES, MAX_TIME
from ringfence.math.fixed_point import MAX_UINT256, PRICE_SCALE, WAD
from ringfence.math.lender_shares import MIN_SUPPLY_INDEX
from ringfence.math.limits import MAX_CAP
from ringfence.math.position_slot import MAX_COLLATERAL, MAX_SCALED_DEBT
from ringfence.math.rates import MAX_RATE
from verification.proofs.lemmas.given import MIN_LTV_GAP

Rows: TypeAlias = dict[str, dict[str, tuple[int, str]]]

AMOUNT = 2**113 - 1
"""What errors._check_width lets through."""

SCALED_IN_MEMORY = 2**113
"""Scaled debt before the store refuses it: 2**104 and what 2**112 of cash can borrow."""

CASH_IN_MEMORY = 2**140
"""Cash before the store refuses it: 2**112 and a payment below 2**139."""

SHARES_IN_MEMORY = MAX_SHARES + MAX_CAP * WAD // MIN_SUPPLY_INDEX
"""Shares before the store refuses them: new ones at MIN_SUPPLY_INDEX or above."""

DEBT = -(-MAX_SCALED_DEBT * MAX_INDEX // WAD)
TOTAL_DEBT = -(-SCALED_IN_MEMORY * MAX_INDEX // WAD)
VALUE = MAX_UINT256 // PRICE_SCALE
LIQUIDATED_VALUE = DEBT * WAD // (2 * MIN_LTV_GAP) + 1
"""Unhealthy, so value * liquidation_ltv < debt * 1e18, and every liquidation LTV is 1 % or more."""

FIELDS = {
    "collateral": MAX_COLLATERAL,
    "scaled_debt": MAX_SCALED_DEBT,
    "total_shares": SHARES_IN_MEMORY,
    "cash": CASH_IN_MEMORY,
    "last_accrual": MAX_TIME,
    "total_scaled_debt": SCALED_IN_MEMORY,
    "debt_index": MAX_INDEX,
    "supply_index": MAX_INDEX,
    "supply_cap": MAX_CAP,
    "debt_cap": MAX_CAP,
    "paused_until": MAX_TIME,
    "timestamp": MAX_TIME,
    "liquidation_ltv": WAD,
    "target_ltv": WAD,
    "INITIAL_LTV": WAD,
    "RESERVE_TARGET": WAD,
    "base_bonus": WAD,
    "reserve_cut": WAD,
    "min_debt": MAX_ASSETS,
    "repaid": LIQUIDATED_VALUE,
    "cut": LIQUIDATED_VALUE,
}
"""Fields of the structs and of `block`: their widths in storage, in memory for the books, and the
factory's bounds. A liquidation is paid for with no more than the value seized, and cut below it."""

VALUE_NEEDED = -(-DEBT * WAD // MIN_LTV_GAP)

RESULTS: Rows = {
    "balance_sheet": {"_socialise": (MAX_INDEX, "liquidation_spends_the_reserve_first")},
    "health": {
        "_debt_up": (DEBT, "of a position that is stored, where anything is computed from it"),
        "_scaled_down": (VALUE, "at most the amount: an index is at least 1e18"),
        "_scaled_up": (2**112, "of an amount within cash, at an index of at least 1e18"),
        "_value_down": (VALUE, "the quotient of a word and 1e36"),
    },
    "liquidation": {"_beta": (2 * WAD, "at most beta_max <= 2: VaultFactory._check_bonus")},
    "operators": {"_authorise": (20_000, "10,000 and a loss bound of at most 10,000")},
}
"""What functions return where the sources alone would say more."""

OPERANDS: Rows = {
    "MarginVault": {
        "_adjust: added": (2**255, "half of a signed word, and one"),
        "_adjust: repaid": (DEBT, "clamped to the debt by _repay_amounts"),
        "_adjust(max_value_out)": (20_000, "operators._authorise"),
        "_adjust: borrowed": (2**112 - 1, "errors._check_cash"),
        "_adjust: removed": (MAX_COLLATERAL, "more than there is reverts"),
        "_split: convert(unsafe_sub(-1, delta), uint256)": (2**255 - 1, "of a negative delta"),
        "fund_reserve: amount": (AMOUNT, "errors._check_amount"),
    },
    "accrual": {
        "_accrue: rate": (MAX_RATE, "_borrow_rate"),
        "_now: self._borrow_rate(stored)[0]": (MAX_RATE, "_borrow_rate"),
        "_grow(rate)": (MAX_RATE, "_borrow_rate, and the factory for the fallback"),
        "_grow: index_growth": (MAX_INDEX, "a debt index is at least 1e18"),
        "_grow: utilisation": (WAD, "debt is part of the assets"),
    },
    "balance_sheet": {
        "_check_room(cash)": (CASH_IN_MEMORY, "a field of the books"),
        "_check_room(total_debt)": (TOTAL_DEBT, "_total_debt_up"),
    },
    "errors": {"_raise: i": (31, "range(32)")},
    "fixed_point": {"_div_up(dividend)": (MAX_UINT256, "any word")},
    "health": {
        "_debt_up(scaled_debt)": (SCALED_IN_MEMORY, "before the position is stored"),
        "_scaled_up(amount)": (VALUE, "within cash"),
        "_scaled_down(amount)": (VALUE, "a repayment below the debt, a cap or a bound"),
        "_repay_amounts: repaid": (DEBT, "below the debt"),
        "_repay_amounts: retired": (MAX_SCALED_DEBT, "lemma repayment_costs_what_it_retires"),
        "_room_down(scaled_debt)": (SCALED_IN_MEMORY, "of a position or of all"),
        "_room_down(bound)": (VALUE, "_debt_bound_down, or a cap"),
        "_value_down: max_value(uint256)": (MAX_UINT256, "its name"),
        "_is_healthy(debt)": (TOTAL_DEBT, "before the position is stored"),
        "_is_healthy(collateral_value)": (VALUE, "_value_down"),
        "_is_healthy(ltv)": (WAD, "an LTV of the factory"),
        "_ltv_up(debt)": (DEBT, "_debt_up"),
        "_backing_needed_up(debt)": (DEBT, "_debt_up"),
        "_backing_needed_up: value_needed": (VALUE_NEEDED, "every LTV is at least 0.5 %"),
        "_debt_bound_down(collateral_value)": (VALUE, "_value_down"),
        "_debt_bound_down(ltv)": (WAD, "an LTV of the factory"),
    },
    "lender_shares": {
        "_enter: assets": (AMOUNT * MAX_INDEX // WAD + 1, "113 bits, or 113 bits of shares"),
        "_enter: shares": (MAX_CAP * WAD // MIN_SUPPLY_INDEX, "assets fit under the supply cap"),
        "_enter: self.balanceOf[receiver]": (MAX_SHARES, "part of the total stored (BOOK-2)"),
        "_leave: self.balanceOf[owner]": (MAX_SHARES, "part of the total stored (BOOK-2)"),
        "_transfer: self.balanceOf[owner]": (MAX_SHARES, "part of the total stored (BOOK-2)"),
        "_transfer: self.balanceOf[receiver]": (MAX_SHARES, "part of the total stored (BOOK-2)"),
        "_transfer: amount": (MAX_SHARES, "errors._check_shares"),
        "_spend_allowance: self.allowance[owner][msg.sender]": (MAX_UINT256, "any word"),
    },
    "liquidation": {
        "_beta: ltv": (2 * WAD, "larger ones return above"),
        "_liquidate: ltv": (2 * WAD, "the left side of the `and`"),
        "_solvent(beta)": (2 * WAD, "_beta"),
        "_solvent(debt)": (DEBT, "_debt_up"),
        "_solvent(collateral_value)": (VALUE, "_value_down"),
        "_solvent: repaid": (DEBT, "at most the debt"),
        "_solvent: retired": (MAX_SCALED_DEBT, "solvent_liquidation_lowers_k"),
        "_insolvent(beta)": (2 * WAD, "_beta"),
        "_insolvent(debt)": (DEBT, "_debt_up"),
        "_insolvent: max_repay": (LIQUIDATED_VALUE, "less than the whole costs, beta at least 1"),
        "_insolvent: seized": (MAX_COLLATERAL, "insolvent_liquidation_is_pro_rata"),
    },
    "operators": {"_authorise: max_loss_bps": (10_000, "_set")},
    "position_views": {"max_borrow: amount": (CASH_IN_MEMORY, "within cash")},
    "signatures": {"_use_nonce: self.nonces[owner]": (2**64, "one more for each signature used")},
}

ARGUED: Rows = {
    "MarginVault": {
        "unsafe_sub(-1, delta)": (2**255 - 1, "signed, of a negative delta: 0 to 2**255 - 1"),
        "unsafe_sub(0, convert(amount, int256))": (0, "signed, the amount below 2**255"),
    },
    "health": {
        "unsafe_mul(collateral, price)": (MAX_UINT256, "price <= max // collateral, see above it"),
    },
    "liquidation": {
        "unsafe_mul(seized, price)": (
            (LIQUIDATED_VALUE + 1) * PRICE_SCALE,
            "at most collateral * price, whose quotient is at most LIQUIDATED_VALUE",
        ),
    },
    "position_slot": {
        "unsafe_add(word, amount << 144)": (MAX_UINT256, "the collateral stays below 2**112"),
    },
}
"""Operations whose result rests on a comparison, not on the size of the operands."""

DIFFERENCES: dict[str, dict[str, str]] = {
    "MarginVault": {
        "unsafe_sub(before.collateral, removed)": "more than there is reverts above",
        "unsafe_sub(sheet.cash, borrowed)": "errors._check_cash",
        "unsafe_sub(before.scaled_debt, retired)": "lemma repayment_costs_what_it_retires",
        "unsafe_sub(sheet.total_scaled_debt, retired)": "part of the total (BOOK-2)",
        "unsafe_sub(fields.collateral, outcome.seized)": "lemmas on LIQ-4 and LIQ-5: s <= C",
        "unsafe_sub(fields.scaled_debt, outcome.scaled_retired)": "the same lemmas: x <= n",
        "unsafe_sub(sheet.total_scaled_debt, outcome.scaled_retired)": "part of the total (BOOK-2)",
    },
    "accrual": {
        "unsafe_sub(timestamp, stored.last_accrual)": "time does not run backwards",
        "unsafe_sub(sheet.debt_index, stored.debt_index)": "lemma debt_index_never_falls",
        "unsafe_sub(fixed_point.WAD, reserve_factor)": "at most 25 %: VaultFactory._check_books",
    },
    "authority": {
        "unsafe_sub(block.timestamp, self._announced_at)": "0 or an earlier time",
        "unsafe_sub(sheet.cash, amount)": "errors._check_cash",
        "unsafe_sub(reserve, kept)": "the left side of the `or`",
    },
    "balance_sheet": {
        "unsafe_sub(self._scaled_assets(sheet), self._scaled_claims(sheet))": "BOOK-3, the lemmas",
        "unsafe_sub(sheet.supply_index, supply_index)": "liquidation_spends_the_reserve_first",
    },
    "fixed_point": {"unsafe_sub(dividend, 1)": "zero returns above"},
    "health": {
        "unsafe_sub(debt, amount)": "amount >= debt returns above",
        "unsafe_sub(debt, min_debt)": "debt >= min_debt, the line above",
        "unsafe_sub(largest, scaled_debt)": "largest <= scaled_debt returns above",
    },
    "lender_shares": {
        "unsafe_sub(balance, shares)": "errors._check_shares",
        "unsafe_sub(sheet.cash, assets)": "errors._check_cash",
        "unsafe_sub(sheet.total_shares, shares)": "a balance is part of the total (BOOK-2)",
        "unsafe_sub(balance, amount)": "errors._check_shares",
        "unsafe_sub(allowed, amount)": "more than allowed reverts above",
        "unsafe_sub(balance_sheet.MAX_SHARES, sheet.total_shares)": "the store refuses more",
        "unsafe_sub(fields.supply_cap, supply)": "supply >= supply_cap returns above",
    },
    "liquidation": {
        "unsafe_sub(unsafe_add(unsafe_add(fixed_point.WAD, risk.base_bonus), ltv), "
        "risk.liquidation_ltv)": "unhealthy: ltv > liquidation_ltv",
        "unsafe_sub(beta, fixed_point.WAD)": "beta is at least 1",
        "unsafe_sub(unsafe_mul(debt, fixed_point.WAD), "
        "unsafe_mul(collateral_value, risk.target_ltv))": "unhealthy, and target < liquidation LTV",
        "unsafe_sub(fixed_point.PRICE_SCALE, unsafe_mul(beta, risk.target_ltv))": (
            "solvent: beta * ltv < 1, and target_ltv < ltv; the lemmas found the divisor positive"
        ),
        "unsafe_sub(debt, repaid)": "the least of three, debt among them",
        "unsafe_sub(debt, risk.min_debt)": "debt <= min_debt reverts above",
        "unsafe_sub(position.scaled_debt, retired)": "lemma insolvent_liquidation_is_pro_rata",
        "unsafe_sub(debt, left)": "left is the same product of less scaled debt",
    },
    "position_slot": {
        "unsafe_sub(_MAX_COLLATERAL, collateral)": "112 bits of a word",
    },
    "position_views": {
        "unsafe_sub(max(fields.collateral, kept), kept)": "the greater of the two",
    },
}
"""Why a difference is not negative."""

CHECKED: dict[str, dict[str, str]] = {
    "lender_shares": {
        "assets * fixed_point.WAD": "views are asked of any amount",
        "shares * supply_index": "views are asked of any amount",
    },
}
"""Products that the compiler checks, which is wanted: too large an amount reverts."""
