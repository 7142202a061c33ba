"""Running a plan: resumable at every point, and nothing is ever deployed twice.

A transaction is signed, written into the record, sent, waited for, and only then is what it created
recorded. The record is on the disk before the transaction is on the chain, with the transaction's
hash: a run that finds one under way asks the chain what became of it before it does anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from eth_utils.crypto import keccak

from ringfence.deploy.deployer import Deployer, Mined, digest
from ringfence.deploy.errors import PlanError, TransactionError
from ringfence.deploy.plan import Plan
from ringfence.deploy.record import Creating, Entry, Pending, Record, RecordStore
from ringfence.deploy.steps import (
    BLUEPRINT,
    FACTORY,
    Creation,
    Plain,
    Seed,
    Step,
    VaultCreation,
    differences,
    encode_call,
    plain,
    resolve,
)
from ringfence.deploy.tokens import allowance, balance_of, erc20_call
from ringfence.evm.artifacts import load

Status: TypeAlias = Literal["stands", "deployed"]
Progress: TypeAlias = Callable[[Step, Status, Entry], None]
"""Called after each step, with what it found or created."""

PREAMBLE = bytes.fromhex("fe7100")
"""What an ERC-5202 blueprint's code begins with."""


def plain_arguments(step: Step, record: Record) -> dict[str, Plain]:
    """Return a step's arguments as the record keeps them; needs what the step refers to."""
    return {name: plain(resolve(value, record.address)) for name, value in step.arguments.items()}


def check_standing(step: Step, entry: Entry, record: Record) -> None:
    """Raise PlanError when what stands under a step's key was created from other arguments."""
    planned = {k: v for k, v in plain_arguments(step, record).items() if k not in step.loose}
    standing = {k: v for k, v in entry.arguments.items() if k not in step.loose}
    found = [
        f"{name} is {old} there and {new} in the plan"
        for name, old, new in differences(standing, planned)
    ]
    if found:
        next_step = "undo the change in the file"
        if isinstance(step, VaultCreation):
            next_step += ", or give the file another name to deploy another market"
        raise PlanError(
            f"{step.key} stands at {entry.address} and cannot change: {'; '.join(found)}; "
            f"{next_step}"
        )


def is_lost(record: Record, deployer: Deployer) -> bool:
    """Return whether any contract of the record is not on the chain: a local chain started anew."""
    return any(not deployer.code(entry.address) for entry in record.contracts.values())


