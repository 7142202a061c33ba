"""The lane's write-ahead record: every transaction, written down before anybody hears of it.

SQLite by default, PostgreSQL by its URL; it may share the store's database. What is committed here
outlives a power cut as well (SQLite's synchronous is FULL): bytes that were sent cannot be read
back from the chain, unlike all that the store holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    Table,
    Text,
    TypeDecorator,
    delete,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from ringfence.errors import RingfenceError
from ringfence.keeper.act.bid import Target
from ringfence.keeper.memory.tables import open_database

SCHEMA = "1"

Guard: TypeAlias = Callable[[Connection], None]
"""Looks, inside the transaction of a change, whether it may happen; raises when it may not."""


class LedgerError(RingfenceError):
    """The ledger cannot be reached or written, or is of another version."""


class State(StrEnum):
    """What became of a transaction."""

    SIGNED = "signed"  # written down, perhaps sent
    SENT = "sent"  # given to a node
    MINED = "mined"
    FAILED = "failed"  # mined, and reverted
    REPLACED = "replaced"  # by a later one of its nonce, ours; it may still be mined instead
    DROPPED = "dropped"  # every node refused it
    FOREIGN = "foreign"  # its nonce was used by a transaction that is not ours


OPEN = (State.SIGNED, State.SENT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a mined transaction did: its block, the gas paid in wei, and each target's end.

    `profits` are in the vaults' assets, `skipped` the reasons of those that were left alone.
    """

    block: int
    block_hash: bytes
    cost: int
    profits: tuple[tuple[Target, int], ...] = ()
    skipped: tuple[tuple[Target, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A transaction. `attempt` counts those of one nonce; fees in wei a unit, `worth` in wei.

    `block` and `timestamp` are the head's when it was signed, `settled` the block that decided its
    nonce, None while that is open. `error` is why it was refused.
    """

    nonce: int
    attempt: int
    hash: bytes
    raw: bytes = field(repr=False)
    gas: int
    max_fee: int
    tip: int
    worth: int
    targets: tuple[Target, ...]
    block: int
    timestamp: int
    state: State
    settled: int | None = None
    outcome: Outcome | None = None
    error: str | None = None


class _Wei(TypeDecorator[int]):
    """An amount as 32 bytes, the highest first: wei outgrow a BIGINT at nine ether."""

    impl = LargeBinary(32)
    cache_ok = True

    @override
    def process_bind_param(self, value: int | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.to_bytes(32)

    @override
    def process_result_value(self, value: bytes | None, dialect: Dialect) -> int | None:
        return None if value is None else int.from_bytes(value)


_TABLES = MetaData()
_META = Table(
    "lane_meta",
    _TABLES,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
_ROWS = Table(
    "lane_transactions",
    _TABLES,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", LargeBinary(20), primary_key=True),
    Column("nonce", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column("gas", BigInteger, nullable=False),
    Column("max_fee", _Wei, nullable=False),
    Column("tip", _Wei, nullable=False),
    Column("worth", _Wei, nullable=False),
    Column("targets", JSON, nullable=False),
    Column("block", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("settled", BigInteger, index=True),
    Column("outcome", JSON(none_as_null=True)),
    Column("error", Text),
)
_FATE = ("state", "settled", "outcome", "error")
"""The columns that change after the row was written."""


class Ledger:
    """One account's transactions on one chain, at an SQLAlchemy URL; made when there is none.

    Every method raises LedgerError when the database fails; what a guard raises comes through. They
    wait for the database, and for each other: call them off the event loop.
    """

    def __init__(self, url: str, chain_id: int, account: bytes) -> None:
        self.chain_id = chain_id
        self.account = account
        self._key = {"chain_id": chain_id, "account": account}
        self._lock = Lock()
        self._ours = (_ROWS.c.chain_id == chain_id) & (_ROWS.c.account == account)
        try:
            self._engine = open_database(url)
        except (SQLAlchemyError, ImportError) as error:
            raise LedgerError(f"the ledger's URL cannot be used: {error}") from error
        self.name = self._engine.url.set(query={}).render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":

            @event.listens_for(self._engine, "connect")
            def _connect(connection: DBAPIConnection, _record: object) -> None:
                connection.execute("PRAGMA synchronous = FULL")

        with self._transaction() as connection:
            _TABLES.create_all(connection)
            found = connection.execute(select(_META.c.value)).scalar()
            if found is None:
                connection.execute(insert(_META), {"key": "schema", "value": SCHEMA})
        if found not in (None, SCHEMA):
            self.close()
            raise LedgerError(
                f"the ledger {self.name} is of schema {found}, not {SCHEMA}; when none of its "
                "transactions is open any more, name another"
            )

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, guard: Guard | None = None) -> Iterator[Connection]:
        try:
            with self._lock, self._engine.begin() as connection:
                if guard is not None:
                    guard(connection)
                yield connection
        except SQLAlchemyError as error:
            # The driver's own words: SQLAlchemy's carry the statement and what goes into it.
            told = " ".join(str(getattr(error, "orig", None) or error).split())
            raise LedgerError(
                f"the ledger {self.name} failed: {told}; nothing is sent until it can be written"
            ) from error

    # Looks

    def rows(self, since: int) -> list[Row]:
        """Return whatever is open or was settled after block `since`, by nonce and attempt.

        With it come all later nonces, and all attempts of each.
        """
        recent = or_(_ROWS.c.settled.is_(None), _ROWS.c.settled > since)
        lowest = select(func.min(_ROWS.c.nonce)).where(self._ours, recent).scalar_subquery()
        query = select(_ROWS).where(self._ours, _ROWS.c.nonce >= lowest)
        with self._transaction() as connection:
            found = connection.execute(query.order_by(_ROWS.c.nonce, _ROWS.c.attempt)).all()
        return [_row(one._mapping) for one in found]

    def spent(self, since: int, besides: int | None = None) -> int:
        """Return what was paid for gas, and may still have to be, since a second of unix time, wei.

        The transactions of the nonce `besides` are left out: only one of them can be mined.
        """
        columns = _ROWS.c.nonce, _ROWS.c.gas, _ROWS.c.max_fee, _ROWS.c.state, _ROWS.c.outcome
        cheap = (State.FOREIGN.value, State.DROPPED.value)
        query = select(*columns).where(
            self._ours, _ROWS.c.timestamp > since, _ROWS.c.state.not_in(cheap)
        )
        costs: dict[int, int] = {}
        paid: dict[int, int] = {}
        with self._transaction() as connection:
            for row in connection.execute(query):
                if row.outcome is not None:
                    paid[row.nonce] = int(row.outcome["cost"])
                costs[row.nonce] = max(costs.get(row.nonce, 0), row.gas * row.max_fee)
        return sum(cost for nonce, cost in (costs | paid).items() if nonce != besides)

    # Changes

    def record(self, row: Row, guard: Guard | None = None) -> None:
        """Write down a signed transaction in the place of the open ones of its nonce.

        One that was refused and is signed again has the same bytes: it takes the old row's place.
        """
        same = (
            self._ours
            & (_ROWS.c.nonce == row.nonce)
            & _ROWS.c.state.in_([state.value for state in OPEN])
        )
        with self._transaction(guard) as connection:
            connection.execute(update(_ROWS).where(same).values(state=State.REPLACED.value))
            connection.execute(delete(_ROWS).where(self._ours, _ROWS.c.hash == row.hash))
            connection.execute(insert(_ROWS), self._key | _values(row))

    def settle(self, rows: Sequence[Row], guard: Guard | None = None) -> None:
        """Write down what became of these: state, settled, outcome, error."""
        with self._transaction(guard) as connection:
            for row in rows:
                values = _values(row)
                this = self._ours & (_ROWS.c.nonce == row.nonce) & (_ROWS.c.attempt == row.attempt)
                fate = {name: values[name] for name in _FATE}
                connection.execute(update(_ROWS).where(this).values(fate))


# JSON has no bytes, and keeps no integer above 2**53 everywhere: both are text there.


def _pack(targets: Sequence[tuple[Target, Any]]) -> list[list[str]]:
    return [[vault.hex(), str(number), str(more)] for (vault, number), more in targets]


def _unpack(packed: Sequence[Sequence[str]]) -> list[tuple[Target, str]]:
    return [((bytes.fromhex(vault), int(number)), more) for vault, number, more in packed]


def _values(row: Row) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in Row.__slots__}
    values["state"] = row.state.value
    values["targets"] = _pack([(target, "") for target in row.targets])
    if row.outcome is not None:
        values["outcome"] = {
            "block": row.outcome.block,
            "block_hash": row.outcome.block_hash.hex(),
            "cost": str(row.outcome.cost),
            "profits": _pack(row.outcome.profits),
            "skipped": _pack(row.outcome.skipped),
        }
    return values


def _row(values: RowMapping) -> Row:
    fields = {name: values[name] for name in Row.__slots__}
    fields["state"] = State(fields["state"])
    fields["targets"] = tuple(target for target, _more in _unpack(fields["targets"]))
    if (told := fields["outcome"]) is not None:
        fields["outcome"] = Outcome(
            told["block"],
            bytes.fromhex(told["block_hash"]),
            int(told["cost"]),
            tuple((target, int(profit)) for target, profit in _unpack(told["profits"])),
            tuple(_unpack(told["skipped"])),
        )
    return Row(**fields)
