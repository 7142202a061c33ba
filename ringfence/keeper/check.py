"""Before a keeper starts: key, money, nodes, contracts, vaults, feeds, routes; a line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ringfence.client.units import ZERO_ADDRESS, Token
from ringfence.evm.abi import checksum
from ringfence.evm.rpc import Json, RpcError
from ringfence.keeper.act.asking import at, hexed
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.fees import read_fees
from ringfence.keeper.act.market import Market
from ringfence.keeper.act.policy import GAS_CAP
from ringfence.keeper.assemble import Places
from ringfence.keeper.chain.wire import Header, Rpc, WireError
from ringfence.keeper.engine import Sight
from ringfence.keeper.service import Service

_ETHER = Token(ZERO_ADDRESS, "ETH", 18)
_OLD = 120
"""Seconds after which a head is old."""

LOCAL_CHAIN_IDS = (1337, 31337)
"""Chains that mine when there is something to mine, and else only if told to."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a preflight; `next_step` says what to do where it is not `good`."""

    subject: str
    good: bool
    words: str
    next_step: str = ""


async def check_node(name: str, rpc: Rpc, places: Places, now: float) -> list[Finding]:
    """Return what a node is good for; `now` in unix seconds."""
    subject = f"node {name}"
    chain_id, block = await rpc.batch(
        [("eth_chainId", []), ("eth_getBlockByNumber", ["latest", False])]
    )
    try:
        if isinstance(chain_id, RpcError):
            raise chain_id
        if isinstance(block, RpcError):
            raise block
        head = Header.parse(block)
        number = int(str(chain_id), 16)
    except (RpcError, WireError, ValueError) as error:
        return [Finding(subject, False, str(error), "check its URL and that it runs")]
    wanted = places.deployment.chain_id
    if number != wanted:
        told = f"it is on chain {number}, the record is of chain {wanted}"
        return [Finding(subject, False, told, "name a node of that chain, or another record")]
    age = now - head.timestamp
    words = f"block {head.number:,}, {max(age, 0):,.0f} s old"
    old = age > _OLD
    step = "wait until it is in sync, or name another" if old else ""
    if old and wanted in LOCAL_CHAIN_IDS:
        step = "a local chain mines nothing unasked; start anvil with --block-time 2"
    return [Finding(subject, not old, words, step), *await _runs(subject, rpc, head, places)]


async def _runs(subject: str, rpc: Rpc, head: Header, places: Places) -> list[Finding]:
    """Look whether a node has the contracts, and runs calls at a block's hash and another time."""
    call = {"to": hexed(places.lens), "data": "0x"}
    later = {"time": hex(head.timestamp + 1)}
    needed = {
        "lens": places.lens,
        "liquidator": places.contracts.liquidator,
        "quoter": places.contracts.quoter,
    }
    *codes, run = await rpc.batch(
        [
            *(("eth_getCode", [hexed(one), at(head.hash)]) for one in needed.values()),
            ("eth_call", [call, at(head.hash), {}, later]),
        ]
    )
    absent = [
        Finding(
            subject,
            False,
            f"no code at the {name} {checksum(address)}: {code}",
            "check the record and the node",
        )
        for (name, address), code in zip(needed.items(), codes, strict=True)
        if isinstance(code, RpcError) or code in (None, "0x")
    ]
    return absent or [_simulates(subject, run)]


def _simulates(subject: str, run: Json | RpcError) -> Finding:
    # The lens has no function of an empty selector: that it reverts shows that it was run.
    if isinstance(run, RpcError) and "revert" not in run.message.lower():
        told = f"it does not run calls at a time of ours: {run.message}"
        return Finding(subject, False, told, "name a node that takes block overrides in eth_call")
    return Finding(subject, True, "runs calls at a block's hash, at a time of ours")


def check_money(balance: Json | RpcError, fees: Fees, floor: int) -> Finding:
    """Say how many transactions of the largest size an account's ether pays for."""
    subject = "gas money"
    try:
        wei = int(str(balance), 16)
    except ValueError:
        return Finding(subject, False, f"unknown: {balance}", "check the node")
    cost = GAS_CAP * (2 * fees.base + fees.tip)
    words = f"{_ETHER.text(wei, 6)}, {wei // cost if cost else 'any number of':,} full batches"
    if wei < floor:
        return Finding(subject, False, words, f"send it at least {_ETHER.text(floor, 6)}")
    return Finding(subject, True, words)


def check_vaults(
    sights: Mapping[bytes, Sight], markets: Sequence[Market], names: Mapping[bytes, str]
) -> Iterator[Finding]:
    """Yield a line for each vault that has a name, and one for all that cannot be judged."""
    by_vault = {one.vault: one for one in markets}
    other = 0
    for vault, sight in sights.items():
        trouble = sight.unread or sight.lagging or sight.unpriced
        if vault not in names:
            other += bool(trouble)
            continue
        yield _check_vault(f"vault {names[vault]}", sight, by_vault.get(vault), trouble)
    absent = sorted(name for vault, name in names.items() if vault not in sights)
    for name in absent:
        yield Finding(f"vault {name}", False, "the factory does not know it", "check the record")
    if other:
        words = f"{other:,} vaults without a name cannot be judged; the others are not held up"
        yield Finding("other vaults", True, words)


def _check_vault(subject: str, sight: Sight, market: Market | None, trouble: str | None) -> Finding:
    if trouble:
        return Finding(subject, False, trouble, "nothing in it is liquidated until that is over")
    if market is None or not market.sales:
        words = market.unsold if market else "its pools are not known"
        return Finding(subject, False, words, "create a pool, or leave its positions to others")
    if isinstance(market.asset_per_ether, str):
        words = f"gas has no price in its asset: {market.asset_per_ether}"
        return Finding(subject, False, words, "a pool of its asset and WETH would give one")
    away = "no debt" if sight.nearest is None else f"nearest {sight.nearest * 100:.1f} % away"
    routes = len(market.sales)
    return Finding(subject, True, f"priced, {away}, {routes} route{'s' * (routes > 1)} to sell by")


async def preflight(service: Service, places: Places, head: Header, floor: int) -> list[Finding]:
    """Return a line for all that a service needs of the chain at a head; changes nothing there.

    Raises IngestError, StoreError.
    """
    account = hexed(service.lane.signing.account)
    tick = await service.engine.tick(head)
    fees = await read_fees(service.pool, head)
    [balance] = await service.pool.batch([("eth_getBalance", [account, at(head.hash)])])
    reason = await service.pool.agreed(head)
    markets = await service.planner.markets(head, tick)
    step = "name nodes that agree" if reason else ""
    heads = Finding("heads", not reason, reason or "a quorum of the nodes has this head", step)
    return [
        Finding("key", True, checksum(service.lane.signing.account)),
        check_money(balance, fees, floor),
        heads,
        *check_vaults(tick.vaults, markets, places.names),
    ]
