"""The proof of isolation: what one liquidation changed in storage, decoded and judged anew.

The verdict here is taken from the words alone; the result's own `isolated` is one more finding to
agree with.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.math import balance_sheet, position_slot
from ringfence.report.words import number
from ringfence.sim.result import Liquidation, Word
from ringfence.sim.wording import SALT_BITS, Lexicon, salt_of

_BOOKS = ("books 1", "books 2")
_ORDER = {"position": 0, "books 1": 1, "books 2": 2}
_INDEX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a word before and after, in words; `unit` is empty where there is none."""

    name: str
    unit: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A word that a liquidation changed, hexadecimal and field by field."""

    title: str
    slot: str
    before: str
    after: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about a liquidation's words, and whether they bear it out."""

    held: bool
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A liquidation with its words decoded and what they show."""

    liquidation: Liquidation
    owner: str
    salt: int
    words: tuple[Decoded, ...]
    findings: tuple[Finding, ...]

    @property
    def held(self) -> bool:
        """Whether every finding held."""
        return all(finding.held for finding in self.findings)


def prove(liquidation: Liquidation, lexicon: Lexicon) -> Proof:
    """Return the proof of one liquidation."""
    return Proof(
        liquidation=liquidation,
        owner=f"0x{liquidation.position_id >> SALT_BITS:040x}",
        salt=salt_of(liquidation.position_id),
        words=tuple(
            decode(word, liquidation, lexicon)
            for word in sorted(liquidation.words, key=lambda word: _ORDER.get(word.name, -1))
        ),
        findings=(*_isolation(liquidation), *_bookkeeping(liquidation)),
    )


def decode(word: Word, liquidation: Liquidation, lexicon: Lexicon) -> Decoded:
    """Return a word with its fields; one that is neither slot nor books has none."""
    collateral = lexicon.collateral_of(liquidation.market)
    asset = lexicon.asset_of(liquidation.market)
    title = "A word that should not have changed"
    fields: tuple[Field, ...] = ()
    if word.name == "position":
        title, fields = "The position's one slot", _slot_fields(word, collateral, asset, lexicon)
    elif word.name == "books 1":
        title, fields = "Books, word 1 of 2", _first_fields(word, asset, lexicon)
    elif word.name == "books 2":
        title, fields = "Books, word 2 of 2", _second_fields(word, asset, lexicon)
    return Decoded(
        title, f"0x{word.slot:064x}", f"0x{word.before:064x}", f"0x{word.after:064x}", fields
    )


def _amounts(name: str, unit: str, before: int, after: int, lexicon: Lexicon) -> Field:
    return Field(
        name,
        unit,
        lexicon.exact(before, unit),
        lexicon.exact(after, unit),
        lexicon.exact(after - before, unit, plus=True),
    )


def _indices(name: str, before: int, after: int) -> Field:
    scale: int = 10**_INDEX_DIGITS
    first, last = (f"{one // scale}.{one % scale:018d}" for one in (before, after))
    relative = (after - before) / before if before else 0.0
    return Field(name, "", first, last, f"{number(relative * 100, 6, plus=True)}\u00a0%")


def _times(name: str, before: int, after: int) -> Field:
    return Field(
        name, "unix s", str(before), str(after), f"{number(after - before, 0, plus=True)}\u00a0s"
    )


def _slot_fields(word: Word, collateral: str, asset: str, lexicon: Lexicon) -> tuple[Field, ...]:
    before, after = position_slot.unpack(word.before), position_slot.unpack(word.after)
    return (
        _amounts("collateral", collateral, before.collateral, after.collateral, lexicon),
        _amounts("scaled debt", asset, before.scaled_debt, after.scaled_debt, lexicon),
        _times("last risk increase", before.last_risk_increase, after.last_risk_increase),
    )


def _first_fields(word: Word, asset: str, lexicon: Lexicon) -> tuple[Field, ...]:
    before, after = (balance_sheet.unpack(one, 0) for one in (word.before, word.after))
    return (
        _amounts("total shares", asset, before.total_shares, after.total_shares, lexicon),
        _amounts("cash", asset, before.cash, after.cash, lexicon),
        _times("last accrual", before.last_accrual, after.last_accrual),
    )


def _second_fields(word: Word, asset: str, lexicon: Lexicon) -> tuple[Field, ...]:
    before, after = (balance_sheet.unpack(0, one) for one in (word.before, word.after))
    return (
        _amounts(
            "total scaled debt", asset, before.total_scaled_debt, after.total_scaled_debt, lexicon
        ),
        _indices("debt index", before.debt_index, after.debt_index),
        _indices("supply index", before.supply_index, after.supply_index),
    )


def _isolation(liquidation: Liquidation) -> tuple[Finding, ...]:
    """Say which words changed, and how many that should not have."""
    names = [word.name for word in liquidation.words]
    slots = names.count("position")
    others = sum(name not in ("position", *_BOOKS) for name in names)
    books = [name for name in names if name in _BOOKS]
    verdict = "isolated" if liquidation.isolated else "not isolated"
    return (
        Finding(slots == 1, f"{slots} position slot changed (1 expected)"),
        Finding(
            0 < len(books) <= len(set(books)),
            f"{len(books)} of the books' two words changed",
        ),
        Finding(others == 0, f"{others} other words of this vault changed"),
        Finding(
            liquidation.other_vaults == 0,
            f"{liquidation.other_vaults} words of the other vaults changed",
        ),
        Finding(liquidation.isolated, f"the run's own verdict: {verdict}"),
    )


def _bookkeeping(liquidation: Liquidation) -> tuple[Finding, ...]:
    """Hold the words against the amounts that the transaction reported, to the unit."""
    words = {word.name: word for word in liquidation.words}
    if not all(name in words for name in ("position", *_BOOKS)):
        return ()
    slot = words["position"]
    slots = [position_slot.unpack(one) for one in (slot.before, slot.after)]
    books = [
        balance_sheet.unpack(words["books 1"].before, words["books 2"].before),
        balance_sheet.unpack(words["books 1"].after, words["books 2"].after),
    ]
    retired = slots[0].scaled_debt - slots[1].scaled_debt
    return (
        Finding(
            slots[0].collateral - slots[1].collateral == liquidation.seized,
            "the slot's collateral fell by exactly what was seized",
        ),
        Finding(
            books[1].cash - books[0].cash == liquidation.repaid + liquidation.cut,
            "the vault's cash rose by exactly what was repaid and the reserve's cut",
        ),
        Finding(
            books[0].total_scaled_debt - books[1].total_scaled_debt == retired,
            "the total of scaled debts fell by exactly what the slot's did",
        ),
        Finding(
            books[0].total_shares == books[1].total_shares, "the lenders' shares are as they were"
        ),
    )
