"""What a scenario may be written to show: each check is decided by what the chain says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from ringfence.math import health, position_slot
from ringfence.math.fixed_point import WAD
from ringfence.risk.prices.waypoints import HOUR
from ringfence.sim.chronicle import Entry, position_slot_of
from ringfence.sim.findings import Answer, Findings
from ringfence.sim.history import History
from ringfence.sim.result import Position

_LEAST_ACCOUNTS = 12
_LEAST_POSITIONS = 24
_TWICE = 1.99
"""Twice, when the pool's fee is paid out of the position."""

_NEAR_THE_MOST = 0.999


def _enough_accounts(found: Findings) -> Answer:
    count = len({one.account for one in found.positions})
    return count >= _LEAST_ACCOUNTS, f"{count} accounts (at least {_LEAST_ACCOUNTS})"


def _enough_positions(found: Findings) -> Answer:
    count = len(found.positions)
    return count >= _LEAST_POSITIONS, f"{count} positions (at least {_LEAST_POSITIONS})"


def _several_positions_per_account(found: Findings) -> Answer:
    counts = Counter(one.account for one in found.positions)
    return min(counts.values()) > 1, f"{min(counts.values())} to {max(counts.values())} each"


def _leverage_up_to_the_most(found: Findings) -> Answer:
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


def _longs_and_shorts(found: Findings) -> Answer:
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


def _top_up_saved(found: Findings) -> Answer:
    saved = [
        entries[0].event["account"]
        for entries, at, liquidated in _topped_up(found)
        if not liquidated and _would_have_failed(found, entries, at)
    ]
    names = ", ".join(found.history.names[one] for one in saved)
    return bool(saved), f"{names or 'nobody'}: never liquidated, and would have been without it"


def _top_up_in_vain(found: Findings) -> Answer:
    lost = [
        found.history.names[entries[0].event["account"]]
        for entries, _at, liquidated in _topped_up(found)
        if liquidated
    ]
    return bool(lost), f"{', '.join(lost) or 'nobody'}: liquidated all the same"


def _of_kind(found: Findings, kind: str) -> Answer:
    count = sum(1 for one in found.liquidations if one.kind == kind)
    return count > 0, f"{count} {kind} liquidations"


def _partial_liquidation(found: Findings) -> Answer:
    return _of_kind(found, "partial")


def _full_liquidation(found: Findings) -> Answer:
    return _of_kind(found, "full")


def _loss_absorbed_by_reserve(found: Findings) -> Answer:
    count = sum(1 for one in found.liquidations if one.loss and not one.loss_to_lenders)
    return count > 0, f"{count} insolvent positions that cost lenders nothing"


def _loss_reached_lenders(found: Findings) -> Answer:
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


def _short_closed_in_profit(found: Findings) -> Answer:
    won = [
        one
        for one in found.positions
        if one.side == "short" and one.status == "closed" and one.taken_out > one.put_in
    ]
    told = ", ".join(f"{one.account} {one.result / 10**6:+,.2f}" for one in won)
    return bool(won), f"{told or 'nobody'} USDC"


def _short_liquidated_in_rebound(found: Findings) -> Answer:
    sides = {market.name: market.side for market in found.markets}
    late = [
        one.account
        for one in found.liquidations
        if sides[one.market] == "short" and one.time > found.crash_end
    ]
    return bool(late), f"{len(late)} liquidations of {', '.join(sorted(set(late))) or 'nobody'}"


def _account_lost_one_kept_others(found: Findings) -> Answer:
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


def _keeper_stood_still(found: Findings) -> Answer:
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


OUTCOMES: Mapping[str, Callable[[Findings], Answer]] = {
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
