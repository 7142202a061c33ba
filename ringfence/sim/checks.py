"""What must be true of a run: each check is decided by what the chain says, and can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ringfence.math import health, position_slot
from ringfence.math.balance_sheet import BalanceSheet, scaled_assets, scaled_claims
from ringfence.math.fixed_point import WAD
from ringfence.risk.prices.waypoints import HOUR
from ringfence.sim.chronicle import Entry, position_slot_of
from ringfence.sim.evidence import mirror_differs
from ringfence.sim.history import DECIMALS, POSITION_EVENTS, History
from ringfence.sim.replay import replay
from ringfence.sim.result import (
    Check,
    Conservation,
    Keeper,
    Liquidation,
    Market,
    Position,
    Step,
)
from ringfence.sim.scenario import Scenario

_LEAST_ACCOUNTS = 12
_LEAST_POSITIONS = 24
_TWICE = 1.99
"""Twice, when the pool's fee is paid out of the position."""

_NEAR_THE_MOST = 0.999
_FEED_ROUNDING = 1e-8
"""A feed has eight decimal places."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a check may look at; `sheets` are the vaults' books at the end, by address."""

    scenario: Scenario
    history: History
    sheets: Mapping[str, BalanceSheet]
    steps: tuple[Step, ...]
    markets: tuple[Market, ...]
    positions: tuple[Position, ...]
    liquidations: tuple[Liquidation, ...]
    keeper: Keeper
    conservation: tuple[Conservation, ...]
    keeper_off: tuple[tuple[int, int], ...]
    crash_end: int

    def position(self, market: str, position_id: int) -> Position:
        """Return a position by its market and id."""
        return next(
            one for one in self.positions if (one.market, one.position_id) == (market, position_id)
        )


_Answer = tuple[bool, str]


# What holds in every run


def _liquidations_isolated(found: Findings) -> _Answer:
    """ISO-1: the state diff of each liquidation is the one slot and the two words."""
    bad = [one.tx_hash for one in found.liquidations if not one.isolated]
    if bad:
        return False, f"ISO-1: {len(bad)} changed more than one slot and two words: {bad[0]}"
    return bool(found.liquidations), f"{len(found.liquidations)} state diffs, three words each"


def _transactions_isolated(found: Findings) -> _Answer:
    """ISO-1 and ISO-6 for every transaction: no position and no vault changes unannounced."""
    history = found.history
    known = {
        vault: {position_slot_of(one): one for one in ids} for vault, ids in _ids(found).items()
    }
    for tx_hash, entries in history.by_transaction.items():
        named = {
            (one.event.address, one.event["position_id"])
            for one in entries
            if one.event.name in POSITION_EVENTS
        }
        speaking = {one.event.address for one in entries}
        for vault in history.venues:
            words = history.diffs[tx_hash].get(vault, {})
            if words and vault not in speaking:
                return False, f"ISO-6: {tx_hash} changed {vault} without a word of it"
            for slot in words.keys() & known[vault].keys():
                if (vault, known[vault][slot]) not in named:
                    return False, f"ISO-1: {tx_hash} changed {known[vault][slot]:#x} unannounced"
    return True, f"{len(history.by_transaction)} state diffs, no position changed unannounced"


def _liquidations_match_mirror(found: Findings) -> _Answer:
    lines = mirror_differs(found.history)
    return not lines, lines[0] if lines else "seized, repaid, cut and loss to the unit"


def _events_rebuild_slots(found: Findings) -> _Answer:
    """BOOK-7: the last event of each position carries the word that its slot holds."""
    checked = 0
    for vault, ids in _ids(found).items():
        words = found.history.chronicle.words(vault, [position_slot_of(one) for one in ids])
        for position_id, word in zip(ids, words, strict=True):
            entries = found.history.by_position[vault, position_id]
            if entries[-1].event["slot"] != word:
                return False, f"BOOK-7: position {position_id:#x} of {vault} holds {word:#x}"
            checked += 1
    return True, f"{checked} slots"


