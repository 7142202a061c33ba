"""A PostgreSQL server of the tests' own, from the machine's package; `initdb` takes a second."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

ABSENT = "PostgreSQL is not installed; `apt-get install postgresql` has these tests run"


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, which Debian does not put on PATH."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "pg_ctl").exists()), None)


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """Start a server of these programs; yields the folder of its socket. It listens on no port."""
    # PostgreSQL refuses to run as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        if as_user:
            shutil.chown(name, "postgres")

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs / program), "-D", f"{name}/data", *arguments]
            subprocess.run(command, check=True, cwd=name, stdout=subprocess.DEVNULL, timeout=60)

        run("initdb", "--auth=trust", "--username=postgres", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={name} -c fsync=off"
        run("pg_ctl", "-w", "-l", f"{name}/log", "-o", options, "start")
        try:
            yield name
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


def url_of(folder: str) -> str:
    """Return the SQLAlchemy URL of a server's one database."""
    return f"postgresql+psycopg://postgres@/postgres?host={folder}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The folder of a server's socket."""
    found = programs()
    if found is None:
        pytest.skip(ABSENT)
    with server(found) as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The SQLAlchemy URL of the server's one database, emptied."""
    with psycopg.connect(host=postgres_server, user="postgres") as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return url_of(postgres_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a keeper's store may be: a file, and a database of the server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'keeper.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
