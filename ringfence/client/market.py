"""A market and its positions, as an account sees them: one call each, through the lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Self

from web3 import Web3

from ringfence.client.abi import interface
from ringfence.client.errors import DeploymentError
from ringfence.client.node import Node, Web3Node
from ringfence.client.plan import read
from ringfence.client.refusals.vault import PriceUnusableError
from ringfence.client.units import (
    PRICE_PLACES,
    Token,
    number_text,
    parse_address,
    position_id,
    scaled,
)
from ringfence.evm.abi import AbiValue, address_bytes, checksum
from ringfence.evm.errors import Reverted
from ringfence.math import accrual
from ringfence.math.accrual import grow
from ringfence.math.balance_sheet import BalanceSheet, total_debt_up
from ringfence.math.fixed_point import MAX_UINT256, WAD
from ringfence.math.position_slot import PositionSlot, unpack
from ringfence.math.rates import SECONDS_PER_YEAR
from ringfence.math.vault_state import VaultParams

LENS_BATCH = 1_000
"""What the lens takes at once."""

SECONDS_PER_DAY = 86_400


def as_node(chain: Node | Web3) -> Node:
    """Return a node for whatever speaks to a chain."""
    return Web3Node(chain) if isinstance(chain, Web3) else chain


def percent(wad: int, places: int = 2) -> str:
    """Return a share scaled 1e18 in per cent, in words.

    >>> percent(8612 * 10**14)
    '86.12 %'
    """
    return f"{number_text(scaled(wad, 16), places)} %"


def moment(seconds: int) -> str:
    """Return a time for people to read, UTC; a time beyond the calendar as its number."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"


def read_token(node: Node, address: str) -> Token:
    """Return a token by its address; raise DeploymentError when there is none."""
    decimals = int(read(node, "ERC20", address, "decimals"))
    try:
        raw = node.call(address, bytes.fromhex("95d89b41"))
    except Reverted:
        raw = b""
    # A string, or the 32 bytes that the oldest tokens answer.
    text = raw if len(raw) <= 32 else raw[64 : 64 + int.from_bytes(raw[32:64], "big")]
    symbol = text.rstrip(b"\0").decode("ascii", "replace")
    return Token(address, symbol or address[:8], decimals)


@dataclass(frozen=True, slots=True)
class Periphery:
    """Where the contracts around the vaults stand; None for what a deployment lacks."""

    lens: str
    router: str | None = None
    quoter: str | None = None


@dataclass(frozen=True, slots=True)
class MarketState:
    """A market at a moment; fields as in IVaultLens.MarketView: units, 1e18, 1e36, seconds."""

    now: int
    sheet: BalanceSheet
    total_debt: int
    claims: int
    reserve: int
    excess: int
    utilisation: int
    borrow_rate: int
    supply_rate: int
    rate_is_fallback: bool
    index_is_full: bool
    price_low: int
    price_high: int
    supply_cap: int
    debt_cap: int
    paused_until: int
    curator: str
    guardian: str
    pending_curator: str
    pending_collection: int
    announced_at: int

    @property
    def is_paused(self) -> bool:
        """Whether new risk is refused."""
        return self.now < self.paused_until

    @property
    def borrow_rate_per_year(self) -> Decimal:
        """Interest a year as a share of the debt, not compounded."""
        return scaled(self.borrow_rate * SECONDS_PER_YEAR, 18)

    @property
    def supply_rate_per_year(self) -> Decimal:
        """What lenders earn a year as a share of what they lend, not compounded."""
        return scaled(self.supply_rate * SECONDS_PER_YEAR, 18)