def _ids(found: Findings) -> dict[str, list[int]]:
    ids: dict[str, list[int]] = {vault: [] for vault in found.history.venues}
    for vault, position_id in found.history.by_position:
        ids[vault].append(position_id)
    return ids


def _tokens_conserved(found: Findings) -> _Answer:
    bad = [one for one in found.conservation if one.balances != one.supply]
    if bad:
        return False, "; ".join(
            f"{one.token}: {one.balances} held, {one.supply} exist" for one in bad
        )
    return True, ", ".join(f"{one.token} ({one.holders} holders)" for one in found.conservation)


def _books_match_tokens(found: Findings) -> _Answer:
    """BOOK-1, with equality: nobody has given a vault anything past its books."""
    for address, venue in found.history.venues.items():
        cash, collateral = found.history.chronicle.views(
            [
                (venue.asset, "balanceOf", (address,)),
                (venue.collateral, "balanceOf", (address,)),
            ]
        )
        slots = _slots(found, address)
        booked = found.sheets[address].cash, sum(one.collateral for one in slots)
        if (cash, collateral) != booked:
            return False, f"BOOK-1: {venue.id} holds {(cash, collateral)}, its books say {booked}"
    return True, f"{len(found.history.venues)} vaults, asset and collateral to the unit"


def _slots(found: Findings, vault: str) -> list[position_slot.PositionSlot]:
    slots = [position_slot_of(one) for one in _ids(found)[vault]]
    return [position_slot.unpack(word) for word in found.history.chronicle.words(vault, slots)]


def _books_match_positions(found: Findings) -> _Answer:
    """BOOK-2: the positions' scaled debt and the lenders' shares add up to the books'."""
    supplies = {one.token: one.balances for one in found.conservation}
    for address, venue in found.history.venues.items():
        scaled = sum(one.scaled_debt for one in _slots(found, address))
        shares = supplies[venue.market.file.symbol]
        sheet = found.sheets[address]
        if (scaled, shares) != (sheet.total_scaled_debt, sheet.total_shares):
            return False, f"BOOK-2: {venue.id} adds up to {(scaled, shares)}"
    return True, "scaled debt and shares of every vault to the unit"


def _reserves_not_negative(found: Findings) -> _Answer:
    """BOOK-3, exactly, after the run."""
    for address, sheet in found.sheets.items():
        if scaled_claims(sheet) > scaled_assets(sheet):
            return False, f"BOOK-3: {found.history.venues[address].id} owes more than it has"
    return True, "claims at most cash and debt, exactly"


def _periphery_holds_nothing(found: Findings) -> _Answer:
    stage = found.history.stage
    held = found.history.chronicle.views(
        (token, "balanceOf", (holder.address,))
        for holder in (stage.router, stage.liquidator)
        for token in (stage.weth, stage.usdc)
    )
    return not any(held), f"router and liquidator hold {sum(held)} units"


def _keeper_profit_in_wallet(found: Findings) -> _Answer:
    """Compare the profits that the liquidator reported with what arrived in the wallet."""
    stage = found.history.stage
    for symbol, token in (("WETH", stage.weth), ("USDC", stage.usdc)):
        change = 0
        before = found.history.first_block
        for entry in found.history.chronicle.events([token]):
            if entry.event.name == "Transfer" and entry.block > before:
                sender, receiver, amount = entry.event.args.values()
                change += amount * (receiver == found.keeper.address)
                change -= amount * (sender == found.keeper.address)
        if change != found.keeper.profits[symbol]:
            return False, f"{symbol}: {change} arrived, {found.keeper.profits[symbol]} reported"
    return True, "reported profit is what arrived, both tokens"


