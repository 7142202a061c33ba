"""The tables of the keeper's store, and the databases that hold them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    StaticPool,
    Table,
    Text,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.engine.interfaces import DBAPIConnection

SCHEMA = "1"

TABLES = MetaData()


def _binary(name: str, size: int, *, key: bool = False, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary(size), primary_key=key, nullable=nullable)


def _number(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, autoincrement=False, nullable=False)


META = Table(
    "meta",
    TABLES,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
BLOCKS = Table(
    "blocks",
    TABLES,
    _number("number", key=True),
    _binary("hash", 32),
    _binary("parent_hash", 32),
    _number("timestamp"),
)
VAULTS = Table(
    "vaults",
    TABLES,
    _binary("address", 20, key=True),
    Column("index", Integer, nullable=False, unique=True),
    _number("created_block"),
    Column("parameters", JSON, nullable=False),
)
POSITIONS = Table(
    "positions",
    TABLES,
    _binary("vault", 20, key=True),
    _binary("position_id", 32, key=True),
    _binary("word", 32),
    sqlite_with_rowid=False,
)
# The word that a position had before a block; NULL where there was none.
UNDO = Table(
    "undo",
    TABLES,
    _number("number", key=True),
    _binary("vault", 20, key=True),
    _binary("position_id", 32, key=True),
    _binary("word", 32, nullable=True),
    sqlite_with_rowid=False,
)


_PATIENCE = {"connect_timeout": "5", "tcp_user_timeout": "10000"}
"""How long libpq waits for a server that does not answer: s, ms."""


def _in_memory(url: URL) -> dict[str, Any]:
    """Return what makes SQLite's memory one database for all threads, not one for each."""
    if url.get_backend_name() != "sqlite" or url.database not in (None, "", ":memory:"):
        return {}
    return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}


def open_database(url: str) -> Engine:
    """Return the database at an SQLAlchemy URL, its transactions set up; raise SQLAlchemyError.

    No silent server of PostgreSQL's holds the keeper up, unless the URL says so. Threads may use a
    database side by side, or, where it is in memory, one after the other.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.update_query_dict({**_PATIENCE, **parsed.query})
    engine = create_engine(parsed, **_in_memory(parsed))
    if engine.dialect.name == "sqlite":
        # Locked from the start: what a transaction has read stays true until it writes.
        @event.listens_for(engine, "connect")
        def _connect(connection: DBAPIConnection, _record: object) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
