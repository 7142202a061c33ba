"""The keeper's memory: vaults, positions' words, and how to undo the latest blocks.

SQLite by default, PostgreSQL by its URL; tables as docs/adr/0011-keeper-memory.md says. Each change
is one transaction and the cursor is part of it: whenever the process or the machine dies, the store
is as it was after some block, whole. A power cut may cost SQLite the last blocks (synchronous is
NORMAL); as the cursor goes with them, they are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from ringfence.errors import RingfenceError
from ringfence.keeper.chain.wire import Header
from ringfence.keeper.memory.events import Changes, Key, Vault
from ringfence.keeper.memory.tables import (
    BLOCKS,
    META,
    POSITIONS,
    SCHEMA,
    TABLES,
    UNDO,
    VAULTS,
    open_database,
)

_PAGE = 20_000

_THIS_POSITION = (
    (POSITIONS.c.vault == bindparam("the_vault")),
    (POSITIONS.c.position_id == bindparam("the_position")),
)
_REMEMBER = insert(UNDO).values(
    number=bindparam("the_number"),
    vault=bindparam("the_vault"),
    position_id=bindparam("the_position"),
    word=select(POSITIONS.c.word).where(*_THIS_POSITION).scalar_subquery(),
)
_CLEAR = delete(POSITIONS).where(*_THIS_POSITION)


class StoreError(RingfenceError):
    """The store is of something else, cannot be reached, or was asked for what it has not."""


class Tip(NamedTuple):
    """The last block that was applied; the timestamp in unix seconds."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a store is of: a chain, a factory's 20 bytes, the block that the factory came in."""

    chain_id: int
    factory: bytes
    first_block: int

    def facts(self) -> dict[str, str]:
        """Return the rows that a store keeps of it."""
        return {
            "chain": str(self.chain_id),
            "factory": "0x" + self.factory.hex(),
            "first block": str(self.first_block),
            "schema": SCHEMA,
        }


