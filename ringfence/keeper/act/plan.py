"""Which liquidations to send, how much of each, in which transactions: pure.

Every due position is tried, the worst first: on each route, at the price that earlier sales of this
plan leave there, in the size that earns most. What it earns is what the seized collateral gives,
less repayment and the reserve's cut; a position is taken when that pays for the gas that it adds.
An insolvent one is paid like any other, out of its collateral (LIQ-5); the loss is the lenders'.

What is bounded on chain. Gas is spent once a transaction is mined, also when it reverts; a bound is
there for what can still be refused: a sale at a price that someone has just moved, and inclusion by
a builder who leaves reverting transactions out. So each target must earn its own gas, no more: a
price that moves a little costs profit, not the liquidation, and one target that no longer pays
fails alone. A batch must earn what the cheapest of its targets would have to earn by itself: its
gas, the gas of the transaction around it, and the policy's least profit. A batch that shrinks on
its way, since others were faster, still goes through while what is left pays, as reverting would
cost the same gas and earn nothing. A skipped target costs some 23,000 gas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from types import MappingProxyType

from ringfence.evm.abi import address_bytes
from ringfence.keeper.act.bid import Bid, Fees
from ringfence.keeper.act.market import REPAY_ALL, Market, Position
from ringfence.keeper.act.policy import Policy
from ringfence.keeper.act.sale import Sales
from ringfence.math.fixed_point import WAD
from ringfence.math.liquidation import Liquidation, beta_of, is_solvent

_POINTS = 24
_HALVINGS = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A position to liquidate; what it is bounded by on chain, and what it should move.

    Asset units; `seized` in collateral units, `profit` before gas, `own_gas` what it must earn to
    pay for its gas. `allowed` is what the policy lets it cost, and 0 where it pays for itself;
    `bearable` whether the policy would let it, were it alone.
    """

    position_id: int
    max_repay: int
    min_profit: int
    seized: int
    paid: int
    profit: int
    own_gas: int
    allowed: int
    bearable: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """One transaction of the Liquidator: targets of one vault along one route, in this order."""

    market: Market = field(repr=False)
    sales: Sales = field(repr=False)
    targets: tuple[Target, ...]
    ltv: int

    @property
    def pools(self) -> int:
        """How many pools its sales go through."""
        return len(self.sales.pools)

    @property
    def profit(self) -> int:
        """What it should earn before gas, asset units."""
        return sum(one.profit for one in self.targets)

    def min_profit(self, fees: Fees, policy: Policy) -> int:
        """Return the least that it must earn in all on chain, asset units; see the module."""
        [*bounds] = [one.min_profit for one in self.targets]
        if any(one.allowed for one in self.targets):
            return sum(bounds)
        around = self.market.cost(policy.gas.shared * fees.price + policy.least_profit)
        return around + min(bounds, default=0)

    def worth(self, profit: int, policy: Policy) -> int:
        """Return the most that its gas may cost, wei, when it earns `profit`, asset units."""
        earned = profit * WAD // int(self.market.asset_per_ether)
        if any(one.allowed for one in self.targets):
            return earned + len(self.targets) * policy.most_loss
        return earned - policy.least_profit

    def without(self, ids: Iterable[int]) -> Batch:
        """Return it without some positions."""
        gone = set(ids)
        left = tuple(one for one in self.targets if one.position_id not in gone)
        return replace(self, targets=left)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A due position that is left alone, and why."""

    vault: bytes
    position_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send, the worst first, and what not; `bids` are the batches that were simulated."""

    batches: tuple[Batch, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    bids: tuple[Bid, ...] = ()


@dataclass(frozen=True, slots=True)
class _Offer:
    """A size of a position on a route, and what it earns."""

    sales: Sales
    max_repay: int
    moved: Liquidation
    profit: int


def plan(
    markets: Iterable[Market],
    fees: Fees,
    policy: Policy,
    waiting: Mapping[tuple[bytes, int], int] = MappingProxyType({}),
) -> Plan:
    """Return what to send at what gas costs now, in this order: vault by vault, as they come.

    `waiting` are the nonces of transactions on their way, by their targets: those of one go into
    batches of their own, so that they keep nothing else from being sent.
    """
    sold: dict[bytes, int] = {}
    batches: list[Batch] = []
    skipped: list[Skipped] = []
    for market in markets:
        planned = _Planning(market, fees, policy, sold, waiting, policy.at_once - len(batches))
        for position in market.positions():
            reason = planned.take(position)
            if reason:
                skipped.append(Skipped(market.vault, position.id, reason))
        kept, left = planned.close()
        batches += kept
        skipped += left
    return Plan(tuple(batches), tuple(skipped))


def wanted(markets: Iterable[Market], policy: Policy) -> dict[bytes, list[int]]:
    """Return what should be quoted, by path: amounts that the pools' own maths does not give.

    The sums of what is seized one after the other, of many some, and at each batch. The halves of
    the first and of all of it, as what a pool takes gladly may be far less; and around what the
    pool is best sold, if liquidity stays as it is.
    """
    sums: dict[bytes, list[int]] = {}
    guesses: dict[bytes, set[int]] = {}
    by_path: dict[bytes, Sales] = {}
    for market in markets:
        if isinstance(market.asset_per_ether, str):
            continue
        positions = market.positions()[: policy.batches * policy.targets]
        whole = (market.moved(position, REPAY_ALL) for position in positions)
        seized = [moved.seized for moved in whole if moved is not None]
        costs = {market.unit_cost(one) for one in (*positions[:1], *positions[-1:])}
        for sales in market.sales:
            path = sales.route.path
            by_path[path] = sales
            amounts = sums.setdefault(path, [0])
            amounts += accumulate(seized[1:], initial=amounts[-1] + seized[0]) if seized else ()
            guesses.setdefault(path, set()).update(sales.best(cost) for cost in costs)
    found: dict[bytes, list[int]] = {}
    for path, amounts in sums.items():
        if not amounts[-1] or by_path[path].computed(amounts[-1]) is not None:
            continue
        few = {amounts[(len(amounts) - 1) * i // _POINTS] for i in range(_POINTS + 1)}
        few |= {*amounts[:: policy.targets]}
        few |= {end >> n for end in (amounts[1], amounts[-1]) for n in range(_HALVINGS)}
        few |= {guess * n // 8 for guess in guesses[path] for n in range(5, 11)}
        found[path] = sorted(one for one in few if 0 < one <= amounts[-1])
    return found


class _Planning:
    """One vault's share of a plan, of `room` transactions; `sold` is what all sell, by route."""

    def __init__(
        self,
        market: Market,
        fees: Fees,
        policy: Policy,
        sold: dict[bytes, int],
        waiting: Mapping[tuple[bytes, int], int],
        room: int,
    ) -> None:
        self._market, self._fees, self._policy, self._sold = market, fees, policy, sold
        self._waiting, self._room = waiting, room
        self._done: list[Batch] = []
        self._open: dict[tuple[bytes, int | None], Batch] = {}
        self._priced = not isinstance(market.asset_per_ether, str)
        self._shared = market.cost(policy.gas.shared * fees.price) if self._priced else 0
        self._allowed = market.cost(policy.loss(market.vault)) if self._priced else 0

    def take(self, position: Position) -> str | None:
        """Put a position into a batch, or return why not."""
        market = self._market
        if reason := self._refused():
            return reason
        whole = market.moved(position, REPAY_ALL)
        if whole is None:
            return "it cannot be liquidated at this price"
        offers = [one for sales in market.sales for one in self._offers(sales, position, whole)]
        if not offers:
            return "the pool is too thin: it cannot take any size"
        best = max(offers, key=self._net)
        own_gas = self._own_gas(best)
        insolvent = not is_solvent(position.ltv, beta_of(position.ltv, market.risk))
        if best.profit >= own_gas:
            self._add(position, best, own_gas, bearable=insolvent and self._bears(best))
            return None
        if insolvent:
            return self._take_loss(position, offers)
        if best.profit < 0:
            sizes = "its one size" if len(offers) == 1 else f"the best of {len(offers)} sizes"
            return f"the pool is too thin: {sizes} loses {self._text(-best.profit)}"
        return self._dear(own_gas, best.profit)

    def _refused(self) -> str | None:
        """Return why nothing of the vault can be taken, or nothing more."""
        market, policy = self._market, self._policy
        if isinstance(market.asset_per_ether, str):
            return f"gas has no price in the asset: {market.asset_per_ether}"
        if policy.assets and address_bytes(market.asset.address) not in policy.assets:
            return f"the policy does not take its asset, {market.asset.symbol}"
        if not market.sales:
            return market.unsold
        if len(self._done) >= policy.batches:
            return f"it waits: {policy.batches} transactions of its vault go first"
        if len(self._done) >= self._room:
            return f"it waits: {policy.at_once} transactions go first"
        return None

    def _take_loss(self, position: Position, offers: Sequence[_Offer]) -> str | None:
        """Put an insolvent one that does not pay into a transaction of its own, or say why not.

        Of what the policy bears the largest size, since the loss is borne to be rid of the debt.
        """
        bearable = [one for one in offers if self._bears(one)]
        if bearable:
            chosen = max(bearable, key=lambda one: (one.moved.scaled_retired, one.profit))
            batch = self._add(position, chosen, self._own_gas(chosen), bearable=True)
            self._done.append(self._borne(batch, batch.targets[0]))
            return None
        return (
            f"insolvent: would lose {self._text(self._shared - max(map(self._net, offers)))}, "
            f"gas included, the policy allows {self._text(self._allowed)}"
        )

    def close(self) -> tuple[list[Batch], list[Skipped]]:
        """Return the vault's batches that pay, and what was in the others, with the reason.

        What is insolvent in the others goes by itself, where the policy bears what it then costs.
        """
        kept, skipped = [], []
        for batch in (*self._done, *self._open.values()):
            gas = sum(one.own_gas for one in batch.targets) + self._shared
            least = self._market.cost(self._policy.least_profit)
            if batch.targets[0].allowed or batch.profit >= gas + least:
                kept.append(batch)
                continue
            kept += [self._borne(batch, one) for one in batch.targets if one.bearable]
            reason = self._dear(gas, batch.profit)
            if batch.profit >= gas:
                reason = (
                    f"it earns {self._text(batch.profit - gas)} after gas, "
                    f"the policy wants {self._text(least)}"
                )
            left = [one.position_id for one in batch.targets if not one.bearable]
            skipped += [Skipped(self._market.vault, one, reason) for one in left]
        return sorted(kept, key=lambda one: -one.ltv), skipped

    def _add(self, position: Position, offer: _Offer, own_gas: int, *, bearable: bool) -> Batch:
        """Sell a position, into the open batch of its route if it pays; return it by itself."""
        target = Target(
            position.id,
            offer.max_repay,
            own_gas,
            offer.moved.seized,
            offer.moved.repaid + offer.moved.cut,
            offer.profit,
            own_gas,
            0,
            bearable,
        )
        path = offer.sales.route.path
        self._sold[path] = self._sold.get(path, 0) + offer.moved.seized
        single = Batch(self._market, offer.sales, (target,), position.ltv)
        if offer.profit < own_gas:
            return single
        place = path, self._waiting.get((self._market.vault, position.id))
        batch = self._open.pop(place, None)
        batch = replace(batch, targets=(*batch.targets, target)) if batch else single
        if len(batch.targets) == self._policy.room(batch.pools):
            self._done.append(batch)
        else:
            self._open[place] = batch
        return single

    def _borne(self, batch: Batch, target: Target) -> Batch:
        """Return one target of a batch by itself, at the loss that the policy bears.

        A negative bound has the Liquidator take that much from the caller first: only where needed.
        """
        gas = target.own_gas + self._shared
        bound = gas - self._allowed
        alone = replace(
            target,
            min_profit=max(bound, 0) if target.profit >= 0 else bound,
            own_gas=gas,
            allowed=self._allowed,
        )
        return replace(batch, targets=(alone,))

    def _offers(self, sales: Sales, position: Position, whole: Liquidation) -> Iterator[_Offer]:
        """Yield sizes of a position on a route: the whole, and smaller ones where its end loses."""
        market = self._market
        sold = self._sold.get(sales.route.path, 0)
        full = self._offer(sales, REPAY_ALL, whole, sold)
        if full is not None:
            yield full
        most = whole.repaid - whole.repaid // 8
        less = market.moved(position, most)
        almost = less and self._offer(sales, most, less, sold)
        if full is not None and almost and almost.profit <= full.profit:
            return
        for size in self._sizes(sales, position, whole, sold):
            moved = market.moved(position, size)
            offer = moved and self._offer(sales, size, moved, sold)
            if offer:
                yield offer

    def _sizes(
        self, sales: Sales, position: Position, whole: Liquidation, sold: int
    ) -> Iterator[int]:
        """Yield repayments worth trying: up to each quote, the pool's best one, some halves.

        Between two quotes what a sale is taken to give is a line, whose best is at an end.
        """
        if not whole.seized:
            return
        best = sales.best(self._market.unit_cost(position))
        seizures = {amount - sold for amount in (*sales.amounts, best)}
        seizures |= {whole.seized >> n for n in (1, 2, 3)}
        for seized in sorted(seizures):
            if 0 < seized < whole.seized:
                yield max(whole.repaid * seized // whole.seized, 1)

    def _offer(self, sales: Sales, max_repay: int, moved: Liquidation, sold: int) -> _Offer | None:
        before, after = sales.give(sold), sales.give(sold + moved.seized)
        if before is None or after is None:
            return None
        return _Offer(sales, max_repay, moved, after - before - moved.repaid - moved.cut)

    def _own_gas(self, offer: _Offer) -> int:
        gas = self._policy.gas.per_target(len(offer.sales.pools))
        return self._market.cost(gas * self._fees.price)

    def _bears(self, offer: _Offer) -> bool:
        """Return whether the policy bears what an insolvent position costs by itself."""
        return self._allowed > 0 and self._net(offer) >= self._shared - self._allowed

    def _net(self, offer: _Offer) -> int:
        return offer.profit - self._own_gas(offer)

    def _dear(self, gas: int, profit: int) -> str:
        return (
            f"gas costs more than it earns: {self._text(gas)} of gas, {self._text(profit)} earned"
        )

    def _text(self, units: int) -> str:
        return self._market.asset.text(units, 2)
