"""Accounts without code must look so to contracts: signatures and callbacks depend on it."""

from ringfence.evm import Engine, compile_source

PROBE = """
# pragma version 0.4.3
# pragma evm-version cancun
@view
@external
def size(account: address) -> uint256:
    return account.codesize
"""


def test_codesize__accounts_without_code__zero_before_and_after_a_transaction(
    engine: Engine,
) -> None:
    probe = engine.deploy(compile_source(PROBE, "CodeSizeProbe"))
    sender, other = engine.accounts[:2]
    for _ in range(2):
        for account in (sender.address, other.address, "0x" + "00" * 20, "0x" + "5a" * 20):
            assert probe.size(account) == 0
        assert probe.size(probe) > 0
        probe.size.transact(other, sender=sender)
        engine.advance(1)
