"""Price the risk of a market and of a trade: `ape run risk trader MARKET_FILE`."""

from __future__ import annotations

import click

from scripts._risk_allocate import allocation
from scripts._risk_calibrate import calibrate
from scripts._risk_choose import choose
from scripts._risk_contagion import contagion
from scripts._risk_cross import cross
from scripts._risk_loss import loss
from scripts._risk_rounds import rounds
from scripts._risk_trader import trader


@click.group()
def cli() -> None:
    """Price the risk of a market and of a trade, by the contract's own rules."""


for _command in (allocation, calibrate, choose, contagion, cross, loss, rounds, trader):
    cli.add_command(_command)
