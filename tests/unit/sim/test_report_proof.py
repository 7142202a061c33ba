"""The proof takes its verdict from a liquidation's words, and believes nothing else."""

from dataclasses import replace

import pytest

from ringfence.report.words import MINUS
from ringfence.sim.proof import decode, prove
from ringfence.sim.result import Liquidation, Result, Word
from ringfence.sim.wording import Lexicon
from tests.support.synthetic_result import synthetic_result


@pytest.fixture(scope="module")
def result() -> Result:
    return synthetic_result()


@pytest.fixture(params=["partial", "full", "insolvent"])
def liquidation(request: pytest.FixtureRequest, result: Result) -> Liquidation:
    return next(one for one in result.liquidations if one.kind == request.param)


@pytest.fixture(scope="module")
def lexicon(result: Result) -> Lexicon:
    return Lexicon.of(result)


def broken(liquidation: Liquidation, lexicon: Lexicon) -> list[str]:
    return [one.text for one in prove(liquidation, lexicon).findings if not one.held]


def with_word(liquidation: Liquidation, name: str, added: int) -> Liquidation:
    words = (
        replace(word, after=word.after + added) if word.name == name else word
        for word in liquidation.words
    )
    return replace(liquidation, words=tuple(words))


def test_prove__three_words__holds(liquidation: Liquidation, lexicon: Lexicon) -> None:
    proof = prove(liquidation, lexicon)
    assert proof.held, "an isolated liquidation is not recognised"
    assert [word.title for word in proof.words] == [
        "The position's one slot",
        "Books, word 1 of 2",
        "Books, word 2 of 2",
    ]
    assert int(proof.owner, 16) << 96 | proof.salt == liquidation.position_id


def test_prove__another_slot__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    doubled = replace(liquidation, words=(*liquidation.words, liquidation.words[0]))
    assert "2 position slot changed (1 expected)" in broken(doubled, lexicon)


def test_prove__word_in_another_vault__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    assert broken(replace(liquidation, other_vaults=1), lexicon) == [
        "1 words of the other vaults changed"
    ]


def test_prove__run_says_not_isolated__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    assert broken(replace(liquidation, isolated=False), lexicon) == [
        "the run's own verdict: not isolated"
    ]


def test_prove__one_unit_of_collateral__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    assert broken(with_word(liquidation, "position", 1 << 144), lexicon) == [
        "the slot's collateral fell by exactly what was seized"
    ]


def test_prove__one_unit_of_cash__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    assert broken(with_word(liquidation, "books 1", 1 << 40), lexicon) == [
        "the vault's cash rose by exactly what was repaid and the reserve's cut"
    ]


def test_prove__one_share__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    assert broken(with_word(liquidation, "books 1", 1 << 152), lexicon) == [
        "the lenders' shares are as they were"
    ]


def test_prove__one_unit_of_total_debt__fails(liquidation: Liquidation, lexicon: Lexicon) -> None:
    assert broken(with_word(liquidation, "books 2", 1 << 152), lexicon) == [
        "the total of scaled debts fell by exactly what the slot's did"
    ]


def test_decode__slot__reads_field_by_field(result: Result, lexicon: Lexicon) -> None:
    liquidation = next(one for one in result.liquidations if one.market.startswith("weth"))
    before = 2 * 10**18 << 144 | 150_000001 << 40 | 1_700_000_000
    after = 10**18 << 144 | 100_000000 << 40 | 1_700_000_000
    decoded = decode(Word("position", 5, before, after), liquidation, lexicon)
    assert decoded.slot == f"0x{5:064x}"
    assert [(one.name, one.unit, one.before, one.after, one.change) for one in decoded.fields] == [
        ("collateral", "WETH", "2." + "0" * 18, "1." + "0" * 18, MINUS + "1." + "0" * 18),
        ("scaled debt", "USDC", "150.000001", "100.000000", MINUS + "50.000001"),
        ("last risk increase", "unix s", "1700000000", "1700000000", "0\u00a0s"),
    ]


def test_decode__books__read_field_by_field(result: Result, lexicon: Lexicon) -> None:
    liquidation = next(one for one in result.liquidations if one.market.startswith("weth"))
    first = Word("books 1", 0, 7_000000 << 152 | 5_000000 << 40 | 10, 7_000000 << 152 | 70)
    assert [
        (one.name, one.before, one.after, one.change)
        for one in (decode(first, liquidation, lexicon).fields)
    ] == [
        ("total shares", "7.000000", "7.000000", "0.000000"),
        ("cash", "5.000000", "0.000000", MINUS + "5.000000"),
        ("last accrual", "10", "70", "+60\u00a0s"),
    ]
    second = Word(
        "books 2", 1, 9 << 152 | 10**18 << 76 | 10**18, 8 << 152 | 2 * 10**18 << 76 | 10**18 // 2
    )
    assert [
        (one.name, one.before, one.after, one.change)
        for one in (decode(second, liquidation, lexicon).fields)
    ] == [
        ("total scaled debt", "0.000009", "0.000008", MINUS + "0.000001"),
        ("debt index", "1." + "0" * 18, "2." + "0" * 18, "+100.000000\u00a0%"),
        ("supply index", "1." + "0" * 18, "0.5" + "0" * 17, MINUS + "50.000000\u00a0%"),
    ]