class Store:
    """The store of one deployment at an SQLAlchemy URL, made when there is none.

    `window` is how many blocks can be undone: the depth, in blocks, at which a block is final.
    Raises StoreError when the store is of another deployment or of another version. Its methods
    wait for the database: call them off the event loop.
    """

    def __init__(self, url: str, deployment: Deployment, *, window: int = 64) -> None:
        self.deployment = deployment
        self.window = window
        try:
            self._engine = open_database(url)
        except (SQLAlchemyError, ImportError) as error:
            raise StoreError(f"the store's URL cannot be used: {error}") from error
        self.name = self._engine.url.set(query={}).render_as_string(hide_password=True)
        with self._transaction() as connection:
            TABLES.create_all(connection)
            found = {row.key: row.value for row in connection.execute(select(META))}
            wanted = deployment.facts()
            if not found:
                rows = [{"key": key, "value": value} for key, value in wanted.items()]
                connection.execute(insert(META), rows)
        if found and found != wanted:
            self.close()
            raise StoreError(
                f"the store {self.name} is of {_told(found)}, not of {_told(wanted)}; name another "
                "store, or delete this one: all that it holds can be read from the chain again"
            )

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            # The driver's own words: SQLAlchemy's carry the statement and what goes into it.
            told = getattr(error, "orig", None) or error
            raise StoreError(f"the store {self.name} failed: {told}") from error

    # Looks

    def cursor(self) -> int | None:
        """Return the number of the last block that was applied, None at the beginning."""
        with self._transaction() as connection:
            return connection.execute(select(func.max(BLOCKS.c.number))).scalar()

    def tip(self) -> Tip | None:
        """Return the last block that was applied, None at the beginning."""
        columns = BLOCKS.c.number, BLOCKS.c.hash, BLOCKS.c.timestamp
        query = select(*columns).order_by(BLOCKS.c.number.desc()).limit(1)
        with self._transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Tip(*row)

    def lowest(self) -> int | None:
        """Return the number of the first block that can be gone back to."""
        with self._transaction() as connection:
            return connection.execute(select(func.min(BLOCKS.c.number))).scalar()

    def hash_at(self, number: int) -> bytes | None:
        """Return the hash of an applied block, None outside the window."""
        with self._transaction() as connection:
            return _hash_at(connection, number)

    def addresses(self) -> list[bytes]:
        """Return the vaults' addresses in the registry's order."""
        with self._transaction() as connection:
            query = select(VAULTS.c.address).order_by(VAULTS.c.index)
            return list(connection.execute(query).scalars())

    def load(self) -> Iterator[tuple[Vault, bytearray, bytearray]]:
        """Yield each vault with its positions' ids and words, 32 bytes each, in the ids' order.

        One transaction: nothing else gets at the store before the last one is taken.
        """
        with self._transaction() as connection:
            for vault in connection.execute(select(VAULTS).order_by(VAULTS.c.index)).all():
                query = (
                    select(POSITIONS.c.position_id, POSITIONS.c.word)
                    .where(POSITIONS.c.vault == vault.address)
                    .order_by(POSITIONS.c.position_id)
                    .execution_options(yield_per=_PAGE)
                )
                ids, words = bytearray(), bytearray()
                for page in connection.execute(query).partitions():
                    some_ids, some_words = zip(*page, strict=True)
                    ids += b"".join(some_ids)
                    words += b"".join(some_words)
                yield Vault(**vault._mapping), ids, words

    # Changes

    def apply(
        self,
        block: Header,
        vaults: Sequence[Vault],
        words: Mapping[Key, int],
        *,
        final: bool = False,
    ) -> None:
        """Take over a block, or, if they are `final`, all blocks from the cursor to this one.

        `words` are the last ones written, 0 for a closed position. Final blocks cannot be undone.
        Raises StoreError when the block does not follow the cursor.
        """
        with self._transaction() as connection:
            self._check_follows(connection, block, final=final)
            row = {
                "number": block.number,
                "hash": block.hash,
                "parent_hash": block.parent_hash,
                "timestamp": block.timestamp,
            }
            connection.execute(insert(BLOCKS), row)
            if vaults:
                connection.execute(insert(VAULTS), [_vault_row(vault) for vault in vaults])
            if words and not final:
                keys = [{**_key(key), "the_number": block.number} for key in words]
                connection.execute(_REMEMBER, keys)
            _write(
                connection, {key: word.to_bytes(32) for key, word in words.items() if word}, words
            )
            floor = block.number - (0 if final else self.window)
            connection.execute(delete(BLOCKS).where(BLOCKS.c.number < floor))
            connection.execute(delete(UNDO).where(UNDO.c.number <= floor))

    def _check_follows(self, connection: Connection, block: Header, *, final: bool) -> None:
        """Refuse a block that does not follow the cursor, which another process may have moved."""
        # PostgreSQL: whoever else comes here waits for this transaction; SQLite has one writer.
        connection.execute(select(META).with_for_update()).all()
        cursor = connection.execute(select(func.max(BLOCKS.c.number))).scalar()
        if cursor is None or (final and cursor < block.number):
            return
        if (cursor + 1, _hash_at(connection, cursor)) != (block.number, block.parent_hash):
            raise StoreError(
                f"block {block.number} does not follow block {cursor}, the last one in the store "
                f"{self.name}; does another keeper use it? Give each its own"
            )

    def undo_to(self, number: int) -> Changes:
        """Take back every block above `number`; return what that changed.

        Raises StoreError when the block is not in the window.
        """
        with self._transaction() as connection:
            if _hash_at(connection, number) is None:
                raise StoreError(f"the store {self.name} cannot go back to block {number}")
            # Downwards, so that the word before the lowest block is the one that stays.
            query = select(UNDO).where(UNDO.c.number > number).order_by(UNDO.c.number.desc())
            before: dict[Key, bytes | None] = {
                (row.vault, int.from_bytes(row.position_id)): row.word
                for row in connection.execute(query)
            }
            _write(connection, {key: word for key, word in before.items() if word}, before)
            newer = VAULTS.c.created_block > number
            gone = tuple(connection.execute(select(VAULTS.c.address).where(newer)).scalars())
            connection.execute(delete(VAULTS).where(newer))
            connection.execute(delete(UNDO).where(UNDO.c.number > number))
            connection.execute(delete(BLOCKS).where(BLOCKS.c.number > number))
        return Changes(
            gone=gone,
            words={
                key: int.from_bytes(word or b"")
                for key, word in before.items()
                if key[0] not in gone
            },
        )


def _told(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(facts.items()))


def _hash_at(connection: Connection, number: int) -> bytes | None:
    query = select(BLOCKS.c.hash).where(BLOCKS.c.number == number)
    return connection.execute(query).scalar()


def _key(key: Key) -> dict[str, Any]:
    return {"the_vault": key[0], "the_position": key[1].to_bytes(32)}


def _vault_row(vault: Vault) -> dict[str, Any]:
    return {
        "address": vault.address,
        "index": vault.index,
        "created_block": vault.created_block,
        "parameters": vault.parameters,
    }


def _write(connection: Connection, words: Mapping[Key, bytes], changed: Mapping[Key, Any]) -> None:
    """Let the `changed` positions have these words, those without one none."""
    if changed:
        connection.execute(_CLEAR, [_key(key) for key in changed])
    if words:
        rows = [
            {"vault": vault, "position_id": position_id.to_bytes(32), "word": word}
            for (vault, position_id), word in words.items()
        ]
        connection.execute(insert(POSITIONS), rows)