@dataclass(frozen=True, slots=True)
class Market:
    """One vault: `Market.at(web3, address, lens)` reads what never changes, the rest on demand."""

    node: Node = field(repr=False)
    address: str
    name: str
    collateral: Token
    asset: Token
    share: Token
    params: VaultParams = field(repr=False)
    periphery: Periphery = field(repr=False)
    since: int = field(default=0, repr=False)

    @classmethod
    def at(
        cls,
        chain: Node | Web3,
        address: str,
        periphery: Periphery | str,
        *,
        since: int = 0,
    ) -> Self:
        """Return the market of a vault; `periphery` may be the lens's address alone.

        `since` is the block that created it. Raises DeploymentError when there is no vault.
        """
        node, vault = as_node(chain), parse_address(address)
        raw = read(node, "MarginVault", vault, "parameters")
        params = VaultParams(*(int(one, 16) if isinstance(one, str) else int(one) for one in raw))
        decimals = int(read(node, "MarginVault", vault, "decimals"))
        symbol = str(read(node, "MarginVault", vault, "symbol"))
        if isinstance(periphery, str):
            periphery = Periphery(parse_address(periphery))
        return cls(
            node=node,
            address=vault,
            name=str(read(node, "MarginVault", vault, "name")),
            collateral=read_token(node, raw[0]),
            asset=read_token(node, raw[1]),
            share=Token(vault, symbol, decimals),
            params=params,
            periphery=periphery,
            since=since,
        )

    # Read

    def read(self, name: str, *arguments: AbiValue) -> AbiValue:
        """Return what a view of the vault says; raise RefusedError when it reverts."""
        return read(self.node, "MarginVault", self.address, name, *arguments)

    def state(self) -> MarketState:
        """Return the market now, in one call. A failing oracle shows as prices of 0."""
        view = read(self.node, "VaultLens", self.periphery.lens, "market", self.address)
        return MarketState(self.node.now(), BalanceSheet(*view.sheet), *view[2:])

    def slot(self, owner: str, salt: int) -> PositionSlot:
        """Return the stored word of an account's position, unpacked."""
        return unpack(int(self.read("slot", position_id(owner, salt))))

    def position(self, owner: str, salt: int) -> Position:
        """Return an account's position, an empty one where nothing is open."""
        return self.positions([position_id(owner, salt)])[0]

    def positions(self, ids: Sequence[int]) -> list[Position]:
        """Return positions by their ids, in that order."""
        lens, found = self.periphery.lens, []
        for start in range(0, len(ids), LENS_BATCH):
            batch = list(ids[start : start + LENS_BATCH])
            views = read(self.node, "VaultLens", lens, "positions", self.address, batch)
            found += [Position(self, one, *view) for one, view in zip(batch, views, strict=True)]
        return found

    def position_ids(self, owner: str | None = None) -> list[int]:
        """Return the ids of all positions that were ever open, or of one account's, by the events.

        In the order of their opening.
        """
        opened = interface("MarginVault").topic("Adjusted")
        topics: list[list[bytes] | None] = [[opened]]
        if owner is not None:
            topics.append([bytes(12) + address_bytes(owner)])
        logs = self.node.logs([self.address], topics, self.since)
        return list(dict.fromkeys(int.from_bytes(log.topics[2], "big") for log in logs))

    def losses(self) -> tuple[int, int]:
        """Return what was written off so far, and the part that lenders took, asset units."""
        vault = interface("MarginVault")
        wanted = [vault.topic("Liquidated"), vault.topic("LossSocialised")]
        total = lenders = 0
        for event in vault.events(self.node.logs([self.address], [wanted], self.since)):
            if event.name == "Liquidated":
                total += event.fields["loss"]
            else:
                lenders += event.fields["amount"]
        return total, lenders

    def pending_loss(self, ids: Sequence[int]) -> tuple[int, int]:
        """Return the loss not booked yet of some positions, and lenders' part of it, asset units.

        At most LENS_BATCH ids, each once. Raises PriceUnusableError without a price.
        """
        pending = read(
            self.node, "VaultLens", self.periphery.lens, "pending_loss", self.address, list(ids)
        )
        self.usable(pending.price)
        return int(pending.loss), int(pending.from_lenders)

    # Figures

    def price(self, raw: int) -> Decimal:
        """Return a price of the contracts (1e36) as whole assets per whole collateral."""
        return scaled(raw, PRICE_PLACES + self.asset.decimals - self.collateral.decimals)

    def usable(self, raw: int) -> int:
        """Return a price, 1e36; raise PriceUnusableError for 0, with the oracle's own word."""
        if raw:
            return raw
        oracle = checksum(self.params.oracle.to_bytes(20, "big"))
        try:
            self.node.call(oracle, interface("IPriceOracle").encode("quote"))
        except Reverted as error:
            raise PriceUnusableError(error.reason or None) from None
        raise PriceUnusableError

    def price_text(self, raw: int) -> str:
        """Return a price in words, the way round in which it is above one."""
        price, (this, other) = self.price(raw), (self.collateral.symbol, self.asset.symbol)
        if 0 < price < 1:
            price, this, other = 1 / price, other, this
        return f"{number_text(price, 2)} {other}/{this}"

    def interest_per_day(self, state: MarketState, borrowed: int, scaled_debt: int = 0) -> int:
        """Return the first day's interest on a position's debt after it borrows, asset units.

        At the rate that holds then. `borrowed` in asset units, negative for a repayment;
        `scaled_debt` is the position's after it.
        """
        cash = max(state.sheet.cash - borrowed, 0)
        debt = total_debt_up(state.sheet) + borrowed
        model = checksum(self.params.rate_model.to_bytes(20, "big"))
        data = interface("IRateModel").encode("borrow_rate", cash, max(debt, 0))
        try:
            answer: int | None = int.from_bytes(self.node.call(model, data)[:32], "big")
        except Reverted:
            answer = None
        rate, _failed = accrual.borrow_rate(answer, self.params.fallback_rate)
        later = grow(
            state.sheet,
            rate,
            state.sheet.last_accrual + SECONDS_PER_DAY,
            self.params.reserve_factor,
        )
        return scaled_debt * (later.debt_index - state.sheet.debt_index) // WAD

    @property
    def router(self) -> str:
        """The router's address; raises DeploymentError when the deployment has none."""
        return _needed(self.periphery.router, "LeverageRouter", "open without leverage")

    @property
    def quoter(self) -> str:
        """The QuoterV2's address; raises DeploymentError when the deployment has none."""
        return _needed(self.periphery.quoter, "QuoterV2", "name one with --quoter")


