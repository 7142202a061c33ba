"""The codec of our own against eth_abi, and its refusals."""

from collections.abc import Callable
from typing import Any

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.evm import EncodingError
from ringfence.evm.abi import address_bytes, checksum, make_encoder, selector, signature, type_name
from ringfence.evm.decoding import (
    decode_revert,
    make_decoder,
    make_result_decoder,
    make_word_reader,
)
from ringfence.evm.engine import dev_accounts

Typed = tuple[dict[str, Any], Any]


def words() -> st.SearchStrategy[Typed]:
    bits = st.integers(1, 32).map(lambda n: 8 * n)
    unsigned = bits.flatmap(
        lambda n: st.integers(0, 2**n - 1).map(lambda v: ({"type": f"uint{n}"}, v))
    )
    signed = bits.flatmap(
        lambda n: st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1).map(
            lambda v: ({"type": f"int{n}"}, v)
        )
    )
    fixed = st.integers(1, 32).flatmap(
        lambda n: st.binary(min_size=n, max_size=n).map(lambda v: ({"type": f"bytes{n}"}, v))
    )
    address = st.binary(min_size=20, max_size=20).map(lambda v: ({"type": "address"}, checksum(v)))
    boolean = st.booleans().map(lambda v: ({"type": "bool"}, v))
    return st.one_of(unsigned, signed, fixed, address, boolean)


def tails() -> st.SearchStrategy[Typed]:
    return st.one_of(
        st.binary(max_size=100).map(lambda v: ({"type": "bytes"}, v)),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(
            lambda v: ({"type": "string"}, v)
        ),
    )


def struct(members: list[Typed]) -> Typed:
    components = [{"name": f"f{i}", **entry} for i, (entry, _value) in enumerate(members)]
    return {"type": "tuple", "components": components}, tuple(value for _entry, value in members)


def array(first: Typed) -> Typed:
    entry, value = first
    return {**entry, "type": f"{entry['type']}[]"}, (value, value)


def typed() -> st.SearchStrategy[Typed]:
    return st.recursive(
        st.one_of(words(), tails()),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map(struct), inner.map(array)
        ),
        max_leaves=8,
    )


@given(st.lists(typed(), max_size=6))
def test_encoder__any_types__bytes_and_values_are_eth_abi_s(columns: list[Typed]) -> None:
    entries = [entry for entry, _value in columns]
    values = [value for _entry, value in columns]
    kinds = [type_name(entry) for entry in entries]
    encoded = make_encoder(entries)(values)
    assert encoded == eth_abi.encode(kinds, values)
    assert make_decoder(entries)(encoded) == tuple(values)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint256", -1),
        ("uint256", 2**256),
        ("uint256", 1.5),
        ("uint256", "1"),
        ("int8", 128),
        ("int256", -(2**255) - 1),
        ("bool", 2),
        ("bool", 1),
        ("address", "0x12"),
        ("address", b"\0" * 19),
        ("address", None),
        ("address", "not hex at all"),
        ("bytes4", b"12345"),
        ("bytes4", 4),
        ("bytes", "text"),
        ("bytes", 7),
        ("string", b"bytes"),
        ("uint256[]", 5),
        ("uint8[]", [256]),
    ],
)
def test_encoder__value_of_another_type__one_error(kind: str, value: object) -> None:
    with pytest.raises(EncodingError):
        make_encoder([{"type": kind}])([value])


