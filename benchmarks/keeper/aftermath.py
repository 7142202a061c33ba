"""What a soak's keeper leaves behind: its ledger, its store, its health, its last words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select

from benchmarks.keeper.faults import Arena
from benchmarks.keeper.ground import USDC, WETH
from ringfence.evm.abi import address_bytes, checksum
from ringfence.keeper.act.ledger import Ledger, Row, State
from ringfence.keeper.memory.tables import BLOCKS, POSITIONS
from tests.support.keeper_process import KeeperProcess

_MINED = (State.MINED, State.FAILED, State.FOREIGN)
_SECONDS = 30


def aftermath(arena: Arena, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """End the keeper; return figures of what it did, and what it left in disorder."""
    problems = [one for keeper in arena.keepers for one in _end(arena, keeper)]
    figures, wrong = _ledger(arena)
    stores = [one for keeper in arena.keepers for one in _store(arena, folder, keeper.name)]
    return figures, problems + wrong + stores


def _end(arena: Arena, keeper: KeeperProcess) -> list[str]:
    """Wait until a keeper is well, then end it; return what was wrong."""
    problems = []
    deadline = time.monotonic() + _SECONDS
    while (health := keeper.health())[0] != 200 and time.monotonic() < deadline:
        time.sleep(1)
        arena.world.block(frozenset())
    if health[0] != 200:
        problems.append(f"/health of {keeper.name} is not green at the end: {health}")
    code = keeper.stop()
    last = keeper.errors.read_text().splitlines()[-1:]
    if code != 0 or "stopped" not in "".join(last):
        problems.append(f"SIGTERM ended {keeper.name} with {code} and {last}")
    if "Traceback" in keeper.errors.read_text():
        problems.append(f"a traceback in {keeper.errors}")
    return problems


def _ledger(arena: Arena) -> tuple[dict[str, Any], list[str]]:
    world = arena.world
    chain_id = world.ground.engine.chain_id
    ledger = Ledger(arena.ledger, chain_id, address_bytes(world.keeper))
    rows = ledger.rows(-1)
    ledger.close()
    count = int(world.ground.rpc.call("eth_getTransactionCount", world.keeper, "latest"), 16)
    used = sorted({row.nonce for row in rows if row.state in _MINED})
    problems = []
    if used != [*range(count)]:
        problems.append(f"the ledger's nonces are not the chain's {count}: {used}")
    return _figures(arena, rows), problems


def _figures(arena: Arena, rows: list[Row]) -> dict[str, Any]:
    """Return what the ledger came to; the cost is turned into dollars at the last price."""
    world = arena.world
    ended = [row.outcome for row in rows if row.state in _MINED and row.outcome is not None]
    earned = sum(profit for one in ended for _target, profit in one.profits) / USDC
    gas = sum(one.cost for one in ended) / WETH
    states = [row.state for row in rows]
    return {
        "transactions": {state.value: states.count(state) for state in State},
        "liquidated": sum(len(one.profits) for one in ended),
        "skipped": sum(len(one.skipped) for one in ended),
        "earned_usdc": round(earned, 2),
        "gas_ether": round(gas, 5),
        "net_usdc": round(earned - gas * world.price, 2),
    }


def _store(arena: Arena, folder: Path, name: str) -> list[str]:
    """Return where the store differs from the vaults' storage, at its own last block."""
    database = create_engine(f"sqlite:///{folder / name}.sqlite")
    with database.begin() as connection:
        rows = connection.execute(select(POSITIONS)).all()
        tip = connection.execute(select(BLOCKS).order_by(BLOCKS.c.number.desc())).first()
    database.dispose()
    if tip is None:
        return [f"the store of {name} is empty"]
    world = arena.world
    stored = {(checksum(r.vault), int.from_bytes(r.position_id)): r.word for r in rows}
    known = sorted({*stored, *world.collateral})
    slot = world.ground.vaults[0].slot
    calls = [{"to": vault, "data": "0x" + slot.encode(number).hex()} for vault, number in known]
    at = {"blockHash": "0x" + tip.hash.hex()}
    words = world.ground.rpc.batch([("eth_call", [call, at]) for call in calls])
    wrong = [
        key
        for key, word in zip(known, words, strict=True)
        if int(str(word), 16) != int.from_bytes(stored.get(key, b""))
    ]
    return [f"the store differs from the chain at {len(wrong)} positions: {wrong[:3]}"] * bool(
        wrong
    )
