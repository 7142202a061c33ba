"""Which storage words of a vault a call may write, and whether a transaction kept to it.

The table `WRITES` says it for each entry point, `MOVES` which way a position may go in it. Whatever
a transaction wrote is held to the calls that it made into that vault: isolation (ISO-1, ISO-4 to
ISO-6) can so be read off the state diff of any transaction. `check` does that; it is pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeAlias

from eth_utils.crypto import keccak

from ringfence.evm.abi import AbiValue, address_bytes, selector
from ringfence.evm.artifacts import Artifact
from ringfence.evm.decoding import make_decoder
from ringfence.evm.engine import CallMade, StateDiff
from ringfence.math import position_slot

_BOOKS = ("balance_sheet._word_1", "balance_sheet._word_2")
_LIMITS = ("limits._word",)
_POSITION = ("position_slot._words[position_id]",)

CREATION = "__init__"

WRITES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        CREATION: ("authority.curator", "authority.guardian", *_BOOKS, *_LIMITS),
        # lenders
        "deposit": (*_BOOKS, "lender_shares.balanceOf[receiver]"),
        "mint": (*_BOOKS, "lender_shares.balanceOf[receiver]"),
        "withdraw": (
            *_BOOKS,
            "lender_shares.balanceOf[owner]",
            "lender_shares.allowance[owner][caller]",
        ),
        "redeem": (
            *_BOOKS,
            "lender_shares.balanceOf[owner]",
            "lender_shares.allowance[owner][caller]",
        ),
        "transfer": ("lender_shares.balanceOf[caller]", "lender_shares.balanceOf[receiver]"),
        "transferFrom": (
            "lender_shares.balanceOf[owner]",
            "lender_shares.balanceOf[receiver]",
            "lender_shares.allowance[owner][caller]",
        ),
        "approve": ("lender_shares.allowance[caller][spender]",),
        "permit": ("lender_shares.allowance[owner][spender]", "signatures.nonces[owner]"),
        # positions
        "adjust": (*_BOOKS, *_POSITION),
        "close": (*_BOOKS, *_POSITION),
        "repay": (*_BOOKS, *_POSITION),
        "liquidate": (*_BOOKS, *_POSITION),
        "top_up": _POSITION,
        "set_operator": ("operators._words[caller][operator]",),
        "set_operator_with_signature": (
            "operators._words[owner][operator]",
            "signatures.nonces[owner]",
        ),
        # books and authority
        "accrue": _BOOKS,
        "fund_reserve": _BOOKS,
        "set_caps": _LIMITS,
        "pause_new_risk": _LIMITS,
        "set_guardian": ("authority.guardian",),
        "transfer_curator": ("authority.pending_curator",),
        "accept_curator": ("authority.curator", "authority.pending_curator"),
        "announce_reserve_collection": ("authority._pending_amount", "authority._announced_at"),
        "collect_reserve": (*_BOOKS, "authority._announced_at"),
    }
)
"""Entry point -> words, keyed by `caller` and by the call's arguments; any other writes nothing."""

MOVES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "top_up": frozenset({"collateral up"}),
        "repay": frozenset({"debt down"}),
        "liquidate": frozenset({"collateral down", "debt down"}),
        "close": frozenset({"collateral down", "debt down"}),
    }
)
"""Which way a call may move a position; `adjust` by the signs of its deltas."""

_INCREASE, _REDUCE, _WITHDRAW = 1, 2, 4

ReadWord: TypeAlias = Callable[[str, int], int]
"""Vault and slot -> the word there after the transaction."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A word that the transaction was not to write, or not in this way."""

    vault: str
    slot: int
    before: int
    after: int
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.reason}; vault {self.vault}, slot {self.slot:#x}, "
            f"{self.before:#x} -> {self.after:#x}"
        )


@lru_cache(maxsize=65_536)
def mapping_slot(base: int, *keys: int) -> int:
    """Return the slot of an entry of a Vyper mapping: each level hashes slot, then key."""
    for key in keys:
        base = int.from_bytes(keccak(base.to_bytes(32, "big") + key.to_bytes(32, "big")), "big")
    return base


@dataclass(frozen=True, slots=True)
class _Entry:
    """A call into a vault, decoded: addresses as integers, `caller` among the arguments."""

    name: str
    args: Mapping[str, AbiValue]


def _number(value: AbiValue) -> int:
    return int.from_bytes(address_bytes(value), "big") if isinstance(value, str) else int(value)


class Rules:
    """The table, read with one vault contract's storage layout and ABI."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        functions = [entry for entry in artifact.abi if entry["type"] == "function"]
        self._functions = {
            selector(entry): (
                entry["name"],
                [part["name"] for part in entry["inputs"]],
                make_decoder(entry["inputs"]),
            )
            for entry in functions
            if entry["name"] in WRITES
        }

    def entry(self, call: CallMade) -> _Entry | None:
        """Return what a call into a vault asks for, None for one that writes nothing."""
        if call.creates:
            return _Entry(CREATION, {})
        known = self._functions.get(call.data[:4])
        if known is None:
            return None
        name, names, decode = known
        args = dict(zip(names, decode(call.data[4:]), strict=True))
        return _Entry(name, args | {"caller": call.caller})

    def slots(self, entry: _Entry) -> dict[int, str]:
        """Return the slots that a call may write, with the words' names."""
        # A call that moves no total leaves the books as they are stored.
        moves_totals = entry.args.get("debt_delta") != 0
        rules = WRITES[entry.name] if moves_totals else _POSITION
        return dict(self._resolve(rule, entry.args) for rule in rules)

    def _resolve(self, rule: str, args: Mapping[str, AbiValue]) -> tuple[int, str]:
        variable, *keys = re.findall(r"[\w.]+", rule)
        base = self._artifact.slot(*variable.split("."))
        values = [_number(args[key]) for key in keys]
        return mapping_slot(base, *values), variable + "".join(f"[{args[key]}]" for key in keys)

    @cached_property
    def _names(self) -> dict[int, str]:
        return {
            int(variable["slot"]): f"{module}.{name}"
            for module, variables in self._artifact.layout["storage_layout"].items()
            for name, variable in variables.items()
        }

    def name(self, slot: int) -> str:
        """Return the name of a plain word; an entry of a mapping shows no name in its slot."""
        return self._names.get(slot, "an entry of a mapping")

    def position(self, position_id: int) -> int:
        """Return the slot of a position."""
        return mapping_slot(self._artifact.slot("position_slot", "_words"), position_id)

    def operator(self, owner: int, operator: int) -> int:
        """Return the slot of an operator's word."""
        return mapping_slot(self._artifact.slot("operators", "_words"), owner, operator)


