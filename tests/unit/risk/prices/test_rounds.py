"""Rounds read from Chainlink's own proxy and aggregators, on a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringfence.evm import Contract, load, load_npm
from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.errors import EncodingError
from ringfence.evm.rpc import Json, JsonRpc, Request, RpcError
from ringfence.risk.errors import RiskError
from ringfence.risk.prices import rounds as module
from ringfence.risk.prices.csv_prices import read_prices
from ringfence.risk.prices.rounds import Round, RoundReader, since, spaced
from scripts._risk_rounds import rounds as command

DOLLAR = 10**8
HOUR = 3_600
NOBODY = "0x" + "00" * 20
NPM = "@chainlink/contracts/abi/v0.6/{}.json"


@dataclass(frozen=True, slots=True)
class Chain:
    """A proxy with two phases: 30 rounds an hour apart, then 5; `start` is the first one's time.

    The old aggregator goes on for two rounds after the new one has begun, and the new one's rounds
    3 to 5 are missing.
    """

    engine: AnvilEngine
    proxy: Contract
    start: int

    @property
    def feed(self) -> RoundReader:
        return RoundReader.at(JsonRpc(self.engine.url), self.proxy.address)


def aggregator(engine: AnvilEngine) -> Contract:
    return engine.deploy(load_npm(NPM.format("MockV3Aggregator")), 8, DOLLAR)


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with launch() as engine:
        start = engine.timestamp // HOUR * HOUR
        old, new = aggregator(engine), aggregator(engine)
        proxy = engine.deploy(load_npm(NPM.format("EACAggregatorProxy")), old, NOBODY)
        for number in range(1, 33):
            at = start + (number - 1) * HOUR
            old.updateRoundData(number, (1_000 + number) * DOLLAR, at, at)
        for number, hours in ((1, 30), (2, 31), (6, 32), (7, 33), (8, 34)):
            at = start + hours * HOUR
            new.updateRoundData(number, (5_000 + number) * DOLLAR, at, at)
        proxy.proposeAggregator(new)
        proxy.confirmAggregator(new)
        engine.set_next_timestamp(start + 34 * HOUR + 60)
        engine.transact(b"\1" * 20)
        yield Chain(engine, proxy, start)


def test_rounds__two_phases_with_holes__each_once_and_the_newer_phase_counts(chain: Chain) -> None:
    found = list(chain.feed.rounds())
    newer = [2 << 64 | number for number in (8, 7, 6, 2, 1)]
    older = [1 << 64 | number for number in range(30, 0, -1)]
    assert [one.id for one in found] == newer + older
    assert [one.updated_at for one in found] == [
        chain.start + hour * HOUR for hour in range(34, -1, -1)
    ]
    assert found[-1].answer == 1_001 * DOLLAR


def test_since__a_time__reads_no_further_than_the_round_that_holds(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, batch = [], JsonRpc.batch
    monkeypatch.setattr(module, "BATCH", 8)
    monkeypatch.setattr(
        JsonRpc, "batch", lambda self, of: (sizes.append(len(of)), batch(self, of))[1]
    )
    at = chain.start + 20 * HOUR
    for asked, last in ((at, at), (at + 1, at), (at - 1, at - HOUR)):
        assert list(since(chain.feed.rounds(), asked))[-1].updated_at == last
    assert max(sizes) == 8
    assert sizes.count(8) == 3 * 3  # each time the new phase, and 16 rounds of the old one


def test_spaced__rounds__last_known_answer_at_each_step(chain: Chain) -> None:
    feed = chain.feed
    start, end = chain.start + 28 * HOUR - 1, chain.start + 32 * HOUR
    found = spaced(feed, list(since(feed.rounds(), start)), start, end, HOUR // 2)
    assert (found.start, found.step_seconds) == (start, HOUR // 2)
    assert found.prices.tolist() == [
        1_028, 1_029, 1_029, 1_030, 1_030, 5_001, 5_001, 5_002, 5_002,
    ]  # fmt: skip


def test_rounds__command__writes_what_calibrate_reads(chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    words = (chain.proxy.address, "--rpc", chain.engine.url, "--out", str(file))
    result = CliRunner(mix_stderr=False).invoke(command, [*words, "--days", "1", "--json"])
    assert result.exit_code == 0, result.stderr
    told, prices = json.loads(result.stdout), read_prices(file)
    assert told["rounds"] == told["prices"] == prices.prices.size == 25
    assert (prices.start, prices.step_seconds) == (chain.start + 10 * HOUR, HOUR)
    assert prices.prices[[0, -1]].tolist() == [1_011, 5_008]
    result = CliRunner(mix_stderr=False).invoke(command, [*words, "--last", "3"])
    assert result.exit_code == 0, result.stderr
    assert "3 prices from " in result.stdout
    assert read_prices(file).prices.tolist() == [5_006, 5_007, 5_008]


def test_at__no_feed_there__refused(chain: Chain) -> None:
    rpc = JsonRpc(chain.engine.url)
    with pytest.raises(RiskError, match=r"no contract is at 0x0{39}9; check it"):
        RoundReader.at(rpc, "0x" + "0" * 39 + "9")
    with pytest.raises(RiskError, match=r"is no feed: no decimals\(\)"):
        RoundReader.at(rpc, chain.engine.deploy(load("FixedRate"), 1).address)
    with pytest.raises(EncodingError, match="is not an address; pass 0x and 40 hex digits"):
        RoundReader.at(rpc, "ether")


def test_rounds__contract_without_rounds__refused(chain: Chain) -> None:
    rpc, deploy = JsonRpc(chain.engine.url), chain.engine.deploy
    with pytest.raises(RiskError, match="has no round: pass a price feed's proxy"):
        next(RoundReader.at(rpc, deploy(load("TestToken"), "Token", "T", 18).address).rounds())
    feed = deploy(load("ProxiedFeed"), chain.proxy)
    with pytest.raises(
        RiskError, match=f"keeps no rounds: it has no round {2 << 64 | 8}, its last"
    ):
        next(RoundReader.at(rpc, feed.address).rounds())


def test_rounds__aggregator_by_itself__its_rounds(chain: Chain) -> None:
    old = chain.proxy.phaseAggregators(1)
    found = list(RoundReader.at(JsonRpc(chain.engine.url), old).rounds())
    assert [one.id for one in found] == list(range(32, 0, -1))


def test_spaced__phase_that_is_gone__refused_where_it_is_needed(chain: Chain) -> None:
    mark = chain.engine.snapshot()
    chain.engine.set_code(chain.proxy.phaseAggregators(1), b"")
    feed, end = chain.feed, chain.start + 34 * HOUR
    found = list(feed.rounds())
    chain.engine.restore(mark)
    assert spaced(feed, found, chain.start + 30 * HOUR, end, HOUR).prices.size == 5
    with pytest.raises(RiskError, match=r"begin at 2023-11-16T04:00:00Z, after 2023-11-16T03:00"):
        spaced(feed, found, chain.start + 29 * HOUR, end, HOUR)


def test_spaced__silence__refused_beyond_its_limit(chain: Chain) -> None:
    feed, found = chain.feed, list(chain.feed.rounds())
    start = chain.start + 30 * HOUR
    assert spaced(feed, found, start, feed.now, HOUR, gap=HOUR).prices.size == 5
    with pytest.raises(RiskError, match=r"no round for 3,600 s after .* \(limit 3,599\)"):
        spaced(feed, found, start, feed.now, HOUR, gap=HOUR - 1)
    with pytest.raises(RiskError, match=r"no round for 7,201 s after .*Z \(limit 7,200\)"):
        spaced(feed, found, start, chain.start + 36 * HOUR + 1, HOUR, gap=2 * HOUR)


@pytest.mark.parametrize("answer", [0, -1])
def test_spaced__answer_that_is_no_price__refused(chain: Chain, answer: int) -> None:
    found = [Round(2, answer, chain.start + HOUR), Round(1, DOLLAR, chain.start)]
    with pytest.raises(RiskError, match=rf"round 2 of 0x\w+ answers {answer} \(limit 1\)"):
        spaced(chain.feed, found, chain.start, chain.start + 2 * HOUR, HOUR)


def test_spaced__no_step__refused(chain: Chain) -> None:
    found = [Round(1, DOLLAR, chain.start)]
    with pytest.raises(RiskError, match=r"3599 s hold no step of 3600 s; pass a longer time"):
        spaced(chain.feed, found, chain.start, chain.start + HOUR - 1, HOUR)


def test_rounds__node_says_no__is_its_word(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, batch = chain.feed, JsonRpc.batch

    def limited(self: JsonRpc, of: list[Request]) -> list[Json | RpcError]:
        if len(of) == 1:
            return batch(self, of)
        return [RpcError(method, "limit exceeded", None) for method, _params in of]

    monkeypatch.setattr(JsonRpc, "batch", limited)
    with pytest.raises(RiskError, match="the node refuses eth_call: limit exceeded; ask it for le"):
        next(feed.rounds())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--days", "2"), "begin at 2023-11-14T22:00:00Z, after 2023-11-14T08:00:00Z"),
        (("--last", "1"), "0 s hold no step of 3600 s"),
        (("--rpc", "http://127.0.0.1:9"), "no answer from the node at http://127.0.0.1:9"),
        (("--rpc", "ws://127.0.0.1:9"), "is not the address of a node"),
        (("--until", "2020-01-01"), "begin at 2020-01-01T00:00:00Z, after 2019-12-02"),
    ],
)
def test_rounds__command_that_cannot_be_done__one_line_and_no_file(
    chain: Chain, tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    file = tmp_path / "prices.csv"
    given = (chain.proxy.address, "--rpc", chain.engine.url, "--out", str(file), *words)
    result = CliRunner(mix_stderr=False).invoke(command, given)
    assert result.exit_code == 1
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not file.exists()
