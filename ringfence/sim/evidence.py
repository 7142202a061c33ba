"""From what the chain remembers to what happened: positions, liquidations with proof, markets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from ringfence.evm.abi import checksum
from ringfence.math import health, liquidation, position_slot
from ringfence.math.balance_sheet import BalanceSheet, reserve_down, scaled_claims, total_debt_up
from ringfence.math.fixed_point import WAD
from ringfence.math.position_slot import PositionSlot
from ringfence.sim.chronicle import (
    Entry,
    books_slots,
    position_slot_of,
    read_books,
)
from ringfence.sim.history import History, debt_indices, in_usdc, risk_of, symbol_of
from ringfence.sim.play import Play
from ringfence.sim.result import (
    Action,
    ActionKind,
    Books,
    Conservation,
    Keeper,
    Lender,
    Liquidation,
    LiquidationKind,
    Market,
    Position,
    Status,
    Step,
    Word,
)
from ringfence.sim.stage import Venue

_MOST_LTV = 99 * WAD


# Liquidations


def _ltv(slot: PositionSlot, debt_index: int, price: int) -> float:
    debt = health.debt_up(slot.scaled_debt, debt_index)
    value = health.value_down(slot.collateral, price)
    return min(health.ltv_up(debt, value), _MOST_LTV) / WAD


def _words(diff: Mapping[int, tuple[int, int]], position_id: int) -> tuple[Word, ...]:
    first, second = books_slots()
    names = {position_slot_of(position_id): "position", first: "books 1", second: "books 2"}
    return tuple(
        Word(names.get(slot, "other"), slot, before, after)
        for slot, (before, after) in sorted(diff.items())
    )


def _kind(loss: int, after: PositionSlot) -> LiquidationKind:
    if loss:
        return "insolvent"
    return "partial" if after.scaled_debt else "full"


def liquidations(history: History, gas_price: int) -> tuple[Liquidation, ...]:
    """Return every liquidation with its proof; `gas_price` in wei."""
    receipts = history.chronicle.receipts([one.tx_hash for one in history.liquidated])
    found = []
    for entry in history.liquidated:
        event, venue = entry.event, history.venues[entry.event.address]
        diff = history.diffs[entry.tx_hash]
        words = _words(diff.get(venue.vault.address, {}), event["position_id"])
        others = sum(len(diff.get(address, {})) for address in history.venues) - len(words)
        before = position_slot.unpack(history.slot_before(entry))
        after = position_slot.unpack(event["slot"])
        price = history.price_of(venue, entry.time)
        flash = history.sibling(entry, "FlashLiquidated")
        socialised = history.sibling(entry, "LossSocialised")
        to_lenders = socialised.event["amount"] if socialised else 0
        gas_used = int(receipts[entry.tx_hash]["gasUsed"], 16)
        names = sorted(word.name for word in words)
        found.append(
            Liquidation(
                tx_hash=entry.tx_hash,
                block=entry.block,
                time=entry.time - history.start,
                market=venue.id,
                position_id=event["position_id"],
                account=history.names[event["account"]],
                kind=_kind(event["loss"], after),
                price=float(history.prices.at(entry.time)),
                ltv_before=_ltv(before, event["debt_index"], price),
                ltv_after=_ltv(after, event["debt_index"], price),
                seized=event["seized"],
                repaid=event["repaid"],
                cut=event["cut"],
                loss=event["loss"],
                loss_to_reserve=max(event["loss"] - to_lenders, 0),
                loss_to_lenders=to_lenders,
                profit=flash.event["profit"] if flash else 0,
                gas_used=gas_used,
                gas_cost=gas_used * gas_price,
                words=words,
                other_vaults=others,
                isolated=names == ["books 1", "books 2", "position"] and others == 0,
            )
        )
    return tuple(found)


def mirror_differs(history: History) -> list[str]:
    """Return a line for every liquidation that is not what the integer mirror makes of it."""
    risks = {address: risk_of(venue) for address, venue in history.venues.items()}
    lines = []
    for entry in history.liquidated:
        event, venue = entry.event, history.venues[entry.event.address]
        before = position_slot.unpack(history.slot_before(entry))
        wanted = liquidation.liquidate(
            before,
            event["debt_index"],
            history.price_of(venue, entry.time),
            2**127,
            risks[venue.vault.address],
        )
        moved = tuple(event[name] for name in ("seized", "repaid", "cut", "loss"))
        if moved != (wanted.seized, wanted.repaid, wanted.cut, wanted.loss):
            lines.append(f"{entry.tx_hash}: {moved} instead of {wanted}")
    return lines


# Positions


def _action_kind(entry: Entry, before: int) -> ActionKind:
    event, after = entry.event, position_slot.unpack(entry.event["slot"])
    if event.name == "ToppedUp":
        return "topped up"
    if event.name == "Liquidated":
        return "liquidated in part" if after.scaled_debt else "liquidated"
    if before == 0:
        return "opened"
    if after.collateral == 0:
        return "closed"
    if event["debt_delta"] > 0:
        return "increased"
    return "delevered" if event["collateral_delta"] < 0 else "repaid"


@dataclass(frozen=True, slots=True)
class _Flow:
    """What moved between the owner's wallet and a position: token symbol -> units in, out."""

    put_in: Mapping[str, int]
    taken_out: Mapping[str, int]

    def main(self) -> tuple[int, str]:
        """Return the largest movement, positive into the position, and its token."""
        moves = [(amount, token) for token, amount in self.put_in.items()]
        moves += [(-amount, token) for token, amount in self.taken_out.items()]
        return max(moves, key=lambda move: abs(move[0]), default=(0, ""))