def _feed_followed_market(found: Findings) -> _Answer:
    limit = float(found.scenario.feed.deviation)
    worst = max(abs(one.market / one.feed - 1) for one in found.steps)
    return worst < limit + _FEED_ROUNDING, f"at most {worst:.3%} off (limit {limit:.1%})"


# What the scenario was written to show


def _vectorised_engine_agrees(found: Findings) -> _Answer:
    """Ask the risk engine, of every position at every step, what the vault said."""
    run = replay(found.steps, found.markets, found.positions, DECIMALS)
    wrong = [one.position for one in run.tracks if one.differs.any()]
    if wrong:
        return False, ", ".join(f"{one.account} in {one.market}" for one in wrong)
    return True, f"{len(run.tracks) * len(found.steps):,} position-steps, due as the vault says"


def _enough_accounts(found: Findings) -> _Answer:
    count = len({one.account for one in found.positions})
    return count >= _LEAST_ACCOUNTS, f"{count} accounts (at least {_LEAST_ACCOUNTS})"


def _enough_positions(found: Findings) -> _Answer:
    count = len(found.positions)
    return count >= _LEAST_POSITIONS, f"{count} positions (at least {_LEAST_POSITIONS})"


def _several_positions_per_account(found: Findings) -> _Answer:
    counts = Counter(one.account for one in found.positions)
    return min(counts.values()) > 1, f"{min(counts.values())} to {max(counts.values())} each"


def _leverage_up_to_the_most(found: Findings) -> _Answer:
    """From twice up to the most that each market allows."""
    ranges = []
    for market in found.markets:
        levers = [one.leverage for one in found.positions if one.market == market.name]
        most = 1 / (1 - market.initial_ltv)
        if not levers or max(levers) < _NEAR_THE_MOST * most:
            return False, f"{market.name}: at most {max(levers, default=0):.2f} of {most:.2f}"
        ranges.append(f"{market.name} {min(levers):.2f} to {max(levers):.2f}")
    least = min(one.leverage for one in found.positions)
    return _TWICE <= least <= 2, ", ".join(ranges)


def _longs_and_shorts(found: Findings) -> _Answer:
    counts = Counter(one.side for one in found.positions)
    return len(counts) == 2, f"{counts['long']} long, {counts['short']} short"


def _last_index(history: History, vault: str, place: tuple[int, int]) -> int:
    """Return the last debt index that an event of a vault carried before a place: a lower bound."""
    index = WAD
    for entry in history.entries:
        if (entry.block, entry.index) >= place:
            return index
        if entry.event.address == vault:
            index = entry.event.args.get("debt_index", index)
    return index


def _would_have_failed(found: Findings, entries: Sequence[Entry], at: int) -> bool:
    """Return whether a position would have been liquidatable later without its top-ups from `at`.

    At any of the feed's later answers, with no more debt than it had when it was topped up.
    """
    history, first = found.history, entries[at]
    vault = first.event.address
    venue = history.venues[vault]
    before = position_slot.unpack(history.slot_before(first))
    index = _last_index(history, vault, (first.block, first.index))
    debt = health.debt_up(before.scaled_debt, index)
    limit = venue.vault.parameters().liquidation_ltv
    until = next(
        (one.time for one in entries[at + 1 :] if one.event.name == "Adjusted"),
        history.entries[-1].time,
    )
    return any(
        not health.is_healthy(
            debt, health.value_down(before.collateral, history.price_of(venue, time)), limit
        )
        for time, _answer in history.prices.ether
        if first.time < time <= until
    )


def _topped_up(found: Findings) -> list[tuple[Sequence[Entry], int, bool]]:
    """Return (events, number of the first top-up, liquidated later) of each topped-up position."""
    result: list[tuple[Sequence[Entry], int, bool]] = []
    for entries in found.history.by_position.values():
        names = [entry.event.name for entry in entries]
        if "ToppedUp" in names:
            at = names.index("ToppedUp")
            result.append((entries, at, "Liquidated" in names[at:]))
    return result


