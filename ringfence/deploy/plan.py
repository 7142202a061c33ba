"""From market files and a chain's names to the steps of a deployment. Pure: reads no chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from ringfence.client.units import ZERO_ADDRESS
from ringfence.deploy.chain import Chain, Sequencer
from ringfence.deploy.errors import FileError, PlanError
from ringfence.deploy.market import (
    MAX_AMOUNT,
    MIN_AMOUNT,
    ChainlinkSource,
    FeedUse,
    Market,
    MorphoSource,
    Rate,
)
from ringfence.deploy.record import VAULTS, Record
from ringfence.deploy.steps import (
    BLUEPRINT,
    FACTORY,
    Creation,
    Place,
    Ref,
    Seed,
    Step,
    Value,
    VaultCreation,
    plain,
    resolve,
)
from ringfence.deploy.units import show, to_price, to_rate, to_units, to_wad

_UNUSED = {"feed": ZERO_ADDRESS, "heartbeat": 0, "min_answer": 0, "max_answer": 0}
_CHECKED_ONCE = frozenset({"reference_price", "tolerance"})


@dataclass(frozen=True, slots=True)
class Roles:
    """Who governs the vaults, by address; a guardian of zero is none."""

    curator: str
    guardian: str = ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class FeedCheck:
    """A feed as a market counts on it, answers in the feed's units, the age in seconds."""

    name: str
    address: Place
    decimals: int
    heartbeat: int
    least: int
    greatest: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in order and what they count on; `skipped` says what is left out, and why."""

    chain: Chain
    steps: tuple[Step, ...]
    tokens: tuple[str, ...]
    feeds: tuple[FeedCheck, ...]
    skipped: tuple[str, ...] = ()


CORE: tuple[Step, ...] = (
    Creation(BLUEPRINT, "MarginVault", blueprint=True),
    Creation(FACTORY, "VaultFactory", {"vault_blueprint": Ref(BLUEPRINT)}),
)


@dataclass(frozen=True, slots=True)
class Periphery:
    """A contract around the vaults, by what finds its constructor's arguments on a chain."""

    key: str
    contract: str
    arguments: Mapping[str, Callable[[Chain], Place | None]] = field(default_factory=dict)


def _registry(_chain: Chain) -> Place | None:
    return Ref(FACTORY)


def _uniswap_factory(chain: Chain) -> Place | None:
    return chain.uniswap_factory


def _weth(chain: Chain) -> Place | None:
    return chain.tokens["WETH"].address if "WETH" in chain.tokens else None


_SWAPPING = {"registry_": _registry, "uniswap_factory": _uniswap_factory}

PERIPHERY: tuple[Periphery, ...] = (
    Periphery("router", "LeverageRouter", {**_SWAPPING, "weth_": _weth}),
    Periphery("liquidator", "Liquidator", _SWAPPING),
    Periphery("lens", "VaultLens"),
)
"""What else is deployed, each once; left out where the chain lacks an argument."""


