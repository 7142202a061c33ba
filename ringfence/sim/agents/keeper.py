"""A keeper without JSON-RPC: the planner's rules on markets read by calls of any engine.

It decides with `ringfence.keeper.act.plan`, and liquidates one position a transaction through the
real Liquidator. Of the real keeper it lacks the simulation before sending and the lane behind it:
what another was faster with costs it gas.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ringfence.client.units import Token
from ringfence.evm.abi import AbiValue, address_bytes
from ringfence.evm.errors import Reverted
from ringfence.keeper.act.bid import Fees
from ringfence.keeper.act.market import Market
from ringfence.keeper.act.plan import Batch, plan, wanted
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.quotes import given
from ringfence.keeper.act.sale import Route, Sales
from ringfence.math.balance_sheet import BalanceSheet, claims_lost_up
from ringfence.math.fixed_point import PRICE_SCALE, WAD
from ringfence.math.uniswap import PoolState
from ringfence.sim.history import risk_of, symbol_of
from ringfence.sim.outcome import KeeperEnd, Sold
from ringfence.sim.scenario import KeeperTable, seconds
from ringfence.sim.stage import Stage, Venue, account_of

Watched = Mapping[str, Sequence[int]]
"""Position ids by market."""


def read_market(stage: Stage, venue: Venue, due: Sequence[int]) -> Market:
    """Return a vault with the positions that are due in it, its pool not yet asked for quotes."""
    vault = venue.vault
    _low, price = venue.oracle.quote()
    root, tick, *_rest = stage.pool.contract.slot0()
    state = PoolState(root, tick, stage.pool.contract.liquidity(), stage.pool.fee)
    ends = address_bytes(venue.collateral), address_bytes(venue.asset)
    token = Token(
        venue.asset.address, symbol_of(stage, venue.asset.address), stage.decimals(venue.asset)
    )
    return Market(
        vault=address_bytes(vault),
        risk=risk_of(venue),
        price=price,
        debt_index=vault.current_balance_sheet().debt_index,
        due=[(one, vault.slot(one)) for one in due],
        asset=token,
        asset_per_ether=WAD if token.symbol == "WETH" else price * WAD // PRICE_SCALE,
        sales=(Sales(Route(ends, (stage.pool.fee,)), (state,)),),
    )


def quoted(stage: Stage, markets: Sequence[Market], policy: Policy) -> list[Market]:
    """Return the markets with the quotes that a plan for all of them wants: they share a pool."""
    quotes = {
        path: {amount: _quote(stage, path, amount) for amount in amounts}
        for path, amounts in wanted(markets, policy).items()
    }
    return [
        replace(
            one,
            sales=tuple(
                replace(sale, quotes=quotes.get(sale.route.path, {})) for sale in one.sales
            ),
        )
        for one in markets
    ]


def _quote(stage: Stage, path: bytes, amount: int) -> int | None:
    try:
        return given(stage.uniswap.quoter.quoteExactInput.call(path, amount))
    except Reverted:
        return None


@dataclass(slots=True)
class KeeperAgent:
    """One keeper; what it decides lands `latency` steps later."""

    stage: Stage
    name: str
    table: KeeperTable
    latency: int = 0
    policy: Policy = field(init=False)
    fees: Fees = field(init=False)
    _sent: deque[tuple[int, Batch]] = field(default_factory=deque)
    _earned: dict[str, int] = field(default_factory=lambda: {"WETH": 0, "USDC": 0})
    _gas: int = 0
    _done: int = 0
    _failed: int = 0

    def __post_init__(self) -> None:
        most_loss = int(self.table.max_loss * 10**18)
        least = int(self.table.min_profit * 10**18)
        self.policy = Policy(least_profit=least, most_loss=most_loss, targets=1)
        self.fees = Fees(0, int(self.table.gas_price_gwei * 10**9))
        self.stage.equip(self.account, most_loss)

    @property
    def account(self) -> str:
        """Its address."""
        return account_of(self.name)

    @property
    def waits(self) -> bool:
        """Whether something of it is on its way."""
        return bool(self._sent)

    def is_on(self, time: int) -> bool:
        """Return whether it is not standing still at a time, seconds."""
        return not any(seconds(a) <= time < seconds(b) for a, b in self.table.off)

    def look(self, due: Watched) -> tuple[Batch, ...]:
        """Return what to send by what is due now, what is on its way left out."""
        waiting = {(batch.market.vault, batch.targets[0].position_id) for _, batch in self._sent}
        markets = []
        for name, ids in due.items():
            venue = self.stage.venues[name]
            new = [one for one in ids if (address_bytes(venue.vault), one) not in waiting]
            if new:
                markets.append(read_market(self.stage, venue, new))
        markets = quoted(self.stage, markets, self.policy)
        markets.sort(key=lambda one: -one.worst)
        return plan(markets, self.fees, self.policy).batches

    def delay(self, batches: Sequence[Batch], index: int) -> None:
        """Put what was decided at a step on its way."""
        self._sent.extend((index + self.latency, batch) for batch in batches)

    def landed(self, index: int) -> list[Batch]:
        """Return what lands at a step."""
        found = []
        while self._sent and self._sent[0][0] <= index:
            found.append(self._sent.popleft()[1])
        return found

    def order(self, batch: Batch) -> tuple[AbiValue, ...]:
        """Return the arguments of the Liquidator's `liquidate_batch`."""
        targets = [(one.position_id, one.max_repay, one.min_profit) for one in batch.targets]
        least = batch.min_profit(self.fees, self.policy)
        return batch.market.vault, targets, batch.sales.route.path, self.account, least

    def send(self, batch: Batch, time: int) -> Sold | None:
        """Send one; None where it found nothing to do, or would have earned too little."""
        [target] = batch.targets
        venues = self.stage.venues.values()
        venue = next(one for one in venues if address_bytes(one.vault) == batch.market.vault)
        before = BalanceSheet(*venue.vault.current_balance_sheet())
        try:
            told = venue.vault.preview_liquidation(target.position_id, target.max_repay)
        except Reverted:
            told = None
        receipt = self.stage.liquidator.liquidate_batch.transact(
            *self.order(batch), sender=self.account, check=False
        )
        outcomes = receipt.value[0] if receipt.success else []
        if told is None or not outcomes or not outcomes[0].seized:
            self._failed += 1
            self._gas += self.policy.gas.charged(1, batch.pools) * self.fees.price
            return None
        self._done += 1
        self._gas += receipt.gas_used * self.fees.price
        profit = int(receipt.value[1])
        self._earned[batch.market.asset.symbol] += profit
        return Sold(
            time=time,
            keeper=self.name,
            market=venue.id,
            position=hex(target.position_id),
            seized=told.seized,
            repaid=told.repaid,
            cut=told.cut,
            loss=told.loss,
            socialised=claims_lost_up(before, venue.vault.current_balance_sheet().supply_index),
            profit=profit,
            gas=receipt.gas_used,
        )

    def end(self) -> KeeperEnd:
        """Return what it did in all."""
        return KeeperEnd(
            account=self.name,
            latency=self.latency,
            liquidations=self._done,
            failed=self._failed,
            weth=self._earned["WETH"],
            usdc=self._earned["USDC"],
            gas_cost=self._gas,
        )
