"""Measures every operation: on anvil, and in process to see that both engines agree."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.gas import anvil, peers, scenes
from ringfence.evm import Contract, Engine, InProcessEngine
from ringfence.evm.state import State

HARDFORK = "osaka"
HEALTH_VIEW = "health_view"

_STATED = {
    bytes.fromhex("23b872dd"): peers.TRANSFER_FROM,  # transferFrom(address,address,uint256)
    bytes.fromhex("a9059cbb"): peers.TRANSFER,  # transfer(address,uint256)
}


class DisagreementError(Exception):
    """The two engines give one operation two prices: the guard in `make test` would be void."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operation's gas, all of it and its parts.

    `gas` is the receipt's, refunds taken off; the health view's is the execution alone. The tokens'
    and the models' calls are what the callees used, `transfers` what the peers' token would have.
    """

    name: str
    gas: int
    calldata: int
    own_tokens: int
    stated_tokens: int
    rate_call: int
    oracle_call: int
    logs: int

    @property
    def normalised(self) -> int:
        """The gas if each transfer had cost what it costs the peers."""
        return self.gas - self.own_tokens + self.stated_tokens

    @property
    def alike(self) -> int:
        """The same with the calls of rate model and oracle at the peers' cost as well."""
        rate = peers.RATE_CALL - self.rate_call if self.rate_call else 0
        oracle = peers.ORACLE_CALL - self.oracle_call if self.oracle_call else 0
        return self.normalised + rate + oracle


@dataclass(frozen=True, slots=True)
class Measurement:
    """Every row, the vault's code on chain in bytes, and what it was measured with."""

    rows: tuple[Row, ...]
    runtime_bytes: int
    compiler: str
    anvil: str
    hardfork: str = HARDFORK


def _executed(scene: scenes.Scene, gas_used: int) -> int:
    """Return the gas of a row: a view is called, not sent, so only its execution counts."""
    return gas_used - scene.intrinsic_gas if scene.name == HEALTH_VIEW else gas_used


def _settled(engine: Engine) -> scenes.Market:
    market = scenes.deploy(engine)
    scenes.settle(market)
    return market


def in_process() -> Iterator[tuple[str, int]]:
    """Yield each operation's name and gas as the in-process engine has them (Cancun rules)."""
    engine = InProcessEngine()
    for scene in scenes.scenes(_settled(engine)):
        receipt = engine.transact(scene.to, scene.data, sender=scene.sender)
        yield scene.name, _executed(scene, receipt.gas_used)


def runtime_bytes() -> int:
    """Return the size of a vault's code on chain, immutables included."""
    engine = InProcessEngine()
    return len(engine.code_at(scenes.deploy(engine).vault.address))


def _state(engine: InProcessEngine) -> State:
    """Return everything the engine holds: its mark is the time and the state."""
    mark = engine.snapshot()
    if not isinstance(mark, tuple) or not isinstance(mark[1], State):
        raise TypeError("the in-process engine's marks have changed")
    return mark[1]


def _row(market: scenes.Market, scene: scenes.Scene, mined: anvil.Mined) -> Row:
    def spent(contract: Contract) -> int:
        return sum(f.gas for f in mined.frames if f.to == contract.address.lower())

    rate, oracle = spent(market.rate_model), spent(market.oracle)
    return Row(
        name=scene.name,
        gas=_executed(scene, mined.gas_used),
        calldata=0 if scene.name == HEALTH_VIEW else scene.calldata_gas,
        own_tokens=spent(market.collateral) + spent(market.asset),
        stated_tokens=sum(_STATED.get(frame.selector, 0) for frame in mined.frames),
        rate_call=rate + peers.COLD_CALL if rate else 0,
        oracle_call=oracle + peers.COLD_CALL if oracle else 0,
        logs=sum(e.gas for e in mined.events if e.address == market.vault.address.lower()),
    )


def measure() -> Measurement:
    """Measure every operation on anvil; raise DisagreementError if in process it costs another."""
    engine = InProcessEngine()
    market = _settled(engine)
    expected = dict(in_process())
    rows = []
    with anvil.running(HARDFORK) as chain:
        for scene in scenes.scenes(market):
            mined = chain.mine(scene, _state(engine).accounts(), engine.timestamp)
            row = _row(market, scene, mined)
            if row.gas != expected[row.name]:
                raise DisagreementError(
                    f"{row.name} costs {row.gas} on anvil ({HARDFORK}) and "
                    f"{expected[row.name]} in process; the guard needs a figure of its own"
                )
            rows.append(row)
    size = len(engine.code_at(market.vault.address))
    compiler = f"vyper {importlib.metadata.version('vyper')}"
    return Measurement(tuple(rows), size, compiler, anvil.version())