def _flow(history: History, entry: Entry) -> _Flow:
    stage, venue = history.stage, history.venues[entry.event.address]
    collateral = symbol_of(stage, venue.collateral.address)
    asset = symbol_of(stage, venue.asset.address)
    if entry.event.name == "ToppedUp":
        return _Flow({collateral: entry.event["amount"]}, {})
    if entry.event.name == "Liquidated":
        return _Flow({}, {})
    if grown := history.sibling(entry, "Increased"):
        token = symbol_of(stage, grown.event["margin_token"])
        return _Flow({token: grown.event["margin"]}, {})
    if shrunk := history.sibling(entry, "Decreased"):
        paid = {collateral: shrunk.event["collateral_paid"], asset: shrunk.event["asset_paid"]}
        return _Flow({}, {token: amount for token, amount in paid.items() if amount})
    return _Flow({}, {})


def _action(history: History, entry: Entry) -> Action:
    event = entry.event
    collateral, debt = event.args.get("collateral_delta", 0), event.args.get("debt_delta", 0)
    if event.name == "ToppedUp":
        collateral = event["amount"]
    elif event.name == "Liquidated":
        collateral, debt = -event["seized"], -event["repaid"] - event["loss"]
    margin, token = _flow(history, entry).main()
    return Action(
        kind=_action_kind(entry, history.slot_before(entry)),
        time=entry.time - history.start,
        tx_hash=entry.tx_hash,
        price=float(history.prices.at(entry.time)),
        collateral=collateral,
        debt=debt,
        margin=margin,
        margin_token=token,
        slot=event["slot"],
    )


def _status(entries: Sequence[Entry]) -> Status:
    last = position_slot.unpack(entries[-1].event["slot"])
    liquidated = any(entry.event.name == "Liquidated" for entry in entries)
    if entries[-1].event.name == "Adjusted" and last.collateral == 0:
        return "closed"
    return "liquidated" if liquidated and last.scaled_debt == 0 else "open"


def _value(flows: Iterable[tuple[Mapping[str, int], Fraction]]) -> int:
    return sum(
        in_usdc(token, amount, price) for moved, price in flows for token, amount in moved.items()
    )


def _bonus(history: History, entries: Sequence[Entry]) -> tuple[int, int]:
    """Return what liquidations cost the owner: the keepers' bonus and the reserve's cut, USDC."""
    keepers = reserve = 0
    for entry in entries:
        if entry.event.name != "Liquidated":
            continue
        event, venue = entry.event, history.venues[entry.event.address]
        asset, price = symbol_of(history.stage, venue.asset.address), history.prices.at(entry.time)
        value = health.value_down(event["seized"], history.price_of(venue, entry.time))
        keepers += in_usdc(asset, max(value - event["repaid"] - event["cut"], 0), price)
        reserve += in_usdc(asset, event["cut"], price)
    return keepers, reserve


def _equity(collateral: int, debt: int, price: int) -> int:
    return max(health.value_down(collateral, price) - debt, 0)


def positions(
    history: History,
    sheets: Mapping[str, BalanceSheet],
    play: Play,
) -> tuple[Position, ...]:
    """Return every position; `sheets` are the vaults' books at the end, by address."""
    end = history.entries[-1].time
    found = []
    for (vault, position_id), entries in history.by_position.items():
        venue, opened = history.venues[vault], entries[0]
        asset = symbol_of(history.stage, venue.asset.address)
        flows = [(_flow(history, entry), history.prices.at(entry.time)) for entry in entries]
        put_in = _value((flow.put_in, price) for flow, price in flows)
        taken_out = _value((flow.taken_out, price) for flow, price in flows)
        slot = entries[-1].event["slot"]
        fields = position_slot.unpack(slot)
        debt = health.debt_up(fields.scaled_debt, sheets[vault].debt_index)
        equity = _equity(fields.collateral, debt, history.price_of(venue, end))
        kept = in_usdc(asset, equity, history.prices.at(end))
        first = position_slot.unpack(opened.event["slot"])
        value = health.value_down(first.collateral, history.price_of(venue, opened.time))
        owed = health.debt_up(first.scaled_debt, opened.event["debt_index"])
        to_keepers, to_reserve = _bonus(history, entries)
        series = [*play.ltvs.get((venue.id, position_id), ())]
        owner = checksum((position_id >> 96).to_bytes(20, "big"))
        found.append(
            Position(
                position_id=position_id,
                market=venue.id,
                side=venue.side,
                account=history.names[owner],
                owner=owner,
                leverage=value / (value - owed),
                opened_at=opened.time - history.start,
                status=_status(entries),
                actions=tuple(_action(history, entry) for entry in entries),
                slot=slot,
                collateral=fields.collateral,
                debt=debt,
                put_in=put_in,
                taken_out=taken_out,
                kept=kept,
                result=taken_out + kept - put_in,
                to_keepers=to_keepers,
                to_reserve=to_reserve,
                ltvs=(*series, *[None] * (len(play.steps) - len(series))),
                liquidatable_at=tuple(play.liquidatable.get((venue.id, position_id), ())),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.account, one.opened_at, one.market)))