@dataclass(slots=True)
class Run:
    """One run of a plan; `commit` is the source's, recorded with what this run creates."""

    deployer: Deployer
    store: RecordStore
    record: Record
    commit: str

    # One transaction

    def resume(self) -> None:
        """Find out what became of the transaction that the last run left under way."""
        pending = self.record.pending
        if pending is None:
            return
        if pending.account != self.deployer.account:
            raise PlanError(
                f"a transaction of {pending.account} for {pending.key} is under way; run this with "
                "that account to see it through"
            )
        mined = self.deployer.settle(pending.tx_hash, pending.nonce, pending.since)
        if mined is None or mined.digest != pending.digest:
            # Never sent, or its nonce went to something else: it did nothing and never will.
            self._save(self.record.drop_pending())
        else:
            self._finish(pending, mined)

    def transact(
        self,
        key: str,
        to: str | None,
        data: bytes,
        *,
        value: int = 0,
        creates: Creating | None = None,
    ) -> None:
        """Send one transaction, `value` in wei, and record what it created."""
        try:
            signed = self.deployer.sign(to, data, self.deployer.nonce(), value)
            pending = Pending(
                key=key,
                account=self.deployer.account,
                nonce=signed.nonce,
                tx_hash=signed.tx_hash,
                digest=digest(to, data),
                since=self.deployer.block(),
                creates=creates,
            )
            self._save(self.record.begin(pending))
            self.deployer.send(signed)
            mined = self.deployer.settle(signed.tx_hash, signed.nonce, pending.since)
        except TransactionError as error:
            raise TransactionError(f"{key}: {error}") from None
        if mined is None:
            raise TransactionError(
                f"{key}: the node has lost transaction {signed.tx_hash}; run this again"
            )
        self._finish(pending, mined)

    def _finish(self, pending: Pending, mined: Mined) -> None:
        if not mined.success:
            self._save(self.record.drop_pending())
            reason = mined.reason or "without a reason"
            raise TransactionError(
                f"{pending.key}: transaction {mined.tx_hash} failed: {reason}; nothing was changed"
            )
        creates = pending.creates
        if creates is None:
            self._save(self.record.drop_pending())
            return
        address = creates.address or mined.created
        code = self.deployer.code(address) if address else b""
        if not address or not code:
            raise TransactionError(
                f"{pending.key}: transaction {mined.tx_hash} succeeded and left no code at "
                f"{address}; is the node in step with the chain?"
            )
        entry = Entry(
            contract=creates.contract,
            address=address,
            tx_hash=mined.tx_hash,
            block=mined.block,
            arguments=creates.arguments,
            code_hash="0x" + keccak(code).hex(),
            source_commit=creates.source_commit,
            blueprint=creates.blueprint,
        )
        self._save(self.record.add(pending.key, entry))

    def _save(self, record: Record) -> None:
        self.store.save(record)
        self.record = record

    def _creation(self, step: Step, address: str | None = None) -> Creating:
        arguments = plain_arguments(step, self.record)
        return Creating(
            contract=step.contract,
            arguments=arguments,
            source_commit=self.commit,
            address=address,
            blueprint=step.blueprint,
        )

    # Steps

    def create(self, step: Creation) -> None:
        """Create a contract."""
        initcode = step.initcode(self.record.address)
        self.transact(step.key, None, initcode, creates=self._creation(step))

    def create_vault(self, step: VaultCreation) -> None:
        """Let the factory take the seeds and create a vault."""
        for seed in (step.asset_seed, step.collateral_seed):
            self._provide(step, seed)
        blueprint = self.deployer.code(self.record.address(BLUEPRINT))
        initcode = blueprint.removeprefix(PREAMBLE)
        address = step.address(self.deployer.account, initcode, self.record.address)
        factory = self.record.address(FACTORY)
        calldata = step.calldata(self.record.address)
        self.transact(step.key, factory, calldata, creates=self._creation(step, address))
        is_vault = encode_call(load("VaultFactory"), "is_vault", address)
        if not any(self.deployer.call(factory, is_vault)):
            raise TransactionError(f"{step.key}: the factory does not know {address} as its vault")

    def _provide(self, step: VaultCreation, seed: Seed) -> None:
        """Hold a seed and let the factory take it; a local chain's faucet gives what is missing."""
        token: str = resolve(seed.token, self.record.address)
        held = balance_of(self.deployer, token, self.deployer.account)
        missing = seed.amount - held
        if missing > 0 and seed.faucet == "mint":
            data = erc20_call("mint(address,uint256)", self.deployer.account, missing)
            self.transact(f"{step.key} (mint {seed.name})", token, data)
        elif missing > 0 and seed.faucet == "wrap":
            data = erc20_call("deposit()")
            self.transact(f"{step.key} (wrap {seed.name})", token, data, value=missing)
        factory = self.record.address(FACTORY)
        if allowance(self.deployer, token, self.deployer.account, factory) < seed.amount:
            data = erc20_call("approve(address,uint256)", factory, seed.amount)
            self.transact(f"{step.key} (approve {seed.name})", token, data)


def deploy(
    plan: Plan,
    deployer: Deployer,
    store: RecordStore,
    *,
    commit: str,
    progress: Progress | None = None,
) -> Record:
    """Carry a plan out, or on from wherever an earlier run stopped, and return the record.

    Raises TransactionError when a transaction cannot be sent or fails, PlanError when something
    stands that the plan wants otherwise.
    """
    run = Run(deployer, store, store.load(deployer.chain_id), commit)
    run.resume()
    for step in plan.steps:
        standing = run.record.contracts.get(step.key)
        if standing is not None:
            check_standing(step, standing, run.record)
        elif isinstance(step, VaultCreation):
            run.create_vault(step)
        else:
            run.create(step)
        if progress is not None:
            entry = run.record.contracts[step.key]
            progress(step, "stands" if standing else "deployed", entry)
    return run.record