def _needed(address: str | None, contract: str, step: str) -> str:
    if address is None:
        raise DeploymentError(f"the deployment names no {contract}; deploy it, or {step}")
    return address


@dataclass(frozen=True, slots=True)
class Position:
    """A position at a moment: token units, 1e18 and 1e36 inside, decimals by its properties."""

    market: Market = field(repr=False)
    id: int
    collateral_units: int
    debt_units: int
    ltv_wad: int
    health_wad: int
    liquidation_price_raw: int
    liquidatable: bool

    @property
    def owner(self) -> str:
        """The account, checksummed."""
        return checksum((self.id >> 96).to_bytes(20, "big"))

    @property
    def salt(self) -> int:
        """What tells it from its owner's others."""
        return self.id & 2**96 - 1

    @property
    def is_open(self) -> bool:
        """Whether it holds collateral."""
        return self.collateral_units != 0

    @property
    def collateral(self) -> Decimal:
        """Whole collateral tokens."""
        return self.market.collateral.whole(self.collateral_units)

    @property
    def debt(self) -> Decimal:
        """Whole assets, interest up to now included."""
        return self.market.asset.whole(self.debt_units)

    @property
    def ltv(self) -> Decimal | None:
        """Debt over the collateral's value, a share; None without a price."""
        return None if self.ltv_wad == MAX_UINT256 else scaled(self.ltv_wad, 18)

    @property
    def health(self) -> Decimal | None:
        """Liquidation LTV over LTV: below one it may be liquidated; None without debt or price."""
        known = self.debt_units and self.ltv is not None
        return scaled(self.health_wad, 18) if known else None

    @property
    def liquidation_price(self) -> Decimal | None:
        """Whole assets per whole collateral at which it is just healthy; None without debt."""
        return self.market.price(self.liquidation_price_raw) if self.debt_units else None
