"""The keeper's command and its store: what it remembers, where, and what it cannot judge."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringfence.deploy.errors import DeployError
from tests.integration.test_keeper import command, scene, staged, typed
from tests.support.crash import LONG, TRADER, Crash

__all__ = ["command", "scene", "staged"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_keeper__store__remembers_what_an_earlier_run_read(
    command: Any, scene: Crash, tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    store = str(tmp_path / "folder" / "keeper.sqlite")
    if database == "postgresql":
        store = request.getfixturevalue("postgres_url").replace("+psycopg", "")
    words = ("--dry-run", "--json", "--store", store)
    first = json.loads(typed(command, scene, *words).stdout)
    assert (first["due"], first["troubles"]) == ([], {})
    scene.fall(180)
    second = json.loads(typed(command, scene, *words).stdout)
    assert [one["position_id"] for one in second["due"]] == [hex(scene.long_id)]
    assert second["nearest"] < 0
    # A store of another deployment is refused, which shows that it was kept.
    data = json.loads(scene.record.read_text())
    data["contracts"]["factory"]["block"] += 1
    other = tmp_path / "record.json"
    other.write_text(json.dumps(data))
    refused = typed(command, replace(scene, record=other), *words)
    assert refused.exit_code == 1
    assert "delete this one" in refused.stderr


@pytest.mark.parametrize(
    ("given", "rehearsal", "url"),
    [
        (None, True, "sqlite://"),
        (None, False, "sqlite:///{}/out/keeper/10.sqlite"),
        ("{}/new/file", True, "sqlite:///{}/new/file"),
        ("postgresql://me@host/x", False, "postgresql+psycopg://me@host/x"),
        ("postgresql+psycopg://me@host/x", False, "postgresql+psycopg://me@host/x"),
    ],
)
def test_database__file_url_or_none__what_the_chain_wants(
    command: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    rehearsal: bool,
    url: str,
) -> None:
    script = sys.modules["scripts._keeper_setup"]
    monkeypatch.setattr(script, "ROOT", tmp_path)
    node = SimpleNamespace(rehearsal=rehearsal, chain_id=10)
    found = script.database(node, given and given.format(tmp_path), "")
    assert found == url.format(tmp_path)
    if found.startswith("sqlite:///"):
        assert Path(found.removeprefix("sqlite:///")).parent.is_dir()


def test_settings__node_not_over_http__says_what_to_pass(command: Any, scene: Crash) -> None:
    script = sys.modules["scripts._keeper_setup"]
    node, record = SimpleNamespace(url="ws://127.0.0.1:8545"), scene.stage.record
    with pytest.raises(DeployError, match="http or https URL"):
        script.keeper_settings(node, record, None, None, ())


def test_keeper__oracle_gives_no_price__says_so(command: Any, scene: Crash) -> None:
    scene.engine.advance(10**6)
    scene.stage.fund(TRADER, scene.stage.usdc, 1)
    done = typed(command, scene, "--dry-run")
    assert f"{LONG}: its oracle {scene.long.oracle.address} gives no price" in " ".join(
        done.stdout.split()
    )
    assert "Nothing is due. No position has both a debt and a price." in done.stdout