def _top_up_saved(found: Findings) -> _Answer:
    saved = [
        entries[0].event["account"]
        for entries, at, liquidated in _topped_up(found)
        if not liquidated and _would_have_failed(found, entries, at)
    ]
    names = ", ".join(found.history.names[one] for one in saved)
    return bool(saved), f"{names or 'nobody'}: never liquidated, and would have been without it"


def _top_up_in_vain(found: Findings) -> _Answer:
    lost = [
        found.history.names[entries[0].event["account"]]
        for entries, _at, liquidated in _topped_up(found)
        if liquidated
    ]
    return bool(lost), f"{', '.join(lost) or 'nobody'}: liquidated all the same"


def _of_kind(found: Findings, kind: str) -> _Answer:
    count = sum(1 for one in found.liquidations if one.kind == kind)
    return count > 0, f"{count} {kind} liquidations"


def _partial_liquidation(found: Findings) -> _Answer:
    return _of_kind(found, "partial")


def _full_liquidation(found: Findings) -> _Answer:
    return _of_kind(found, "full")


def _loss_absorbed_by_reserve(found: Findings) -> _Answer:
    count = sum(1 for one in found.liquidations if one.loss and not one.loss_to_lenders)
    return count > 0, f"{count} insolvent positions that cost lenders nothing"


def _loss_reached_lenders(found: Findings) -> _Answer:
    """BOOK-4: and only there did the supply index fall."""
    losses = [one for one in found.liquidations if one.loss_to_lenders]
    fallen = _markets_whose_index_fell(found)
    booked = {one.market for one in losses}
    return bool(losses) and fallen == booked, f"{len(losses)} in {', '.join(sorted(booked))}"


def _markets_whose_index_fell(found: Findings) -> set[str]:
    fallen = set()
    for address, venue in found.history.venues.items():
        indices = [
            entry.event["supply_index"]
            for entry in found.history.entries
            if entry.event.address == address and "supply_index" in entry.event.args
        ]
        if any(after < before for before, after in pairwise(indices)):
            fallen.add(venue.id)
    return fallen


def _short_closed_in_profit(found: Findings) -> _Answer:
    won = [
        one
        for one in found.positions
        if one.side == "short" and one.status == "closed" and one.taken_out > one.put_in
    ]
    told = ", ".join(f"{one.account} {one.result / 10**6:+,.2f}" for one in won)
    return bool(won), f"{told or 'nobody'} USDC"


def _short_liquidated_in_rebound(found: Findings) -> _Answer:
    sides = {market.name: market.side for market in found.markets}
    late = [
        one.account
        for one in found.liquidations
        if sides[one.market] == "short" and one.time > found.crash_end
    ]
    return bool(late), f"{len(late)} liquidations of {', '.join(sorted(set(late))) or 'nobody'}"


def _account_lost_one_kept_others(found: Findings) -> _Answer:
    """ISO-1, as an owner sees it: words of the others before and after, read from storage."""
    kept = []
    for account in sorted({one.account for one in found.positions}):
        mine = [one for one in found.positions if one.account == account]
        lost = {one.position_id for one in mine if one.status == "liquidated"}
        events = [
            entry
            for entry in found.history.liquidated
            if found.history.names[entry.event["account"]] == account
        ]
        untouched = {one.position_id for one in mine} - {e.event["position_id"] for e in events}
        for entry in events:
            changed = _changed_others(found, mine, entry)
            if changed:
                return False, f"ISO-1: {entry.tx_hash} changed {changed} of {account}"
        if lost and any(_same_to_the_end(found, mine, one, events[0]) for one in untouched):
            kept.append(account)
    return bool(kept), f"{', '.join(kept) or 'nobody'}: the others' words are the same to the bit"


def _vault_of(found: Findings, market: str) -> str:
    return found.history.stage.venues[market].vault.address


