"""The chain file: what the names in market files mean on one chain.

`markets/chains/<chain id>.toml` holds a public chain's; a local chain's comes from
`ringfence.deploy.local`, its addresses known only once its parts stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from ringfence.deploy.errors import FileError, PlanError
from ringfence.deploy.files import Address, Table, read
from ringfence.deploy.steps import Creation, Place

_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and the decimal places that it must have on chain.

    `faucet` says how anybody comes by it on a local chain.
    """

    address: Place
    decimals: int
    faucet: Literal["", "mint", "wrap"] = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A Chainlink feed: the decimals it must have, and the greatest age accepted, in seconds."""

    address: Place
    decimals: int
    heartbeat: int


@dataclass(frozen=True, slots=True)
class Sequencer:
    """A layer-2 sequencer's uptime feed, and how many seconds after a stop are without a price."""

    address: Place
    grace_period: int


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain's names; `source` says where they come from, for messages.

    `parts` is what must be created there first, `prices` the tokens' prices at that time, all in
    one currency: nothing on a public chain.
    """

    chain_id: int
    source: str
    tokens: Mapping[str, Token]
    feeds: Mapping[str, Feed]
    oracles: Mapping[str, Place] = field(default_factory=dict)
    sequencer: Sequencer | None = None
    uniswap_factory: Place | None = None
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    parts: tuple[Creation, ...] = ()

    def token(self, name: str) -> Token:
        """Return a token by its name; raise PlanError when the chain has none."""
        return self._find("token", self.tokens, name)

    def feed(self, name: str) -> Feed:
        """Return a feed by its name; raise PlanError when the chain has none."""
        return self._find("feed", self.feeds, name)

    def oracle(self, name: str) -> Place:
        """Return a foreign oracle by its name; raise PlanError when the chain has none."""
        return self._find("oracle", self.oracles, name)

    def _find(self, kind: str, table: Mapping[str, _Thing], name: str) -> _Thing:
        if name not in table:
            known = ", ".join(sorted(table)) or "none"
            raise PlanError(
                f"{kind} {name} is not in {self.source} (it has {known}); add it there or name "
                "another one in the market file"
            )
        return table[name]


Seconds = Annotated[int, Field(gt=0)]
Decimals = Annotated[int, Field(ge=0, le=77)]


class _TokenTable(Table):
    address: Address
    decimals: Decimals


class _FeedTable(Table):
    address: Address
    decimals: Decimals
    heartbeat: Seconds


class _SequencerTable(Table):
    feed: Address
    grace_period: Seconds


class _UniswapTable(Table):
    factory: Address


class ChainFile(Table):
    """All of one chain file."""

    chain_id: Annotated[int, Field(gt=0)]
    tokens: dict[str, _TokenTable]
    feeds: dict[str, _FeedTable]
    oracles: dict[str, Address] = Field(default_factory=dict)
    sequencer: _SequencerTable | None = None
    uniswap: _UniswapTable | None = None


def load_chain(path: Path) -> Chain:
    """Read a chain file; raise FileError with every problem found."""
    if not path.is_file():
        raise FileError(
            str(path), ["there is no such file; write one that names the chain's tokens and feeds"]
        )
    file = read(path, ChainFile)
    sequencer = file.sequencer
    return Chain(
        chain_id=file.chain_id,
        source=str(path),
        tokens={name: Token(one.address, one.decimals) for name, one in file.tokens.items()},
        feeds={
            name: Feed(one.address, one.decimals, one.heartbeat) for name, one in file.feeds.items()
        },
        oracles=dict(file.oracles),
        sequencer=Sequencer(sequencer.feed, sequencer.grace_period) if sequencer else None,
        uniswap_factory=file.uniswap.factory if file.uniswap else None,
    )
