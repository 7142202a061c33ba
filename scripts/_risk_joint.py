"""What the risk commands over several markets share: their options, and how they draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce, wraps
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.random import SeedSequence, default_rng

from ringfence.deploy.market import Market
from ringfence.risk.answers.cross import CrossMarket
from ringfence.risk.answers.loss import LateKeepers
from ringfence.risk.arrays import Floats
from ringfence.risk.errors import RiskError
from ringfence.risk.prices.joint import JointPrices
from ringfence.risk.prices.models import model_files
from ringfence.risk.rules.liquidations import Terms
from ringfence.risk.rules.market import RiskMarket
from ringfence.risk.work.tasks import Task, run_tasks, sizes
from scripts._risk_setup import (
    PART,
    Command,
    cache_of,
    common,
    counting,
    law_of,
    moves_of,
    read_market,
    say,
    steps_of,
    workers_of,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that the commands share, by their names."""

    market_files: tuple[Path, ...]
    shorts: tuple[str, ...]
    correlation: float
    model: str
    days: float
    step: int
    paths: int
    batch: int
    seed: int
    delay: int
    discount: float
    workers: int
    scheduler: str | None
    cache: Path | None
    chain: Path
    as_json: bool

    def read(self) -> Joint:
        """Return the markets; raise RiskError for a short that is none of them."""
        unknown = set(self.shorts) - {path.stem for path in self.market_files}
        if unknown:
            raise RiskError(f"--short {min(unknown)} is none of the markets; name one of the files")
        read = [
            read_market(path, self.chain, short=path.stem in self.shorts)
            for path in self.market_files
        ]
        law, paths = law_of(self.model, self.paths)
        prices = JointPrices(
            moves_of(read), law, self.correlation, min(self.batch, paths),
            steps_of(self.days, self.step), self.step,
        )  # fmt: skip
        asked = replace(self, paths=paths)
        return Joint(asked, read, prices, LateKeepers(self.delay, self.discount))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read."""
        return (*self.market_files, self.chain, *model_files(self.model))

    def scenario(self) -> dict[str, object]:
        """Return what the answer follows from, for a report."""
        return {
            "markets": [path.stem for path in self.market_files], "model": self.model,
            "seed": self.seed, "days": self.days, "step": self.step, "paths": self.paths,
            "batch": self.batch, "delay": self.delay, "discount": self.discount,
            "shorts": sorted(self.shorts), "correlation": self.correlation,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Joint:
    """Markets as they were asked for; `prices` are those of a first task."""

    asked: Asked
    read: list[tuple[Market, RiskMarket]]
    prices: JointPrices
    keepers: LateKeepers

    @property
    def markets(self) -> list[RiskMarket]:
        """The markets, in the files' order."""
        return [market for _file, market in self.read]

    @property
    def venues(self) -> list[CrossMarket]:
        """The markets in one currency, in which their least debt matters little: without it."""
        return [
            CrossMarket(Terms.of(one.risk)._replace(min_debt=0.0), one.falls)
            for one in self.markets
        ]

    def first_prices(self) -> Floats:
        """Return the first task's prices, drawn again [market, path, step]."""
        return self.prices.draw(default_rng(SeedSequence(self.asked.seed).spawn(1)[0]))

    def draw(self, task: Task, given: Mapping[str, object], times: int = 1) -> dict[str, Floats]:
        """Return the results of a task on all paths [path, ...], so many times as many."""
        asked, total = self.asked, times * self.asked.paths
        common_to_all = {**given, "venues": self.venues, "keepers": self.keepers}
        work = run_tasks(
            task,
            (
                {**common_to_all, "prices": replace(self.prices, paths=size)}
                for size in times * sizes(asked.paths, asked.batch)
            ),
            asked.seed, workers_of(asked.workers, asked.scheduler), say, cache_of(asked.cache),
        )  # fmt: skip
        parts, done = [], 0
        with counting(total, quiet=asked.as_json) as told:
            for part in work:
                parts.append(part)
                done += len(next(iter(part.values())))
                told(done)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def joint(command: Command) -> Command:
    """Add the options of a command over several markets, which gets them as one `Asked`."""

    @wraps(command)
    def asked(**given: object) -> None:
        shared: dict[str, Any] = {one.name: given.pop(one.name) for one in fields(Asked)}
        command(Asked(**shared), **given)

    options = (
        click.argument(
            "market_files", type=click.Path(path_type=Path), nargs=-1, required=True
        ),
        common,
        click.option(
            "--short", "shorts", multiple=True,
            help="Id of a market whose asset moves; again for more.",
        ),
        click.option(
            "--correlation", type=PART, default=0.6, show_default=True,
            help="Of the tokens' returns.",
        ),
    )  # fmt: skip
    return reduce(lambda to, option: option(to), reversed(options), asked)