@dataclass(slots=True)
class _Draft:
    """A plan in the making: steps by key, so that markets share oracles and rate models."""

    chain: Chain
    roles: Roles
    prices: Mapping[str, Decimal]
    record: Record
    steps: dict[str, Step] = field(default_factory=dict)
    tokens: dict[str, None] = field(default_factory=dict)
    feeds: dict[str, FeedCheck] = field(default_factory=dict)

    def add(self, step: Step) -> Ref:
        self.steps[step.key] = step
        return Ref(step.key)

    def price(self, name: str, key: str) -> Fraction:
        """Return a token's price; an oracle that stands already needs none."""
        price = self.prices.get(name, self.chain.prices.get(name))
        if price is not None and price > 0:
            return Fraction(price)
        if key in self.record.contracts:
            return Fraction(1)
        raise PlanError(
            f"the price of {name} is not known, and the oracle is checked against it once; pass "
            f"--price {name}=<dollars>"
        )

    def market(self, market: Market) -> None:
        file, units = market.file, _Units(market)
        collateral, asset = self.chain.token(file.collateral), self.chain.token(file.asset)
        self.tokens |= dict.fromkeys((file.collateral, file.asset))
        risk, reserve = file.risk, file.reserve
        params: dict[str, Value] = {
            "collateral_token": collateral.address,
            "asset": asset.address,
            "oracle": self.oracle(market),
            "rate_model": self.add(rate_model(file.rate)),
            "initial_ltv": to_wad(risk.initial_ltv),
            "target_ltv": to_wad(risk.target_ltv),
            "liquidation_ltv": to_wad(risk.liquidation_ltv),
            "base_bonus": to_wad(risk.base_bonus),
            "beta_max": to_wad(risk.beta_max),
            "reserve_cut": to_wad(reserve.cut),
            "reserve_factor": to_wad(reserve.factor),
            "reserve_target": to_wad(reserve.target),
            "fallback_rate": to_rate(file.rate.fallback),
            "min_debt": units.least("risk.min_debt", risk.min_debt, asset.decimals),
        }
        asset_seed = units.least("seed.asset", file.seed.asset, asset.decimals)
        collateral_seed = units.least("seed.collateral", file.seed.collateral, collateral.decimals)
        self.add(
            VaultCreation(
                key=VAULTS + market.id,
                arguments={
                    "params": params,
                    "supply_cap": units.most("caps.supply", file.caps.supply, asset.decimals),
                    "debt_cap": units.most("caps.debt", file.caps.debt, asset.decimals),
                    "curator": self.roles.curator,
                    "guardian": self.roles.guardian,
                    "name": file.name,
                    "symbol": file.symbol,
                },
                asset_seed=Seed(
                    file.asset, asset.address, asset_seed, asset.decimals, asset.faucet
                ),
                collateral_seed=Seed(
                    file.collateral,
                    collateral.address,
                    collateral_seed,
                    collateral.decimals,
                    collateral.faucet,
                ),
            )
        )

    def oracle(self, market: Market) -> Ref:
        file = market.file
        collateral, asset = self.chain.token(file.collateral), self.chain.token(file.asset)
        contract, arguments = self.oracle_arguments(market)
        key = shared_key(f"oracles/{file.collateral}-{file.asset}", contract, arguments)
        ratio = self.price(file.collateral, key) / self.price(file.asset, key)
        arguments["reference_price"] = to_price(ratio, collateral.decimals, asset.decimals)
        arguments["tolerance"] = to_wad(file.oracle.tolerance)
        return self.add(Creation(key, contract, arguments, loose=_CHECKED_ONCE))

    def oracle_arguments(self, market: Market) -> tuple[str, dict[str, Value]]:
        source = market.file.oracle
        if isinstance(source, MorphoSource):
            return "MorphoOracle", {"source_oracle": self.chain.oracle(source.source)}
        return "ChainlinkOracle", {
            "collateral_token": self.chain.token(market.file.collateral).address,
            "asset_token": self.chain.token(market.file.asset).address,
            **self.feed_arguments(market, source),
            "uptime": sequencer_config(self.chain.sequencer),
        }

    def feed_arguments(self, market: Market, source: ChainlinkSource) -> dict[str, Value]:
        names = {"first_base": 0, "second_base": 1, "first_quote": 2, "second_quote": 3}
        uses: list[FeedUse | None] = [*source.base, *[None] * (2 - len(source.base))]
        uses += [*source.quote, *[None] * (2 - len(source.quote))]
        return {name: self.feed(market, uses[place]) for name, place in names.items()}

    def feed(self, market: Market, use: FeedUse | None) -> Value:
        if use is None:
            return _UNUSED
        feed, units = self.chain.feed(use.feed), _Units(market)
        least = units.exact("oracle: min", use.min, feed.decimals)
        greatest = units.exact("oracle: max", use.max, feed.decimals)
        self.feeds[f"{use.feed} {least} {greatest}"] = FeedCheck(
            use.feed, feed.address, feed.decimals, feed.heartbeat, least, greatest
        )
        return {
            "feed": feed.address,
            "heartbeat": feed.heartbeat,
            "min_answer": least,
            "max_answer": greatest,
        }


