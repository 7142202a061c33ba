"""A ledger as a lane keeps one, beside the leases that guard it."""

from __future__ import annotations

from sqlalchemy import Connection, text

from ringfence.keeper.act.lease import LeaseLostError, Leases
from ringfence.keeper.memory.tables import open_database

A, B = b"\xaa" * 20, b"\xbb" * 20
CHAIN = 1


def make_ledger(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE ledger (id INTEGER)"))
    engine.dispose()


def record(connection: Connection) -> None:
    connection.execute(text("INSERT INTO ledger VALUES (1)"))


def rows_in_ledger(url: str) -> int:
    engine = open_database(url)
    with engine.begin() as connection:
        count: int = connection.execute(text("SELECT count(*) FROM ledger")).scalar_one()
    engine.dispose()
    return count


def records(leases: Leases, tokens: dict[bytes, int]) -> bool:
    """Whether a lane with these tokens may record what it is about to send; if so, it does."""
    try:
        with leases._engine.begin() as connection:
            leases.guard(tokens)(connection)
            record(connection)
    except LeaseLostError:
        return False
    return True