# Markets, keeper, tokens


def _books(sheet: BalanceSheet) -> Books:
    return Books(
        cash=sheet.cash,
        debt=total_debt_up(sheet),
        claims=scaled_claims(sheet) // WAD,
        reserve=reserve_down(sheet),
        supply_index=sheet.supply_index,
    )


def _lenders(history: History, venue: Venue, sheet: BalanceSheet) -> tuple[Lender, ...]:
    deposited: dict[str, int] = defaultdict(int)
    for entry in history.entries:
        if entry.event.address == venue.vault.address and entry.event.name == "Deposit":
            deposited[entry.event["owner"]] += entry.event["assets"]
    shares = history.chronicle.views((venue.vault, "balanceOf", (one,)) for one in deposited)
    return tuple(
        Lender(history.names[owner], owner, deposited[owner], held * sheet.supply_index // WAD)
        for owner, held in zip(deposited, shares, strict=True)
    )


def _share(part: Decimal) -> float:
    return float(part)


def markets(
    history: History,
    sheets: Mapping[str, BalanceSheet],
    steps: Sequence[Step],
    found: Sequence[Liquidation],
) -> tuple[Market, ...]:
    """Return every vault with its books before the path and after it."""
    result = []
    times = [history.start + step.time for step in steps]
    for venue in history.venues.values():
        address, file = venue.vault.address, venue.market.file
        mine = [one for one in found if one.market == venue.id]
        before = read_books(history.chronicle, address, history.first_block)
        result.append(
            Market(
                name=venue.id,
                title=file.name,
                vault=address,
                side=venue.side,
                collateral=file.collateral,
                asset=file.asset,
                initial_ltv=_share(file.risk.initial_ltv),
                target_ltv=_share(file.risk.target_ltv),
                liquidation_ltv=_share(file.risk.liquidation_ltv),
                beta_max=_share(file.risk.beta_max),
                before=_books(before),
                after=_books(sheets[address]),
                lenders=_lenders(history, venue, sheets[address]),
                liquidations=len(mine),
                to_reserve_lost=sum(one.loss_to_reserve for one in mine),
                to_lenders_lost=sum(one.loss_to_lenders for one in mine),
                risk=risk_of(venue),
                debt_indices=debt_indices(venue, history.sheets(address), times),
            )
        )
    return tuple(result)


def keeper(history: History, address: str, found: Sequence[Liquidation]) -> Keeper:
    """Return what the keeper earned."""
    assets = {venue.id: venue.market.file.asset for venue in history.venues.values()}
    profits: dict[str, int] = {"USDC": 0, "WETH": 0}
    for one in found:
        profits[assets[one.market]] += one.profit
    gas_cost = sum(one.gas_cost for one in found)
    price = history.prices.at(history.entries[-1].time)
    total = profits["USDC"] + in_usdc("WETH", profits["WETH"] - gas_cost, price)
    gas_used = sum(one.gas_used for one in found)
    return Keeper(address, len(found), profits, gas_used, gas_cost, total)


def conservation(history: History) -> tuple[Conservation, ...]:
    """Return, for every token, all balances of all who ever held some, against its supply."""
    stage, chronicle = history.stage, history.chronicle
    tokens = [("WETH", stage.weth), ("USDC", stage.usdc)]
    tokens += [(venue.market.file.symbol, venue.vault) for venue in history.venues.values()]
    found = []
    for name, token in tokens:
        holders: dict[str, None] = {}
        for entry in chronicle.events([token]):
            # WETH9 mints and burns without a transfer from or to nobody.
            for field in ("sender", "receiver", "src", "dst", "owner", "to"):
                if entry.event.name in ("Transfer", "Deposit", "Withdrawal"):
                    holder = entry.event.args.get(field)
                    if isinstance(holder, str):
                        holders[holder] = None
        balances = chronicle.views((token, "balanceOf", (holder,)) for holder in holders)
        supply = int(token.totalSupply())
        held = sum(1 for balance in balances if balance)
        found.append(Conservation(name, held, sum(balances), supply))
    return tuple(found)
