"""What can be known to fail before a deployment sends anything, and what it will cost."""

from __future__ import annotations

from decimal import Decimal

from ringfence.deploy import tokens
from ringfence.deploy.deployer import Deployer
from ringfence.deploy.errors import PlanError
from ringfence.deploy.plan import FeedCheck, Plan
from ringfence.deploy.record import Record
from ringfence.deploy.run import check_standing
from ringfence.deploy.steps import Place, Ref, Seed, Step, VaultCreation
from ringfence.deploy.units import show

_TRANSACTION_GAS = 150_000
_CREATED_BYTE_GAS = 200
_DATA_BYTE_GAS = 16
_VAULT_GAS = 900_000
"""Approvals, the probe, the vault's constructor and the registry's words; without the code."""


def to_do(plan: Plan, record: Record) -> list[Step]:
    """Return the steps that do not stand yet."""
    return [step for step in plan.steps if step.key not in record.contracts]


def estimate_gas(step: Step) -> int:
    """Return about what a step costs, in gas, on the high side."""
    artifact = step.artifact
    size = len(artifact.creation) if step.blueprint else len(artifact.runtime or artifact.creation)
    if isinstance(step, VaultCreation):
        return _VAULT_GAS + _CREATED_BYTE_GAS * size
    return _TRANSACTION_GAS + _CREATED_BYTE_GAS * size + _DATA_BYTE_GAS * len(artifact.creation)


def _known(place: Place, record: Record) -> str | None:
    """Return an address, None for what is still to be created."""
    if not isinstance(place, Ref):
        return place
    entry = record.contracts.get(place.key)
    return entry.address if entry else None


def check_plan(plan: Plan, deployer: Deployer, record: Record, now: int) -> None:
    """Raise PlanError for the first thing on the chain that the plan cannot be carried out with.

    Tokens and feeds must be there with the decimals that the chain file says, feeds must answer
    freshly (`now` in unix seconds) and within bounds, the account must hold seeds and gas, and what
    stands must be what the plan wants.
    """
    for step in plan.steps:
        entry = record.contracts.get(step.key)
        if entry is not None:
            check_standing(step, entry, record)
            if not deployer.code(entry.address):
                raise PlanError(
                    f"{step.key} is recorded at {entry.address} and the node has no code there; "
                    "is it the right node, and in step with the chain?"
                )
    steps = to_do(plan, record)
    for name in plan.tokens:
        _check_token(plan, name, deployer, record)
    if steps:
        for feed in plan.feeds:
            _check_feed(plan, feed, deployer, record, now)
        _check_seeds(steps, deployer, record)
        _check_gas(steps, deployer)


def _check_token(plan: Plan, name: str, deployer: Deployer, record: Record) -> None:
    token = plan.chain.token(name)
    address = _known(token.address, record)
    if address is None:
        return
    if not deployer.code(address):
        raise PlanError(
            f"token {name}: there is no contract at {address} on chain {plan.chain.chain_id}; "
            f"correct {plan.chain.source}"
        )
    found = tokens.decimals(deployer, address)
    if found != token.decimals:
        raise PlanError(
            f"token {name} has {found} decimals on chain, {token.decimals} in "
            f"{plan.chain.source}; correct the file, or the address in it"
        )


def _check_feed(plan: Plan, feed: FeedCheck, deployer: Deployer, record: Record, now: int) -> None:
    address = _known(feed.address, record)
    if address is None:
        return
    if not deployer.code(address):
        raise PlanError(
            f"feed {feed.name}: there is no contract at {address} on chain "
            f"{plan.chain.chain_id}; correct {plan.chain.source}"
        )
    found = tokens.decimals(deployer, address)
    if found != feed.decimals:
        raise PlanError(
            f"feed {feed.name} has {found} decimals on chain, {feed.decimals} in "
            f"{plan.chain.source}; correct the file, or the address in it"
        )
    answer, updated_at = tokens.latest_answer(deployer, address)
    if now - updated_at > feed.heartbeat:
        raise PlanError(
            f"feed {feed.name} answered {now - updated_at:,} s ago (limit {feed.heartbeat:,}); "
            "wait for it, or correct its heartbeat in " + plan.chain.source
        )
    if not feed.least <= answer <= feed.greatest:
        shown, least, greatest = (
            show(units, feed.decimals) for units in (answer, feed.least, feed.greatest)
        )
        raise PlanError(
            f"feed {feed.name} answers {shown} (limits {least} to {greatest}); is it the "
            "right feed, and are the market's bounds?"
        )


def _check_seeds(steps: list[Step], deployer: Deployer, record: Record) -> None:
    needed: dict[str, tuple[Seed, int]] = {}
    for step in steps:
        if isinstance(step, VaultCreation):
            # The collateral's seed comes back, the asset's does not.
            for seed in (step.asset_seed, step.collateral_seed):
                before = needed.get(seed.name, (seed, 0))[1]
                needed[seed.name] = seed, before + seed.amount
    for name, (seed, amount) in needed.items():
        address = _known(seed.token, record)
        if seed.faucet or address is None:
            continue
        held = tokens.balance_of(deployer, address, deployer.account)
        if held < amount:
            raise PlanError(
                f"account {deployer.account} holds {show(held, seed.decimals)} "
                f"{name}, the seeds take {show(amount, seed.decimals)}; send it more"
            )


def _check_gas(steps: list[Step], deployer: Deployer) -> None:
    cost = sum(estimate_gas(step) for step in steps) * deployer.gas_price()
    balance = deployer.balance()
    if balance < cost:
        raise PlanError(
            f"account {deployer.account} holds {Decimal(balance).scaleb(-18):.4f} ether, the "
            f"deployment may cost {Decimal(cost).scaleb(-18):.4f}; send it more"
        )
