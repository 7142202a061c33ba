"""Deploy markets, on from wherever an earlier run stopped: `ape run deploy markets/*.toml`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click
from ape import networks
from ape.api import AccountAPI
from eth_utils.address import is_checksum_address
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ringfence.client.units import ZERO_ADDRESS
from ringfence.deploy import (
    Chain,
    Deployer,
    DeployError,
    Entry,
    Plan,
    Record,
    RecordStore,
    Roles,
    check_plan,
    deploy,
    estimate_gas,
    is_lost,
    load_chain,
    load_market,
    local_chain,
    make_plan,
    source_commit,
    to_do,
)
from ringfence.deploy.local import DEFAULT_PRICES
from ringfence.deploy.playground import UNISWAP_PARTS, furnish
from ringfence.deploy.record import VAULTS
from ringfence.deploy.steps import Step, VaultCreation
from ringfence.deploy.tokens import balance_of
from ringfence.evm.anvil import AnvilEngine
from scripts._node import ROOT, Node, NodeCommand, connected, find_account

SHARES = (
    "initial_ltv",
    "target_ltv",
    "liquidation_ltv",
    "base_bonus",
    "beta_max",
    "reserve_factor",
)
MARKET = click.Path(dir_okay=False, path_type=Path)


def _prices(given: Sequence[str]) -> dict[str, Decimal]:
    prices = {}
    for one in given:
        name, separator, text = one.partition("=")
        try:
            price = Decimal(text)
        except InvalidOperation:
            price = Decimal(0)
        if not separator or not price.is_finite() or price <= 0:
            raise DeployError(f"--price {one} is not a price; write it as --price WETH=2000")
        prices[name] = price
    return prices


def _role(option: str, given: str | None, default: str) -> str:
    if given is not None and not is_checksum_address(given):
        raise DeployError(f"{option} {given} is not a checksummed address")
    return given or default


def _chain(node: Node, path: Path | None, prices: dict[str, Decimal], *, playground: bool) -> Chain:
    if playground and (path is not None or not node.local):
        raise DeployError(
            f"a playground is for local chains, and chain {node.chain_id} has real tokens and "
            "pools; leave --playground out"
        )
    if path is None and node.local:
        chain = local_chain(node.chain_id, DEFAULT_PRICES | prices)
        return replace(chain, parts=(*chain.parts, *UNISWAP_PARTS)) if playground else chain
    chain = load_chain(path or ROOT / "markets" / "chains" / f"{node.chain_id}.toml")
    if node.fork and "WETH" in chain.tokens:
        tokens = {**chain.tokens, "WETH": replace(chain.tokens["WETH"], faucet="wrap")}
        return replace(chain, tokens=tokens)
    return chain


def _deal_seeds(plan: Plan, record: Record, deployer: Deployer) -> None:
    """Give the account the seeds that it lacks: on a fork, where nothing is real."""
    needed: dict[str, int] = {}
    for step in to_do(plan, record):
        if isinstance(step, VaultCreation):
            for seed in (step.asset_seed, step.collateral_seed):
                if isinstance(seed.token, str) and not seed.faucet:
                    needed[seed.token] = needed.get(seed.token, 0) + seed.amount
    for token, amount in needed.items():
        if balance_of(deployer, token, deployer.account) < amount:
            # The provider's own client, as Ape's providers know no such request.
            networks.provider.make_request(
                "anvil_dealERC20", [deployer.account, token, hex(amount)]
            )


def _furnish(record: Record, account: str, prices: Mapping[str, Decimal]) -> None:
    """Give a local chain what trading needs; its clock catches up with ours first."""
    engine = AnvilEngine.from_ape()
    try:
        engine.set_next_timestamp(max(engine.timestamp + 1, int(time.time())))
        furnish(engine, record, account, prices)
    finally:
        engine.close()


def _plan_table(plan: Plan, record: Record) -> Table:
    table = Table(title=f"Chain {plan.chain.chain_id}", title_justify="left")
    table.add_column("step", overflow="fold")
    table.add_column("stands at, or creates", overflow="fold", min_width=42)
    for step in plan.steps:
        entry = record.contracts.get(step.key)
        new = f"{step.contract}, about {estimate_gas(step):,} gas"
        table.add_row(step.key, entry.address if entry else new)
    return table


def _market_table(plan: Plan) -> Table:
    """One market a column: every share and role that it will have."""
    vaults = [step for step in plan.steps if isinstance(step, VaultCreation)]
    table = Table(title="Markets", title_justify="left")
    table.add_column("")
    for vault in vaults:
        table.add_column(vault.key.removeprefix(VAULTS), overflow="fold", justify="right")
    for name in SHARES:
        shares = [Decimal(vault.arguments["params"][name]).scaleb(-18) for vault in vaults]
        table.add_row(name.replace("_", " "), *(f"{one.normalize():f}" for one in shares))
    for role in ("curator", "guardian"):
        holders = [vault.arguments[role] for vault in vaults]
        table.add_row(role, *("none" if one == ZERO_ADDRESS else one for one in holders))
    return table


def _show(plan: Plan, record: Record, deployer: Deployer, console: Console) -> None:
    console.print(_plan_table(plan, record))
    if any(isinstance(step, VaultCreation) for step in plan.steps):
        console.print(_market_table(plan))
    for line in plan.skipped:
        console.print(line)
    gas = sum(estimate_gas(step) for step in to_do(plan, record))
    ether = Decimal(gas * deployer.gas_price()).scaleb(-18)
    console.print(f"{deployer.account} pays about {gas:,} gas, up to {ether:.4f} ether")


def _run(plan: Plan, deployer: Deployer, store: RecordStore, console: Console) -> Record:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("deploying", total=len(plan.steps))

        def advance(step: Step, status: str, entry: Entry) -> None:
            bar.advance(task)
            if status == "deployed":
                bar.console.print(f"{step.key} at {entry.address}")

        commit = source_commit(ROOT)
        return deploy(plan, deployer, store, commit=commit, progress=advance)


def _result(plan: Plan, before: Record, after: Record, store: RecordStore) -> str:
    contracts = {
        step.key: {
            "contract": step.contract,
            "address": after.contracts[step.key].address if step.key in after.contracts else None,
            "status": "stood"
            if step.key in before.contracts
            else "deployed"
            if step.key in after.contracts
            else "to deploy",
        }
        for step in plan.steps
    }
    result = {
        "chain_id": after.chain_id,
        "record": str(store.path),
        "contracts": contracts,
        "skipped": list(plan.skipped),
    }
    return json.dumps(result, indent=2)


@click.command(cls=NodeCommand)
@click.argument("markets", nargs=-1, type=MARKET)
@click.option("--account", help="Ape's name for the account that pays and signs.")
@click.option("--price", "prices", multiple=True, metavar="TOKEN=DOLLARS", help="Expected price.")
@click.option(
    "--playground",
    is_flag=True,
    help="On a local chain: fill a Uniswap pool and the vaults, hand out tokens, renew prices.",
)
@click.option("--curator", help="Who governs the vaults; the account unless given.")
@click.option("--guardian", help="Who may pause new risk; none unless given.")
@click.option("--chain-file", type=MARKET, help="In place of markets/chains/<chain id>.toml.")
@click.option(
    "--record", "record_file", type=MARKET, help="In place of deployments/<chain id>.json."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show and check the plan, send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def cli(
    markets: tuple[Path, ...],
    account: str | None,
    prices: tuple[str, ...],
    playground: bool,
    curator: str | None,
    guardian: str | None,
    chain_file: Path | None,
    record_file: Path | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Deploy MARKETS and what they need; what stands already is left alone."""
    console = Console(stderr=as_json)
    wanted = [load_market(path) for path in markets]
    expected = _prices(prices)
    node = connected()
    signer: AccountAPI = find_account(account, node)
    deployer, store = node.deployer(signer), node.store(record_file)
    record = store.load(node.chain_id)
    if node.rehearsal and is_lost(record, deployer):
        console.print(f"{store.path} is of a chain that is gone; starting anew")
        store.save(record := Record(chain_id=node.chain_id))
    roles = Roles(
        _role("--curator", curator, deployer.account), _role("--guardian", guardian, ZERO_ADDRESS)
    )
    chain = _chain(node, chain_file, expected, playground=playground)
    plan = make_plan(wanted, chain, roles, expected, record)
    if node.fork and not dry_run:
        _deal_seeds(plan, record, deployer)
    check_plan(plan, deployer, record, node.now)
    _show(plan, record, deployer, console)
    result = record
    if not dry_run and (playground or to_do(plan, record) or record.pending):
        if not yes:
            click.confirm("Deploy?", abort=True, err=as_json)
        if hasattr(signer, "set_autosign") and not node.rehearsal:
            signer.set_autosign(True)
        result = _run(plan, deployer, store, console)
        if playground:
            _furnish(result, deployer.account, chain.prices)
    if as_json:
        click.echo(_result(plan, record, result, store))
    else:
        sent = not dry_run and (playground or result != record)
        done = f"recorded in {store.path}" if sent else "nothing sent"
        console.print(done)
