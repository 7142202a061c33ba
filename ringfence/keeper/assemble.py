"""A keeper from plain settings: what to open, in which order, and to close at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ringfence.client.deployment import QUOTERS
from ringfence.client.signing import Signer
from ringfence.errors import RingfenceError
from ringfence.evm.abi import address_bytes, checksum
from ringfence.keeper.act.behind import Behind
from ringfence.keeper.act.lane import Lane, LanePolicy
from ringfence.keeper.act.lease import Leases
from ringfence.keeper.act.ledger import Ledger
from ringfence.keeper.act.planner import Planner
from ringfence.keeper.act.policy import GAS_CAP, Policy
from ringfence.keeper.act.quotes import Contracts
from ringfence.keeper.act.signing import SigningPolicy
from ringfence.keeper.chain.pool import Pool
from ringfence.keeper.engine import Engine
from ringfence.keeper.memory.store import Deployment, Store
from ringfence.keeper.service import Service
from ringfence.keeper.watch.status import Status

if TYPE_CHECKING:
    from ringfence.deploy.record import Record

ETHER = 10**18
GWEI = 10**9


class SettingsError(RingfenceError):
    """A keeper cannot be put together from what it was given."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a deployment stands; `names` are its markets' ids by their vaults' 20 bytes."""

    deployment: Deployment
    lens: bytes
    contracts: Contracts
    names: Mapping[bytes, str]

    @classmethod
    def of(cls, record: Record, quoter: str | None = None) -> Places:
        """Read a deployment record; raise SettingsError when it lacks what a keeper needs."""
        made, chain_id = record.contracts, record.chain_id
        lacking = [key for key in ("factory", "lens", "liquidator", "router") if key not in made]
        if lacking:
            raise SettingsError(
                f"nothing is deployed on chain {chain_id} that a keeper can use: the record lacks "
                f"{', '.join(lacking)}; run deploy first, or pass --record"
            )
        local = made.get("uniswap/quoter")
        found = quoter or (local and local.address) or QUOTERS.get(chain_id)
        if found is None:
            raise SettingsError(
                f"no QuoterV2 is known on chain {chain_id}; pass --quoter and its address"
            )
        liquidator = made["liquidator"]
        return cls(
            Deployment(chain_id, address_bytes(made["factory"].address), made["factory"].block),
            address_bytes(made["lens"].address),
            Contracts(
                address_bytes(liquidator.address),
                address_bytes(str(liquidator.arguments["uniswap_factory"])),
                address_bytes(found),
                address_bytes(str(made["router"].arguments["weth_"])),
            ),
            {address_bytes(address): name for name, address in record.vaults.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a keeper is made of; URLs as they are given, amounts in wei.

    `shared` is a database that several keepers share: leases and the lane's ledger are in it, and
    `ledger` is not used; `holder` is this one's name there. `max_fee` is wei a unit of gas,
    `max_spend` the fees of a day. `behind` says whether oracles' updates that wait are followed.
    """

    places: Places
    account: bytes
    signer: Signer
    urls: Sequence[str]
    store: str
    ledger: str
    shared: str | None = None
    holder: str = ""
    quorum: int | None = None
    relays: Sequence[str] = ()
    policy: Policy = field(default_factory=Policy)
    lane: LanePolicy = field(default_factory=LanePolicy)
    ether_prices: Mapping[bytes, int] = field(default_factory=dict)
    max_fee: int = 500 * GWEI
    max_spend: int = ETHER
    gas_floor: int = ETHER // 20
    behind: bool = False


@asynccontextmanager
async def opened(
    settings: Settings, clock: Callable[[], float], told: Callable[[int, int], None]
) -> AsyncIterator[Service]:
    """Open a keeper, and close whatever it holds open; `told` as in `Engine`.

    Raises StoreError, LedgerError, LeaseError, SettingsError.
    """
    places, deployment = settings.places, settings.places.deployment
    async with AsyncExitStack() as cleanup:
        try:
            pool = Pool.of(settings.urls, quorum=settings.quorum)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        cleanup.push_async_callback(pool.close)
        relays = [Pool.of([url]) for url in settings.relays]
        for relay in relays:
            cleanup.push_async_callback(relay.close)
        store = Store(settings.store, deployment)
        cleanup.callback(store.close)
        ledger = Ledger(settings.shared or settings.ledger, deployment.chain_id, settings.account)
        cleanup.callback(ledger.close)
        leases = None
        if settings.shared:
            leases = Leases(settings.shared, deployment.chain_id, settings.holder)
            cleanup.callback(leases.close)
        status = Status(
            deployment.chain_id, clock(), checksum(settings.account), gas_floor=settings.gas_floor
        )

        def note(block: int, head: int) -> None:
            status.indexed, status.tick_at = block, clock()
            told(block, head)

        engine = Engine(pool, store, places.lens, note)
        signing = SigningPolicy(
            deployment.chain_id,
            settings.account,
            places.contracts.liquidator,
            GAS_CAP,
            settings.max_fee,
            settings.max_spend,
        )
        yield Service(
            engine=engine,
            pool=pool,
            planner=Planner(
                pool,
                lambda: engine.book.vaults,
                places.contracts,
                settings.account,
                replace(settings.policy, borne=frozenset(places.names)),
                settings.ether_prices,
            ),
            lane=Lane(pool, ledger, settings.signer, signing, settings.lane, relays),
            status=status,
            names=places.names,
            leases=leases,
            behind=Behind(pool, engine, places.names) if settings.behind else None,
            clock=clock,
        )
