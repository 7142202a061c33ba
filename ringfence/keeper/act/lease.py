"""Which of several keepers acts on a vault: leases in a database that they share.

A lease is one row per chain and vault: who holds it, a token, and the last block that it is good
for. Time is counted in the chain's blocks, as each keeper's node tells them: clocks are read
nowhere, and those of the keepers may differ by any amount. A keeper that dies, however it does,
leaves its vaults to the others once they are more than `blocks` past its last head: at the second
block by default.

First come, first served: the first keeper to ask holds every vault, a second one stands by and gets
what the first lets go. Nothing is shared out, and nothing needs to be: one keeper does all vaults
at the cost of one.

What keeps two from acting at once is the token, not the time. Each change of hands makes it larger,
and `guard` refuses an old one within the very transaction that records what is about to be sent: a
holder that slept past its lease cannot record, so it cannot send. What it has recorded before, it
may send late; both then act on one position, the second transaction skips or reverts, and the loss
is its gas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Executable,
    LargeBinary,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from ringfence.errors import RingfenceError
from ringfence.keeper.memory.tables import open_database

LEASES = Table(
    "leases",
    MetaData(),
    Column("chain", BigInteger, primary_key=True, autoincrement=False),
    Column("vault", LargeBinary(20), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until_block", BigInteger, nullable=False),
)

_FREE = -1
"""The `until_block` of a lease that nobody holds."""


class LeaseError(RingfenceError):
    """The leases' database cannot be reached or used."""


class LeaseLostError(LeaseError):
    """Another keeper holds a vault now: nothing may be sent for it."""