@dataclass(frozen=True, slots=True)
class _Units:
    """A market's amounts in token units, with the market's name on every complaint."""

    market: Market

    def exact(self, what: str, amount: Decimal, decimals: int) -> int:
        try:
            return to_units(amount, decimals)
        except ValueError as error:
            raise FileError(self.market.id, [f"{what}: {error}"]) from None

    def least(self, what: str, amount: Decimal, decimals: int) -> int:
        units = self.exact(what, amount, decimals)
        if units < MIN_AMOUNT:
            limit = show(MIN_AMOUNT, decimals)
            problem = f"{what} is {amount} (limit {limit}: {MIN_AMOUNT:,} of the smallest units)"
            raise FileError(self.market.id, [f"{problem}; raise it"])
        return self.most(what, amount, decimals)

    def most(self, what: str, amount: Decimal, decimals: int) -> int:
        units = self.exact(what, amount, decimals)
        if units > MAX_AMOUNT:
            limit = Decimal(MAX_AMOUNT).scaleb(-decimals)
            raise FileError(
                self.market.id,
                [f"{what} is {amount} (limit {limit:.0f}: the vault holds 104 bits); lower it"],
            )
        return units


def sequencer_config(sequencer: Sequencer | None) -> Value:
    """Return ChainlinkOracle's argument for a chain's sequencer."""
    if sequencer is None:
        return {"feed": ZERO_ADDRESS, "grace_period": 0}
    return {"feed": sequencer.address, "grace_period": sequencer.grace_period}


def rate_model(rate: Rate) -> Creation:
    """Return the step that creates a market's rate model; markets with the same rates share it."""
    arguments: dict[str, Value] = {
        "base_rate": to_rate(rate.base),
        "kink_utilisation": to_wad(rate.kink),
        "first_slope": to_rate(rate.slope_1),
        "second_slope": to_rate(rate.slope_2),
    }
    return Creation(shared_key("rates/kinked", "KinkedRate", arguments), "KinkedRate", arguments)


def shared_key(stem: str, contract: str, arguments: Mapping[str, Value]) -> str:
    """Return a key that is the same for the same contract and arguments alone."""
    told = plain(resolve(arguments, lambda key: f"@{key}"))
    text = json.dumps([contract, told], sort_keys=True)
    return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def make_plan(
    markets: Sequence[Market],
    chain: Chain,
    roles: Roles,
    prices: Mapping[str, Decimal],
    record: Record,
) -> Plan:
    """Return the steps that put these markets on a chain, those that stand already included.

    `prices` are the tokens', all in one currency: what new oracles are checked against. Raises
    PlanError when the chain lacks something, FileError when an amount does not fit its token.
    """
    if chain.chain_id != record.chain_id:
        raise PlanError(
            f"{chain.source} is for chain {chain.chain_id}, the node is on chain "
            f"{record.chain_id}; connect to the right network or name another chain file"
        )
    draft = _Draft(chain, roles, prices, record)
    for step in (*chain.parts, *CORE):
        draft.add(step)
    skipped = []
    for periphery in PERIPHERY:
        arguments = {name: find(chain) for name, find in periphery.arguments.items()}
        if None in arguments.values():
            missing = ", ".join(name for name, place in arguments.items() if place is None)
            skipped.append(f"{periphery.contract} is left out: {missing} is not in {chain.source}")
        else:
            draft.add(Creation(periphery.key, periphery.contract, arguments))
    for market in markets:
        draft.market(market)
    return Plan(
        chain=chain,
        steps=tuple(draft.steps.values()),
        tokens=tuple(draft.tokens),
        feeds=tuple(draft.feeds.values()),
        skipped=tuple(skipped),
    )
