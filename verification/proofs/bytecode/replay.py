"""The executor against revm: the same concrete calls must give the same outcome and writes.

What is compared is the executor's arithmetic, memory, storage, hashes and jumps, on the maths
harness and a token. Calls of other contracts are not: the executor lets them answer anything.
"""

from __future__ import annotations

import random
from functools import partial

from ringfence.evm import InProcessEngine, load
from ringfence.evm.abi import address_bytes
from ringfence.evm.contract import Contract
from verification.proofs.bytecode import words
from verification.proofs.bytecode.evm import Machine
from verification.proofs.bytecode.isolation import functions
from verification.proofs.bytecode.state import Code, KnownLength
from verification.proofs.property import Property, Verdict

_SEED = 20_260_101
_CALLS = 400
_WIDTHS = (0, 1, 8, 40, 64, 80, 104, 112, 128, 256)


def _word(draw: random.Random) -> int:
    """Return a word of a random width, near an end of it as often as not."""
    width = draw.choice(_WIDTHS)
    near = draw.choice((0, 1, 2**width - 1, 2**width, draw.getrandbits(width or 1)))
    return near % words.MODULUS


def _call(
    engine: InProcessEngine, contract: Contract, data: bytes, sender: bytes
) -> tuple[str, bool]:
    """Return in words how the executor differs from the engine, and whether the call succeeds."""
    code = Code(engine.code_at(contract.address))
    machine = Machine(
        code,
        KnownLength(tuple(data)),
        exact=True,
        environment={
            0x30: int.from_bytes(address_bytes(contract.address)),
            0x33: int.from_bytes(sender),
            0x34: 0,
            0x42: engine.timestamp,
            0x46: engine.chain_id,
        },
        stored=lambda key: engine.storage_at(contract.address, key),
    )
    paths = list(machine.run())
    before = {key: engine.storage_at(contract.address, key) for key, _ in paths[0].writes}
    receipt = engine.send(sender, contract.address, data)
    success = paths[0].reason != "revert"
    if len(paths) != 1 or success != receipt.success:
        return f"{len(paths)} paths, the first {paths[0].reason}; revm: {receipt.success}", success
    if not success:
        return "", False
    if paths[0].returned != list(receipt.output):
        return "the output differs", True
    after = dict(paths[0].writes)
    changed = {key: (before[key], after[key]) for key in after if before[key] != after[key]}
    alike = changed == receipt.state_diff.get(contract.address, {})
    return "" if alike else "a write differs", True


def replay(calls: int = _CALLS) -> Verdict:
    """Make random calls on both machines."""
    draw, engine = random.Random(_SEED), InProcessEngine()
    senders = [address_bytes(account) for account in engine.accounts[:3]]
    targets = [engine.deploy(load("MathsHarness")), engine.deploy(load("TestToken"), "T", "T", 18)]
    artifacts = [load("MathsHarness"), load("TestToken")]
    reverted = 0
    for number in range(calls):
        which = draw.randrange(len(targets))
        name, selector = draw.choice(sorted(functions(artifacts[which]).items()))
        sender = draw.choice(senders)
        choices = [_word(draw) for _ in range(14)]
        if which:
            choices[0] = int.from_bytes(draw.choice(senders))
        data = selector + b"".join(word.to_bytes(32, "big") for word in choices)
        fault, success = _call(engine, targets[which], data, sender)
        if fault:
            return Verdict("refuted", f"call {number}, {name}: {fault}: 0x{data.hex()}")
        reverted += not success
    return Verdict("proved", f"{calls} calls alike, {reverted} of them revert, seed {_SEED}")


def replay_broken(opcode: int) -> Verdict:
    """Make the same calls where the executor has one opcode wrong."""
    right = words._FIGURES[opcode]
    words._FIGURES[opcode] = lambda a, b: right(a, b) ^ 1
    try:
        return replay()
    finally:
        words._FIGURES[opcode] = right


PROPERTIES = (
    Property(
        id="EXECUTOR.replay",
        name="the executor does what revm does",
        statement=f"{_CALLS} random calls of the harness and a token end, return and write alike",
        on="bytecode",
        run=replay,
        assumes="a test on concrete words, not a proof; no calls of other contracts",
    ),
    Property(
        id="EXECUTOR.replay.broken",
        name="a wrong opcode is found",
        statement="the same, with the executor's shift to the right wrong",
        on="bytecode",
        run=partial(replay_broken, 0x1C),
        assumes="as EXECUTOR.replay",
        expect="refuted",
    ),
)