class Leases:
    """The leases of one chain as one keeper, the `holder`, sees them; its name is for people.

    `database` is an SQLAlchemy URL, or an engine of `open_database`'s kind: PostgreSQL, or SQLite
    for keepers on one machine. `blocks` is how far past its last head a holder keeps a lease.
    `hold` is how long a transaction may lock leases while its keeper is silent, seconds: then
    PostgreSQL ends it, so that a frozen keeper holds nobody up; SQLite does not.

    Its methods wait for the database, up to `hold` and a little: call them off the event loop.
    A lease is one's own by the token that this object was given. Two keepers of one name are two
    keepers, and one that starts again waits for its former life's leases as for anyone's.
    """

    def __init__(
        self,
        database: str | Engine,
        chain_id: int,
        holder: str,
        *,
        blocks: int = 1,
        hold: float = 5,
    ) -> None:
        self._chain, self._holder, self._blocks = chain_id, holder, blocks
        self._hold = round(hold * 1_000)
        self._tokens: dict[bytes, int] = {}
        self._known: set[bytes] = set()
        self._seen: dict[Row[Any], int] = {}
        self._owned = isinstance(database, str)
        try:
            self._engine = open_database(database) if isinstance(database, str) else database
        except (SQLAlchemyError, ImportError) as error:
            raise LeaseError(f"the leases' URL cannot be used: {error}") from error
        self._postgresql = self._engine.dialect.name == "postgresql"
        self.name = self._engine.url.set(query={}).render_as_string(hide_password=True)
        with self._transaction() as connection:
            if self._postgresql:
                # Two that make a table at once fail, even with IF NOT EXISTS.
                connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("leases"))))
            LEASES.create(connection, checkfirst=True)

    def close(self) -> None:
        """Close its connections, unless the engine is someone else's; releases nothing."""
        if self._owned:
            self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                self._bound(connection)
                yield connection
        except SQLAlchemyError as error:
            told = str(getattr(error, "orig", None) or error).partition("\n")[0]
            raise LeaseError(
                f"the leases' database {self.name} failed: {told}; nothing is sent without it"
            ) from error

    def _bound(self, connection: Connection) -> None:
        if self._postgresql:
            names = "lock_timeout", "idle_in_transaction_session_timeout"
            connection.execute(select(*[func.set_config(n, str(self._hold), True) for n in names]))

    def _rows(self, vaults: Iterable[bytes]) -> Select[Any]:
        """Query leases in the vaults' order: who locks, locks in that order, never crosswise."""
        mine = (LEASES.c.chain == self._chain) & LEASES.c.vault.in_(sorted(vaults))
        columns = LEASES.c.vault, LEASES.c.holder, LEASES.c.token, LEASES.c.until_block
        return select(*columns).where(mine).order_by(LEASES.c.vault)

    def renew(self, head_number: int, vaults: Iterable[bytes]) -> dict[bytes, int]:
        """Renew one's own leases of these vaults and take those that are free; return all tokens.

        One transaction, five statements at most, however many vaults. Free is what expired before
        `head_number`, and what did not change over more than `blocks` of this keeper's heads,
        whatever block it names: a holder whose node told it a block of the far future does not keep
        it until then. Of two whose nodes differ in height, the one ahead takes from the one that
        lags. Raises LeaseError: then nothing is known to be held.
        """
        wanted = sorted(set(vaults))
        until = head_number + self._blocks
        with self._transaction() as connection:
            new = [vault for vault in wanted if vault not in self._known]
            if new:
                connection.execute(self._insert(), [self._free(vault) for vault in new])
            rows = connection.execute(self._rows(wanted).with_for_update()).all()
            kept = {r.vault: r.token for r in rows if self._tokens.get(r.vault) == r.token}
            others = [row for row in rows if row.vault not in kept]
            seen = {row: min(head_number, self._seen.get(row, head_number)) for row in others}
            taken = {
                row.vault: row.token + 1
                for row in others
                if row.until_block < head_number or seen[row] + self._blocks < head_number
            }
            self._write(connection, kept, until_block=until)
            self._write(
                connection,
                taken,
                until_block=until,
                token=LEASES.c.token + 1,
                holder=self._holder,
            )
        self._known, self._seen = {row.vault for row in rows}, seen
        self._tokens = kept | taken
        return dict(self._tokens)

    def _insert(self) -> Executable:
        if self._postgresql:
            return postgresql.insert(LEASES).on_conflict_do_nothing()
        return sqlite.insert(LEASES).on_conflict_do_nothing()

    def _free(self, vault: bytes) -> dict[str, Any]:
        return {
            "chain": self._chain,
            "vault": vault,
            "holder": "",
            "token": 0,
            "until_block": _FREE,
        }

    def _write(self, connection: Connection, vaults: Iterable[bytes], **values: object) -> None:
        chosen = [*vaults]
        if chosen:
            where = (LEASES.c.chain == self._chain) & LEASES.c.vault.in_(chosen)
            connection.execute(update(LEASES).where(where).values(values))

    def guard(self, vault_tokens: Mapping[bytes, int]) -> Callable[[Connection], None]:
        """Return what is to be called within the transaction that records what will be sent.

        The transaction must be one of the leases' own database. It raises LeaseLostError when a
        token is not the current one; else, until the transaction ends, nobody can take the vaults,
        and on PostgreSQL a keeper silent for `hold` within it loses it.
        """
        query = self._rows(vault_tokens).with_for_update(read=True)

        def check(connection: Connection) -> None:
            self._bound(connection)
            rows = {row.vault: row for row in connection.execute(query)}
            for vault, token in vault_tokens.items():
                row = rows.get(vault)
                if row is None or row.token != token:
                    told = f"{row.holder!r} has token {row.token}" if row else "there is no lease"
                    raise LeaseLostError(
                        f"the lease of vault 0x{vault.hex()} with token {token} is lost: {told}; "
                        "nothing is sent for it until it is renewed"
                    )

        return check

    def release(self) -> None:
        """Let go of every lease, for others to take at once; on a clean end, when nothing is open.

        Raises LeaseError; then they expire.
        """
        tokens, self._tokens = self._tokens, {}
        ours = (
            (LEASES.c.chain == self._chain)
            & (LEASES.c.vault == bindparam("the_vault"))
            & (LEASES.c.token == bindparam("the_token"))
        )
        rows = [{"the_vault": v, "the_token": token} for v, token in sorted(tokens.items())]
        if rows:
            with self._transaction() as connection:
                connection.execute(update(LEASES).where(ours).values(until_block=_FREE), rows)
