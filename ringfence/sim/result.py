"""What a run of a scenario found: the data behind its tables, its summary and its report.

Everything here was read back from the chain. Amounts of tokens are integers in the token's smallest
unit, prices are floats in USDC per WETH and LTVs floats as parts of one: both are for plots and
tables only, no check rests on them. Times are seconds since the first step of the price path; what
was set up before it has negative ones. `to_json` and `from_json` turn a result into text and back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from ringfence.math.liquidation import RiskParams

Json: TypeAlias = Any
"""A JSON value, or what it stands for."""

_Kind: TypeAlias = Any
"""An annotation of a field."""

Side: TypeAlias = Literal["long", "short"]

Status: TypeAlias = Literal["open", "closed", "liquidated"]
"""What became of a position: still there, closed by its owner, or taken whole by liquidators."""

ActionKind: TypeAlias = Literal[
    "opened",
    "increased",
    "topped up",
    "delevered",
    "repaid",
    "liquidated in part",
    "liquidated",
    "closed",
]
LiquidationKind: TypeAlias = Literal["partial", "full", "insolvent"]
"""Solvent and stopped at the target, solvent and repaid whole, or sold with a loss written off."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the run moves."""

    symbol: str
    address: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the path: the market's price, the feed's, the pool's at its end.

    `answer` is what WETH's feed answers, with 8 decimals.
    """

    time: int
    market: float
    feed: float
    pool: float
    keeper_on: bool
    answer: int


@dataclass(frozen=True, slots=True)
class Word:
    """One storage word of the vault that a liquidation changed.

    `name` is "position", "books 1", "books 2", or "other" for a word that must not have changed.
    """

    name: str
    slot: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Liquidation:
    """One liquidation with its proof.

    `price` is the feed's, LTVs are before and after it; `seized` is in collateral units,
    `repaid`, `cut`, `loss` and its two parts, and the keeper's `profit` (after slippage and pool
    fees, before gas) in asset units; `gas_cost` in wei at the scenario's gas price. `words` are all
    the words of this vault that the transaction changed, `other_vaults` counts changed words in the
    other vaults; `isolated` says that they are the one slot and the two words of the books.
    """

    tx_hash: str
    block: int
    time: int
    market: str
    position_id: int
    account: str
    kind: LiquidationKind
    price: float
    ltv_before: float
    ltv_after: float
    seized: int
    repaid: int
    cut: int
    loss: int
    loss_to_reserve: int
    loss_to_lenders: int
    profit: int
    gas_used: int
    gas_cost: int
    words: tuple[Word, ...]
    other_vaults: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happened to a position.

    `collateral` and `debt` are the signed changes, in collateral and asset units; `margin` is what
    the owner put in (positive) or got out (negative), in units of `margin_token`, 0 where nothing
    went to or came from a wallet. `slot` is the position's word after it.
    """

    kind: ActionKind
    time: int
    tx_hash: str
    price: float
    collateral: int
    debt: int
    margin: int
    margin_token: str
    slot: int


@dataclass(frozen=True, slots=True)
class Position:
    """One position from its opening to the end of the run.

    `leverage` is the one at the opening (value over value less debt). `put_in`, `taken_out` and
    `kept` (the equity still in the slot at the end, at the feed's last price, at least 0) are in
    USDC units, each at the price of its time. `result` = taken_out + kept - put_in. `to_keepers`
    is the bonus that liquidations cost the owner, and `to_reserve` the cut, both in USDC units.
    `ltvs` has one entry a step, None before the opening and after the end; `liquidatable_at` are
    the steps, counted from 0, at which the vault would have let it be liquidated before its owner
    acted.
    """

    position_id: int
    market: str
    side: Side
    account: str
    owner: str
    leverage: float
    opened_at: int
    status: Status
    actions: tuple[Action, ...]
    slot: int
    collateral: int
    debt: int
    put_in: int
    taken_out: int
    kept: int
    result: int
    to_keepers: int
    to_reserve: int
    ltvs: tuple[float | None, ...]
    liquidatable_at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Books:
    """A vault's books at one moment, asset units; the supply index scaled 1e18."""

    cash: int
    debt: int
    claims: int
    reserve: int
    supply_index: int


@dataclass(frozen=True, slots=True)
class Lender:
    """A lender of one vault, asset units: what went in, what it could claim at the end."""

    account: str
    owner: str
    deposited: int
    claim: int


@dataclass(frozen=True, slots=True)
class Market:
    """One vault: its parameters (LTVs and beta as parts of one), its books before and after.

    `before` is taken when the path begins, lenders and first positions in place. `to_reserve_lost`
    and `to_lenders_lost` are the losses written off in between, asset units.
    """

    name: str
    title: str
    vault: str
    side: Side
    collateral: str
    asset: str
    initial_ltv: float
    target_ltv: float
    liquidation_ltv: float
    beta_max: float
    before: Books
    after: Books
    lenders: tuple[Lender, ...]
    liquidations: int
    to_reserve_lost: int
    to_lenders_lost: int
    risk: RiskParams
    debt_indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Keeper:
    """What the keeper earned, token symbol -> units, before gas; and its gas in all, wei.

    `total` is the profit less gas in USDC units at the last price.
    """

    address: str
    liquidations: int
    profits: Mapping[str, int]
    gas_used: int
    gas_cost: int
    total: int


@dataclass(frozen=True, slots=True)
class Conservation:
    """A token's units, summed over everybody who ever held some, against its total supply."""

    token: str
    holders: int
    balances: int
    supply: int


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name in the summary, whether it held, and what it was decided by."""

    name: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Result:
    """All of a run. `seconds` is the wall time, `crash_end` the time at which the rebound begins.

    `keeper_off` are the spans in which the keeper stood still, (from, until) in seconds.
    """

    scenario: str
    title: str
    seed: int
    seconds: float
    chain_id: int
    transactions: int
    accounts: int
    crash_end: int
    keeper_off: tuple[tuple[int, int], ...]
    tokens: tuple[Token, ...]
    steps: tuple[Step, ...]
    markets: tuple[Market, ...]
    positions: tuple[Position, ...]
    liquidations: tuple[Liquidation, ...]
    keeper: Keeper
    conservation: tuple[Conservation, ...]
    checks: tuple[Check, ...]

    @property
    def held(self) -> bool:
        """Whether every check held."""
        return all(check.held for check in self.checks)

    def summary(self) -> dict[str, Json]:
        """Return the counts and the checks as `summary.json` has them."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "steps": len(self.steps),
            "transactions": self.transactions,
            "accounts": self.accounts,
            "positions": len(self.positions),
            "liquidations": len(self.liquidations),
            "checks": {check.name: check.held for check in self.checks},
        }


def to_json(result: Result) -> str:
    """Return a result as JSON; integers stay exact at any size."""
    return json.dumps(asdict(result), separators=(",", ":"))


def from_json(text: str) -> Result:
    """Return the result that `to_json` wrote.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    built: Result = _build(Result, json.loads(text))
    return built


def _build(kind: _Kind, value: Json) -> Json:
    """Return plain JSON as a value of a dataclass, a tuple, a mapping or a word."""
    origin: _Kind = get_origin(kind)
    parts = get_args(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{one.name: _build(hints[one.name], value[one.name]) for one in fields(kind)})
    if origin is tuple and parts[-1] is Ellipsis:
        return tuple(_build(parts[0], item) for item in value)
    if origin is tuple:
        return tuple(_build(part, item) for part, item in zip(parts, value, strict=True))
    if origin in (Union, UnionType):
        return None if value is None else _build(parts[0], value)
    return value
