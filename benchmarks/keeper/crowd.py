"""Safe positions by the hundred thousand: rows of a store, and their debt on the vaults' books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from sqlalchemy import create_engine, insert

from benchmarks.keeper.ground import COLLATERAL, Ground
from ringfence.evm import Contract, load
from ringfence.evm.abi import address_bytes
from ringfence.keeper.memory.tables import POSITIONS
from ringfence.math.position_slot import PositionSlot, pack

_PAGE = 20_000
_KINDS = 1_009
_FIRST_OWNER = 2**159
_DEBT_BITS = 152
"""Where the books' second word has the total of scaled debt."""


def _debts(ground: Ground, draw: Random) -> list[tuple[bytes, int]]:
    """Return words and scaled debts of positions at LTVs of 20 to 60 %, at an index of one."""
    worth = int(COLLATERAL * ground.price) // 10**12
    debts = [worth * draw.randrange(2_000, 6_000) // 10_000 for _ in range(_KINDS)]
    time = ground.engine.timestamp
    return [(pack(PositionSlot(COLLATERAL, debt, time)).to_bytes(32), debt) for debt in debts]


def crowd(
    ground: Ground, store_url: str, vaults: Sequence[Contract], count: int,
    seed: int, tell: Callable[[int], None],
) -> None:  # fmt: skip
    """Put `count` positions more into a store that follows the chain, spread over the vaults.

    They are in no vault's storage. What they owe is: by BOOK-2 a keeper would miss it otherwise.
    """
    kinds, database = _debts(ground, Random(seed)), create_engine(store_url)
    variable = load("MarginVault").slot("balance_sheet", "_word_2")
    for index, vault in enumerate(vaults):
        address, owed = address_bytes(vault), 0
        for start in range(index, count, len(vaults) * _PAGE):
            rows = []
            for number in range(start, min(start + len(vaults) * _PAGE, count), len(vaults)):
                word, debt = kinds[number % _KINDS]
                position_id = ((_FIRST_OWNER + seed * 10**9 + number) << 96).to_bytes(32)
                rows.append({"vault": address, "position_id": position_id, "word": word})
                owed += debt
            with database.begin() as connection:
                connection.execute(insert(POSITIONS), rows)
            tell(len(rows))
        word = ground.engine.storage_at(vault, variable)
        ground.engine.set_storage(vault, variable, word + (owed << _DEBT_BITS))
    database.dispose()