def _changed_others(found: Findings, mine: Sequence[Position], entry: Entry) -> list[str]:
    """Return the account's other positions whose words differ across a liquidation's block."""
    changed = []
    for one in mine:
        vault = _vault_of(found, one.market)
        if (vault, one.position_id) == (entry.event.address, entry.event["position_id"]):
            continue
        slot = [position_slot_of(one.position_id)]
        before = found.history.chronicle.words(vault, slot, entry.block - 1)
        if before != found.history.chronicle.words(vault, slot, entry.block):
            changed.append(hex(one.position_id))
    return changed


def _same_to_the_end(
    found: Findings, mine: Sequence[Position], position_id: int, entry: Entry
) -> bool:
    """Return whether a position open before a liquidation has the same word at the end."""
    one = next(position for position in mine if position.position_id == position_id)
    vault, slot = _vault_of(found, one.market), [position_slot_of(position_id)]
    before = found.history.chronicle.words(vault, slot, entry.block - 1)
    return before[0] != 0 and before == found.history.chronicle.words(vault, slot)


def _keeper_stood_still(found: Findings) -> _Answer:
    """Find half an hour of the hour with the greatest fall in which the keeper did nothing."""
    step = found.steps[1].time - found.steps[0].time
    hour = HOUR // step
    prices = [one.market for one in found.steps]
    falls = [1 - after / before for before, after in zip(prices, prices[hour:], strict=False)]
    worst = falls.index(max(falls)) * step
    for since, until in found.keeper_off:
        inside = worst <= since and until <= worst + HOUR and until - since >= HOUR // 2
        acted = [one for one in found.liquidations if since <= one.time < until]
        if inside and not acted:
            return True, f"from {since} s to {until} s of an hour that fell {max(falls):.1%}"
    return False, f"never off for half of the hour from {worst} s, which fell {max(falls):.1%}"


ALWAYS: Mapping[str, Callable[[Findings], _Answer]] = {
    "liquidations_isolated": _liquidations_isolated,
    "transactions_isolated": _transactions_isolated,
    "liquidations_match_mirror": _liquidations_match_mirror,
    "events_rebuild_slots": _events_rebuild_slots,
    "tokens_conserved": _tokens_conserved,
    "books_match_tokens": _books_match_tokens,
    "books_match_positions": _books_match_positions,
    "reserves_not_negative": _reserves_not_negative,
    "periphery_holds_nothing": _periphery_holds_nothing,
    "keeper_profit_in_wallet": _keeper_profit_in_wallet,
    "feed_followed_market": _feed_followed_market,
    "vectorised_engine_agrees": _vectorised_engine_agrees,
}
"""What must hold whatever the scenario."""

OUTCOMES: Mapping[str, Callable[[Findings], _Answer]] = {
    "enough_accounts": _enough_accounts,
    "enough_positions": _enough_positions,
    "several_positions_per_account": _several_positions_per_account,
    "leverage_up_to_the_most": _leverage_up_to_the_most,
    "longs_and_shorts": _longs_and_shorts,
    "keeper_stood_still": _keeper_stood_still,
    "top_up_saved": _top_up_saved,
    "top_up_in_vain": _top_up_in_vain,
    "partial_liquidation": _partial_liquidation,
    "full_liquidation": _full_liquidation,
    "loss_absorbed_by_reserve": _loss_absorbed_by_reserve,
    "loss_reached_lenders": _loss_reached_lenders,
    "short_closed_in_profit": _short_closed_in_profit,
    "short_liquidated_in_rebound": _short_liquidated_in_rebound,
    "account_lost_one_kept_others": _account_lost_one_kept_others,
}
"""What a scenario may say that it shows, under `expect`."""


def run_checks(found: Findings) -> tuple[Check, ...]:
    """Return every check that always holds, and those that the scenario expects."""
    expected = [one for one in OUTCOMES.items() if one[0] in found.scenario.expect]
    return tuple(Check(name, *check(found)) for name, check in (*ALWAYS.items(), *expected))
