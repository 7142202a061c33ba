"""What holds in every run: each check is decided by what the chain says, and can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringfence.math import position_slot
from ringfence.math.balance_sheet import scaled_assets, scaled_claims
from ringfence.sim.chronicle import position_slot_of
from ringfence.sim.evidence import mirror_differs
from ringfence.sim.findings import Answer, Findings
from ringfence.sim.history import DECIMALS, POSITION_EVENTS
from ringfence.sim.replay import replay

_FEED_ROUNDING = 1e-8
"""A feed has eight decimal places."""


def _liquidations_isolated(found: Findings) -> Answer:
    """ISO-1: the state diff of each liquidation is the one slot and the two words."""
    bad = [one.tx_hash for one in found.liquidations if not one.isolated]
    if bad:
        return False, f"ISO-1: {len(bad)} changed more than one slot and two words: {bad[0]}"
    return bool(found.liquidations), f"{len(found.liquidations)} state diffs, three words each"


def _transactions_isolated(found: Findings) -> Answer:
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


def _liquidations_match_mirror(found: Findings) -> Answer:
    lines = mirror_differs(found.history)
    return not lines, lines[0] if lines else "seized, repaid, cut and loss to the unit"


def _events_rebuild_slots(found: Findings) -> Answer:
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


def _tokens_conserved(found: Findings) -> Answer:
    bad = [one for one in found.conservation if one.balances != one.supply]
    if bad:
        return False, "; ".join(
            f"{one.token}: {one.balances} held, {one.supply} exist" for one in bad
        )
    return True, ", ".join(f"{one.token} ({one.holders} holders)" for one in found.conservation)


def _books_match_tokens(found: Findings) -> Answer:
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


def _books_match_positions(found: Findings) -> Answer:
    """BOOK-2: the positions' scaled debt and the lenders' shares add up to the books'."""
    supplies = {one.token: one.balances for one in found.conservation}
    for address, venue in found.history.venues.items():
        scaled = sum(one.scaled_debt for one in _slots(found, address))
        shares = supplies[venue.market.file.symbol]
        sheet = found.sheets[address]
        if (scaled, shares) != (sheet.total_scaled_debt, sheet.total_shares):
            return False, f"BOOK-2: {venue.id} adds up to {(scaled, shares)}"
    return True, "scaled debt and shares of every vault to the unit"


def _reserves_not_negative(found: Findings) -> Answer:
    """BOOK-3, exactly, after the run."""
    for address, sheet in found.sheets.items():
        if scaled_claims(sheet) > scaled_assets(sheet):
            return False, f"BOOK-3: {found.history.venues[address].id} owes more than it has"
    return True, "claims at most cash and debt, exactly"


def _periphery_holds_nothing(found: Findings) -> Answer:
    stage = found.history.stage
    held = found.history.chronicle.views(
        (token, "balanceOf", (holder.address,))
        for holder in (stage.router, stage.liquidator)
        for token in (stage.weth, stage.usdc)
    )
    return not any(held), f"router and liquidator hold {sum(held)} units"


def _keeper_profit_in_wallet(found: Findings) -> Answer:
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


def _feed_followed_market(found: Findings) -> Answer:
    limit = float(found.scenario.feed.deviation)
    worst = max(abs(one.market / one.feed - 1) for one in found.steps)
    return worst < limit + _FEED_ROUNDING, f"at most {worst:.3%} off (limit {limit:.1%})"


def _vectorised_engine_agrees(found: Findings) -> Answer:
    """Ask the risk engine, of every position at every step, what the vault said."""
    run = replay(found.steps, found.markets, found.positions, DECIMALS)
    wrong = [one.position for one in run.tracks if one.differs.any()]
    if wrong:
        return False, ", ".join(f"{one.account} in {one.market}" for one in wrong)
    return True, f"{len(run.tracks) * len(found.steps):,} position-steps, due as the vault says"


ALWAYS: Mapping[str, Callable[[Findings], Answer]] = {
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
