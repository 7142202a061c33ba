"""What a contract says when it refuses: its author may be hostile."""

from __future__ import annotations

from ringfence.evm.abi import make_encoder
from ringfence.evm.rpc import RpcError
from ringfence.keeper.act.asking import refusal

ERROR = bytes.fromhex("08c379a0")


def test_refusal__words_for_a_terminal__one_short_line() -> None:
    words = "\x1b[2J\nnothing is due\r" + "x" * 100_000
    data = "0x" + (ERROR + make_encoder([{"type": "string"}])([words])).hex()
    found = refusal(RpcError("eth_call", "execution reverted", data))
    assert found.reverted
    assert found.reason.startswith("[2J nothing is")
    assert found.reason.isprintable()
    assert len(found.reason) <= 300
    assert refusal(RpcError("eth_call", "a\x1bb", None)).reason == "a b"
