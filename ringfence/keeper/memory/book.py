"""Every position by its riskiness, so that a block costs one comparison a vault.

All positions of a vault share price and index, so their order of riskiness is that of scaled debt
over collateral (DESIGN.md section 7). A vault's column of that key is compared with one threshold;
only what may be past it is checked in exact integers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ringfence.keeper.memory.events import Changes, Vault
from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.math.health import debt_up, is_healthy, value_down
from ringfence.math.position_slot import unpack

Words: TypeAlias = npt.NDArray[np.bytes_]
"""32 bytes each, big-endian: an array of NumPy's S32, which sorts as the numbers do."""
Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]
Limbs: TypeAlias = npt.NDArray[np.uint64]

_CHUNK = 65_536

_FLOAT_ERROR = 1e-12
"""Far above what a key and a threshold lose as floats, some 1e-15 of themselves."""


class Column:
    """One vault's positions; rows of closed ones are reused.

    A position's key is (scaled debt + 2) / collateral, 0 without debt. What the contract calls
    liquidatable has a key above k* = price * ltv / (1e36 * index), and here is why. With d the debt
    and v the value before rounding, unhealthy says ceil(d) * 1e18 > floor(v) * ltv, where ceil(d) <
    d + 1 and floor(v) > v - 1, so v * ltv < d * 1e18 + 1e18 + ltv < (d + 2) * 1e18, an LTV being
    below one. The index being at least one, d + 2 <= (scaled debt + 2) * index / 1e18. Put in, with
    v = collateral * price / 1e36: k* < (scaled debt + 2) / collateral. Where collateral * price has
    no room in 256 bits, the vault takes another value, at which every position is healthy, as the
    factory wants LTVs of at least 0.5 %.
    """

    def __init__(self, ids: bytearray, words: bytearray) -> None:
        """Take over ids in rising order and their words, 32 bytes each."""
        self._ids: Words = np.frombuffer(ids, "S32")
        self._words: Words = np.frombuffer(words, "S32")
        self._keys: Floats = np.concatenate([np.empty(0), *map(_keys, _limbs(self._words))])
        self._order: Rows = np.arange(len(self._ids))
        self._free: list[int] = []
        self.scaled_debt: int = _total_debt(self._words)
        """Sum over the positions, scaled asset units, exact."""

    def __len__(self) -> int:
        return len(self._order)

    def update(self, changes: Iterable[tuple[int, int]]) -> None:
        """Let positions, each id once, have new words; 0 closes one."""
        ids, words = (
            np.frombuffer(b"".join([number.to_bytes(32) for number in column]), "S32")
            for column in zip(*sorted(changes), strict=True)
        )
        places = self._find(ids)
        known = places < len(self._order)
        known[known] = self._ids[self._order[places[known]]] == ids[known]
        rows = self._order[places[known]]
        self._write(rows, words[known])
        closed = words[known] == b""
        self._free += rows[closed].tolist()
        gone = places[known][closed]

        new = ~known & (words != b"")
        rows = self._take_rows(int(new.sum()))
        self._ids[rows] = ids[new]
        self._write(rows, words[new])
        order = np.delete(self._order, gone)
        self._order = np.insert(order, places[new] - np.searchsorted(gone, places[new]), rows)

    def _find(self, ids: Words) -> Rows:
        """Return where ids are in the order, or would be."""
        # NumPy hands single ones out without their trailing zeros, which keeps their order.
        finds = [bisect_left(self._order, one, key=self._ids.__getitem__) for one in ids]
        return np.array(finds, np.intp)

    def _write(self, rows: Rows, words: Words) -> None:
        self.scaled_debt += _total_debt(words) - _total_debt(self._words[rows])
        self._words[rows] = words
        self._keys[rows] = np.concatenate([np.empty(0), *map(_keys, _limbs(words))])

    def _take_rows(self, count: int) -> Rows:
        if count > len(self._free):
            size = len(self._ids)
            more = max(count, size // 8)
            self._ids = np.append(self._ids, np.zeros(more, "S32"))
            self._words = np.append(self._words, np.zeros(more, "S32"))
            self._keys = np.append(self._keys, np.zeros(more))
            self._free += range(size, size + more)
        return np.array([self._free.pop() for _ in range(count)], np.intp)

    def due(self, price: int, debt_index: int, ltv: int, now: int) -> list[int]:
        """Return the ids that the contract calls liquidatable, in no order.

        `price` is `high`, 0 where unusable, `debt_index` the accrued one, `ltv` the liquidation
        LTV, 1e18, `now` the timestamp of the block that would liquidate.
        """
        if price == 0:
            return []
        threshold = _threshold(price, debt_index, ltv) * (1 - _FLOAT_ERROR)
        rows = np.flatnonzero(self._keys > threshold)
        ids, words = _numbers(self._ids[rows]), _numbers(self._words[rows])
        found = []
        for position_id, word in zip(ids, words, strict=True):
            slot = unpack(word)
            debt = debt_up(slot.scaled_debt, debt_index)
            healthy = is_healthy(debt, value_down(slot.collateral, price), ltv)
            if not healthy and slot.last_risk_increase < now:
                found.append(position_id)
        return found

    def words(self, ids: Iterable[int]) -> list[int]:
        """Return the words of positions that are open."""
        wanted = np.frombuffer(b"".join([one.to_bytes(32) for one in ids]), "S32")
        return _numbers(self._words[self._order[self._find(wanted)]])

    def nearest(self, price: int, debt_index: int, ltv: int) -> float | None:
        """Return how far the price may fall until the riskiest position is due, part of the price.

        Never more than it is; negative for one that is due; None without debt or price.
        """
        riskiest = float(self._keys.max(initial=0))
        return 1 - riskiest / _threshold(price, debt_index, ltv) if riskiest and price else None


def _threshold(price: int, debt_index: int, ltv: int) -> float:
    return price * ltv / (PRICE_SCALE * debt_index)


def _limbs(words: Words) -> Iterator[Limbs]:
    """Yield words as four numbers of 64 bits each, highest first, some thousands at a time."""
    for start in range(0, len(words), _CHUNK):
        yield words[start : start + _CHUNK].view(">u8").reshape(-1, 4).astype(np.uint64).T


def _keys(limbs: Limbs) -> Floats:
    """Return the positions' keys; the bits as in ringfence.math.position_slot."""
    collateral = limbs[0] * 2.0**48 + (limbs[1] >> 16)
    debt = (limbs[1] & 0xFFFF) * 2.0**88 + limbs[2] * 2.0**24 + (limbs[3] >> 40)
    keys: Floats = np.divide(debt + 2, collateral, out=np.zeros_like(debt), where=debt > 0)
    return keys


def _total_debt(words: Words) -> int:
    """Return the exact sum of scaled debts: of parts whose sums fit 64 bits."""
    total = 0
    for _highest, high, low, lowest in _limbs(words):
        parts = ((high & 0xFFFF, 88), (low >> 32, 56), (low & 0xFFFFFFFF, 24), (lowest >> 40, 0))
        total += sum(int(part.sum()) << shift for part, shift in parts)
    return total


def _numbers(words: Words) -> list[int]:
    raw = words.tobytes()
    return [int.from_bytes(raw[start : start + 32]) for start in range(0, len(raw), 32)]


class Book:
    """The columns of all vaults, by their 20 bytes."""

    def __init__(self, columns: Iterable[tuple[Vault, bytearray, bytearray]] = ()) -> None:
        """Take over what `Store.load` yields."""
        self.vaults: dict[bytes, Vault] = {}
        self.columns: dict[bytes, Column] = {}
        for vault, ids, words in columns:
            self.vaults[vault.address] = vault
            self.columns[vault.address] = Column(ids, words)

    def update(self, changes: Changes) -> None:
        """Take over what `Ingest.advance` yields, in its order."""
        for address in changes.gone:
            del self.vaults[address], self.columns[address]
        for vault in changes.vaults:
            self.vaults[vault.address] = vault
            self.columns[vault.address] = Column(bytearray(), bytearray())
        by_vault: dict[bytes, list[tuple[int, int]]] = {}
        for (address, position_id), word in changes.words.items():
            by_vault.setdefault(address, []).append((position_id, word))
        for address, words in by_vault.items():
            self.columns[address].update(words)

    def due(self, vault: bytes, price: int, debt_index: int, now: int) -> list[int]:
        """Return the ids of a vault that may be liquidated; arguments as `Column.due`."""
        return self.columns[vault].due(price, debt_index, self._ltv(vault), now)

    def words(self, vault: bytes, ids: Iterable[int]) -> list[int]:
        """Return the words of a vault's open positions, in the order of their ids."""
        return self.columns[vault].words(ids)

    def nearest(self, vault: bytes, price: int, debt_index: int) -> float | None:
        """Return how far a vault's riskiest position is from its threshold, part of the price."""
        return self.columns[vault].nearest(price, debt_index, self._ltv(vault))

    def missing_debt(self, vault: bytes, total_scaled_debt: int) -> int:
        """Return what the book lacks of a vault's scaled debt on chain; not 0: an event was lost.

        By BOOK-2 the two are equal after every block.
        """
        return total_scaled_debt - self.columns[vault].scaled_debt

    def _ltv(self, vault: bytes) -> int:
        return int(self.vaults[vault].parameters["liquidation_ltv"])