def check(
    rules: Rules, calls: Sequence[CallMade], writes: StateDiff, read: ReadWord
) -> list[Violation]:
    """Return what a transaction wrote that its calls may not.

    `calls` are those that took effect, in order, into anything; `writes` what it changed in vaults
    and in nothing else, empty for a failed one.
    """
    found: list[Violation] = []
    for vault, words in writes.items():
        entries = [
            entry for call in calls if call.to == vault and (entry := rules.entry(call)) is not None
        ]
        found += _check_vault(rules, vault, entries, words, read)
    return found


def _check_vault(
    rules: Rules,
    vault: str,
    entries: Sequence[_Entry],
    words: Mapping[int, tuple[int, int]],
    read: ReadWord,
) -> Iterator[Violation]:
    allowed: dict[int, str] = {}
    for entry in entries:
        allowed |= rules.slots(entry)
    names = ", ".join(entry.name for entry in entries)
    for slot, (before, after) in words.items():
        if slot not in allowed:
            reason = f"ISO-1: {names} may not write {rules.name(slot)}"
            if not entries:
                reason = f"ISO-6: {rules.name(slot)} was written without a call that may write"
            yield Violation(vault, slot, before, after, reason)
    permissions = _Permissions(rules, vault, words, read)
    moves: dict[int, set[str]] = {}
    for entry in entries:
        permissions.learn(entry)
        if "position_id" in entry.args:
            slot = rules.position(entry.args["position_id"])
            if slot in words:
                moves.setdefault(slot, set()).update(_moves(entry, words[slot][0], permissions))
    for slot, legal in moves.items():
        before, after = words[slot]
        for move in _made(before, after) - legal:
            reason = f"ISO-4: {names} may not move {allowed[slot]}: {move}"
            yield Violation(vault, slot, before, after, reason)


class _Permissions:
    """What operators may do during a transaction: what they could before, and were given in it."""

    def __init__(
        self, rules: Rules, vault: str, words: Mapping[int, tuple[int, int]], read: ReadWord
    ) -> None:
        self._rules = rules
        self._vault = vault
        self._words = words
        self._read = read
        self._given: dict[int, int] = {}

    def learn(self, entry: _Entry) -> None:
        """Take note of a call that sets an operator."""
        if entry.name.startswith("set_operator"):
            owner = _number(entry.args.get("owner", entry.args["caller"]))
            slot = self._rules.operator(owner, _number(entry.args["operator"]))
            self._given[slot] = int(entry.args["permissions"])

    def of(self, owner: int, caller: int) -> int:
        """Return the permissions, all for the owner."""
        if owner == caller:
            return _INCREASE | _REDUCE | _WITHDRAW
        slot = self._rules.operator(owner, caller)
        if slot in self._given:
            return self._given[slot]
        word = self._words[slot][0] if slot in self._words else self._read(self._vault, slot)
        return word & (_INCREASE | _REDUCE | _WITHDRAW)


def _moves(entry: _Entry, before: int, permissions: _Permissions) -> set[str]:
    """Return which way a call may move its position, by what its caller may do (ISO-4, ISO-5)."""
    if entry.name == "liquidate" and position_slot.unpack(before).scaled_debt == 0:
        return set()
    if entry.name not in ("adjust", "close"):
        return set(MOVES[entry.name])
    held = permissions.of(entry.args["position_id"] >> 96, _number(entry.args["caller"]))
    if entry.name == "close":
        both = _REDUCE | _WITHDRAW
        return set(MOVES["close"]) if held & both == both else set()
    collateral, debt = entry.args["collateral_delta"], entry.args["debt_delta"]
    legal = set()
    if collateral > 0 and held:
        legal.add("collateral up")
    if collateral < 0 and held & (_WITHDRAW | (_REDUCE if debt < 0 else 0)):
        legal |= {"collateral down", "time up"}
    if debt > 0 and held & _INCREASE:
        legal |= {"debt up", "time up"}
    if debt < 0 and held:
        legal.add("debt down")
    return legal


def _made(before: int, after: int) -> set[str]:
    """Return which way a position's fields went; a cleared one loses its time with the rest."""
    old, new = position_slot.unpack(before), position_slot.unpack(after)
    pairs = {
        "collateral": (old.collateral, new.collateral),
        "debt": (old.scaled_debt, new.scaled_debt),
    }
    if after:
        pairs["time"] = (old.last_risk_increase, new.last_risk_increase)
    return {
        f"{name} {'up' if came > was else 'down'}"
        for name, (was, came) in pairs.items()
        if came != was
    }