def test_encoder__accounts_contracts_and_mappings__taken_for_what_they_name() -> None:
    account = dev_accounts()[0]
    pair = {"type": "tuple", "components": [{"name": "who", "type": "address"}]}
    expected = bytes(12) + address_bytes(account)
    assert make_encoder([{"type": "address"}])([account]) == expected
    assert make_encoder([pair])([(account,)]) == expected
    assert make_encoder([pair])([{"who": account.address}]) == expected
    assert make_encoder([{**pair, "type": "tuple[1]"}])([[{"who": account}]]) == expected


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("uint256", bytes(31)),
        ("uint8", (256).to_bytes(32, "big")),
        ("int8", (128).to_bytes(32, "big")),
        ("bool", (2).to_bytes(32, "big")),
        ("address", b"\1" * 32),
        ("string", bytes(32)),
    ],
)
def test_decoder__bytes_that_cannot_be__one_error(kind: str, data: bytes) -> None:
    with pytest.raises(EncodingError):
        make_decoder([{"type": kind}])(data)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.mark.parametrize(
    "data",
    [
        word(64) + word(160) + word(2) + word(7) + word(8) + word(1) + b"x".ljust(32, b"\0"),
        # The bytes before the list, a gap between, both at one place.
        word(128) + word(64) + word(1) + b"x".ljust(32, b"\0") + word(2) + word(7) + word(8),
        word(96) + word(192) + word(9) + word(2) + word(7) + word(8) + word(1) + b"x" + b"\0" * 31,
        word(64) + word(64) + word(1) + word(7 << 248),
    ],
)
def test_decoder__parts_in_any_order__as_eth_abi_reads_them(data: bytes) -> None:
    kinds = ["uint256[]", "bytes"]
    values = make_decoder([{"type": kind} for kind in kinds])(data)
    expected = eth_abi.decode(kinds, data)
    assert (list(values[0]), values[1]) == (list(expected[0]), expected[1])


@pytest.mark.parametrize(
    "data",
    [
        word(32) + word(2**255),
        word(32) + word(3) + word(1) + word(2),
        word(32) + word(1) + word(2**200),
        word(2**255),
        word(32),
    ],
)
def test_decoder__list_that_cannot_be__one_error(data: bytes) -> None:
    with pytest.raises(EncodingError):
        make_decoder([{"type": "uint128[]"}])(data)


def test_result_decoder__none_one_several__shaped_for_python() -> None:
    one = {"name": "", "type": "uint256"}
    low, high = {"name": "low", "type": "uint256"}, {"name": "high", "type": "uint256"}
    data = (3).to_bytes(32, "big") + (4).to_bytes(32, "big")
    assert make_result_decoder([])(b"") is None
    assert make_result_decoder([one])(data) == 3
    assert make_result_decoder([one, one])(data) == (3, 4)
    assert make_result_decoder([low, high])(data).high == 4


def test_selector__struct_argument__written_out_as_a_tuple() -> None:
    entry = {
        "name": "f",
        "inputs": [
            {
                "type": "tuple[2]",
                "components": [{"type": "uint256", "name": "a"}, {"type": "bool", "name": "b"}],
            },
            {"type": "bytes"},
        ],
    }
    assert signature(entry) == "f((uint256,bool)[2],bytes)"
    transfer = {"name": "transfer", "inputs": [{"type": "address"}, {"type": "uint256"}]}
    assert selector(transfer).hex() == "a9059cbb"


def test_decode_revert__malformed_message__shown_as_hex() -> None:
    broken = bytes.fromhex("08c379a0") + b"\xff" * 40
    assert decode_revert(broken) == "0x" + broken.hex()
    assert decode_revert(b"") == ""


# One word of a struct


def _word(*path: str) -> Callable[[bytes], int]:
    pair = [{"name": "x", "type": "address"}, {"name": "y", "type": "uint256"}]
    parts = [{"name": "a", "type": "bool"}, {"name": "b", "type": "tuple", "components": pair}]
    more = [*parts, {"name": "c", "type": "uint256"}]
    return make_word_reader([{"name": "", "type": "tuple", "components": more}], *path)


def test_make_word_reader__nested_or_behind_a_struct__that_word() -> None:
    answer = b"".join(number.to_bytes(32) for number in (1, 2, 2**256 - 1, 4))
    assert _word("b", "y")(answer) == 2**256 - 1
    assert _word("c")(answer) == 4


@pytest.mark.parametrize("size", [0, 127, 160])
def test_make_word_reader__answer_of_another_size__refused(size: int) -> None:
    with pytest.raises(EncodingError, match=f"an answer of {size} bytes, not 128"):
        _word("c")(bytes(size))


def test_make_word_reader__name_that_is_not_there__refused_when_made() -> None:
    with pytest.raises(KeyError, match="has no d"):
        _word("b", "d")
