"""Several real ways to one real node: which is asked, what a failure costs, what is agreed on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest

from ringfence.evm.anvil import AnvilEngine, launch
from ringfence.evm.rpc import Json, JsonRpc, Request, RpcError
from ringfence.keeper.chain.pool import Pool
from ringfence.keeper.chain.rpc import Web3Rpc
from ringfence.keeper.chain.wire import Header, NoAnswerError
from tests.support.proxy import FORGED, Proxy, proxies

T = TypeVar("T")
CHAIN: list[Request] = [("eth_chainId", []), ("net_version", [])]
NAMES = ("a", "b", "c")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Setup:
    """An anvil of 20 blocks, three ways to it, and a clock that the test moves."""

    def __init__(self, node: AnvilEngine, ways: list[Proxy]) -> None:
        self.rpc = JsonRpc(node.url)
        self.ways = ways
        self.clock = Clock()
        self.mine(20)

    def mine(self, blocks: int = 1) -> None:
        self.rpc.call("anvil_mine", hex(blocks))

    def head(self) -> Header:
        return Header.parse(self.rpc.call("eth_getBlockByNumber", "latest", False))

    def run(self, work: Callable[[Pool], Awaitable[T]], count: int = 3, **options: Any) -> T:
        """What `work` makes of a pool over the first ways."""

        async def do() -> T:
            endpoints = {
                name: Web3Rpc(way.url) for name, way in zip(NAMES, self.ways[:count], strict=False)
            }
            pool = Pool(endpoints, clock=self.clock, **options)
            try:
                return await work(pool)
            finally:
                await pool.close()

        return asyncio.run(do())

    def asked(self) -> list[int]:
        """How many requests each way was asked, since the last time."""
        counts = [len(way.requests) for way in self.ways]
        for way in self.ways:
            way.requests.clear()
        return counts


@pytest.fixture(scope="module")
def node() -> Iterator[AnvilEngine]:
    with launch() as engine:
        yield engine


@pytest.fixture
def setup(node: AnvilEngine) -> Iterator[Setup]:
    with proxies(node.url, 3) as ways:
        made = Setup(node, ways)
        yield made
        made.rpc.close()


FAULTS: dict[str, dict[str, Json]] = {
    "drops": {"drop": True},
    "truncates": {"truncate": True},
    "over its limit": {"status": 429},
    "broken": {"status": 500},
    "garbage": {"body": "<html>"},
    "another's answer": {"body": "[]"},
    "an error for all": {"body": '{"id": null, "error": {"code": -32005, "message": "many"}}'},
    "hangs": {"delay": 5.0},
}


def spoil(way: Proxy, fault: dict[str, Json]) -> None:
    for name, value in fault.items():
        setattr(way, name, value)


# Asking one


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_batch__first_gives_no_answer__the_next_does(setup: Setup, fault: dict[str, Json]) -> None:
    spoil(setup.ways[0], fault)

    async def work(pool: Pool) -> list[Json]:
        found = [await pool.batch(CHAIN), await pool.batch(CHAIN)]
        assert [one.healthy for one in pool.describe()] == [False, True, True]
        assert "no answer" in (pool.describe()[0].error or "")
        assert "secret" not in str(pool.describe())
        return found

    assert setup.run(work, timeout=0.5) == [["0x1", "1"]] * 2
    # The second batch did not go to the first way at all.
    assert setup.asked()[1:] == [4, 0]


@pytest.mark.parametrize("count", [1, 3])
def test_batch__all_dead__one_reason_that_names_each(setup: Setup, count: int) -> None:
    setup.ways[0].stop()
    setup.ways[1].status = 429
    setup.ways[2].delay = 5.0
    answers = setup.run(lambda pool: pool.batch(CHAIN), count, timeout=0.5)
    first, second = answers
    assert isinstance(first, NoAnswerError)
    assert isinstance(second, NoAnswerError)
    assert first.message == second.message
    assert first.message.startswith(f"no answer from {count} of {count} nodes: a: ")
    assert "secret" not in first.message
    if count == 3:
        assert "b: no answer: ClientResponseError 429; c: no answer within 0.5 s" in first.message


def test_batch__first_is_slow__the_next_is_not_waited_with(setup: Setup) -> None:
    setup.ways[0].delay = 60.0

    async def work(pool: Pool) -> None:
        for _ in range(2):
            assert await pool.batch(CHAIN) == ["0x1", "1"]
        assert pool.describe()[0].error == "too slow to be waited for"
        assert setup.asked() == [0, 4, 0]

    setup.run(work, slow=0.05, timeout=60.0)


def test_batch__all_but_the_slow_one_fail__it_is_waited_for(setup: Setup) -> None:
    setup.ways[0].delay = 1.0
    setup.ways[1].drop = setup.ways[2].drop = True

    async def work(pool: Pool) -> None:
        assert await pool.batch(CHAIN) == ["0x1", "1"]
        assert [one.healthy for one in pool.describe()] == [True, False, False]

    setup.run(work, slow=0.05, timeout=60.0)


def test_batch__failed_endpoint_hangs__not_waited_for_as_long(setup: Setup) -> None:
    async def work(pool: Pool) -> Json:
        setup.ways[0].drop = True
        await pool.batch(CHAIN)
        setup.ways[0].heal()
        setup.ways[0].delay = 60.0
        return (await pool.batch(CHAIN))[0]

    answer = setup.run(work, count=1, quick=0.1, timeout=60.0)
    assert "no answer within 0.1 s" in answer.message


def test_batch__failed_endpoint__comes_last_until_it_has_answered(setup: Setup) -> None:
    first = setup.ways[0]

    async def work(pool: Pool) -> None:
        first.drop = True
        await pool.batch(CHAIN)
        first.heal()
        setup.asked()
        setup.clock.now += 3_600
        await pool.batch(CHAIN)
        assert setup.asked() == [0, 2, 0]
        await pool.survey()
        assert all(one.healthy for one in pool.describe())
        setup.asked()
        await pool.batch(CHAIN)
        assert setup.asked() == [2, 0, 0]

    setup.run(work)


def test_batch__fails_again_and_again__rests_twice_as_long_up_to_a_minute(setup: Setup) -> None:
    """The one that failed least is tried first when all have failed."""
    first, second = setup.ways[:2]
    first.drop = second.drop = True

    async def work(pool: Pool) -> None:
        for _ in range(12):
            await pool.survey()
        second.heal()
        await pool.survey()
        second.drop = True
        await pool.survey()
        first.heal()
        second.heal()
        setup.asked()
        setup.clock.now += 1
        await pool.batch(CHAIN)
        assert setup.asked() == [0, 2, 0]
        second.drop = True
        await pool.batch(CHAIN)
        assert setup.asked() == [2, 0, 0]

    setup.run(work, count=2)


@pytest.mark.parametrize("tries", [1, 2])
def test_batch__more_endpoints_than_tries__so_many_are_asked(setup: Setup, tries: int) -> None:
    for way in setup.ways[:2]:
        way.failing = frozenset({"eth_chainId"})
        way.status = 500

    async def work(pool: Pool) -> list[Json]:
        return await pool.batch(CHAIN)

    first, _second = setup.run(work, tries=tries)
    assert isinstance(first, NoAnswerError)
    assert first.message.startswith(f"no answer from {tries} of 3 nodes: a: ")
    assert setup.asked()[2] == 0


@pytest.mark.parametrize(
    "request_of",
    [
        lambda head: ("eth_getBlockByHash", ["0x" + head.hash.hex(), False]),
        lambda head: ("eth_getBlockByNumber", [hex(head.number), False]),
        lambda head: ("eth_getLogs", [{"blockHash": "0x" + head.hash.hex()}]),
        lambda head: ("eth_getBalance", ["0x" + "11" * 20, {"blockHash": "0x" + head.hash.hex()}]),
    ],
    ids=["header by hash", "header by number", "logs", "state"],
)
def test_batch__first_lags__asks_the_next_and_that_one_for_a_second(
    setup: Setup, request_of: Callable[[Header], Request]
) -> None:
    setup.ways[0].lag = 2
    asked = request_of(setup.head())

    async def work(pool: Pool) -> None:
        [answer] = await pool.batch([asked])
        assert answer is not None
        assert not isinstance(answer, RpcError)
        assert setup.asked() == [1, 1, 0]
        await pool.batch(CHAIN)
        assert setup.asked() == [0, 2, 0]
        assert "does not have a block yet" in (pool.describe()[0].error or "")
        setup.clock.now += 1
        await pool.batch(CHAIN)
        assert setup.asked() == [2, 0, 0]
        assert pool.describe()[0].healthy

    setup.run(work)


def test_batch__header_lacks_but_logs_came__never_of_two_nodes(setup: Setup) -> None:
    """What a node that lags says of a range's logs must not stand beside another's header."""
    head = setup.head()
    setup.ways[0].lag = 1
    both: list[Request] = [
        ("eth_getLogs", [{"fromBlock": "0x1", "toBlock": hex(head.number)}]),
        ("eth_getBlockByNumber", [hex(head.number), False]),
    ]
    answers = setup.run(lambda pool: pool.batch(both))
    assert int(answers[1]["number"], 16) == head.number
    # The whole batch each: of the first that lags, and of two that agree on the logs.
    assert setup.asked() == [2, 2, 2]


def test_batch__no_node_has_the_block__that_is_the_answer(setup: Setup) -> None:
    asked: Request = ("eth_getBlockByHash", ["0x" + "77" * 32, False])
    answers = setup.run(lambda pool: pool.batch([asked, *CHAIN]))
    assert answers == [None, "0x1", "1"]
    assert setup.asked() == [3, 3, 3]


@pytest.mark.parametrize("words", ["header not found", "429 too many requests"])
def test_batch__contract_reverts_with_a_node_s_words__no_other_node_is_asked(
    setup: Setup, words: str
) -> None:
    """A hostile vault must not send the keeper from node to node."""
    text = words.encode()
    # PUSH32 the text, MSTORE, REVERT with Error(string) of it.
    data = (
        bytes.fromhex("08c379a0")
        + (32).to_bytes(32)
        + len(text).to_bytes(32)
        + text.ljust(32, b"\0")
    )
    code = b"".join(
        b"\x7f" + data[at : at + 32].ljust(32, b"\0") + b"\x60" + bytes([at]) + b"\x52"
        for at in range(0, len(data), 32)
    )
    setup.rpc.call("anvil_setCode", "0x" + "ee" * 20, "0x" + code.hex() + "60645ffd")
    asked: Request = ("eth_call", [{"to": "0x" + "ee" * 20}, "latest"])

    async def work(pool: Pool) -> None:
        [answer] = await pool.batch([asked])
        assert isinstance(answer, RpcError)
        assert words in answer.message
        assert all(one.healthy for one in pool.describe())

    setup.run(work)
    assert setup.asked() == [1, 0, 0]


def test_batch__asked_for_the_same_logs_again__another_node_s_answer(setup: Setup) -> None:
    asked: Request = ("eth_getLogs", [{"blockHash": "0x" + setup.head().hash.hex()}])

    async def work(pool: Pool) -> None:
        for counts in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]):
            await pool.batch([asked])
            assert setup.asked() == counts
        for _ in range(2):
            await pool.batch(CHAIN)
            assert setup.asked() == [2, 0, 0]

    setup.run(work)


def test_batch__endpoints_at_different_heights__first_at_the_agreed_one(setup: Setup) -> None:
    low, high, agreed = setup.ways
    low.lag, agreed.lag = 5, 1

    async def work(pool: Pool) -> None:
        await pool.survey()
        top = setup.head().number
        assert [one.height for one in pool.describe()] == [top - 5, top, top - 1]
        setup.asked()
        await pool.batch(CHAIN)
        assert setup.asked() == [0, 2, 0]
        high.lag, agreed.lag = 5, 5
        await pool.survey()
        setup.asked()
        await pool.batch(CHAIN)
        assert setup.asked() == [2, 0, 0]

    setup.run(work)


# Asking all


def test_agreed__good_head__none(setup: Setup) -> None:
    assert setup.run(lambda pool: pool.agreed(setup.head())) is None
    assert setup.run(lambda pool: pool.agreed(setup.head()), count=1) is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"lag": 2}, "a is behind, at block "),
        ({"drop": True}, "a does not answer: no answer: ServerDisconnectedError"),
        ({"forge": True}, f"a has another block there, {FORGED}"),
        ({"delay": 5.0}, "a does not answer: no answer within 1 s"),
        ({"failing": frozenset({"eth_getBlockByNumber"})}, "a does not say the block"),
        ({"failing": frozenset({"eth_blockNumber"})}, "a does not say its height"),
    ],
    ids=["lags", "drops", "forges", "hangs", "errs", "no height"],
)
def test_agreed__one_of_three_bad__the_good_head_stands_and_the_other_is_named(
    setup: Setup, fault: dict[str, Json], reason: str
) -> None:
    spoil(setup.ways[0], fault)
    head = setup.head()
    assert setup.run(lambda pool: pool.agreed(head), quick=1.0) is None
    told = setup.run(lambda pool: pool.agreed(head), quick=1.0, quorum=3) or ""
    assert told.startswith(f"2 of 3 nodes have block {head.number} as the head, 0x")
    assert "(needed: 3): " + reason in told
    assert "b" not in told.partition("3): ")[2].split()


def test_agreed__forged_head_of_one__refused(setup: Setup) -> None:
    forged = setup.head()
    object.__setattr__(forged, "hash", bytes.fromhex(FORGED[2:]))
    setup.ways[0].forge = True
    told = setup.run(lambda pool: pool.agreed(forged)) or ""
    assert told.startswith("1 of 3 nodes have block")
    assert f"b has another block there, 0x{setup.head().hash.hex()}" in told


def test_agreed__forged_head__whoever_made_it_up_is_asked_last(setup: Setup) -> None:
    setup.ways[0].forge = True

    async def work(pool: Pool) -> None:
        latest: list[Request] = [("eth_getBlockByNumber", ["latest", False])]
        [block] = await pool.batch(latest)
        assert block["hash"] == FORGED
        assert await pool.agreed(Header.parse(block)) is not None
        [block] = await pool.batch(latest)
        assert Header.parse(block) == setup.head()
        bad, *_good = pool.describe()
        assert bad.error == f"its block {setup.head().number:,} is not that of the others"

    setup.run(work)


def test_agreed__head_of_a_frozen_node__refused_as_the_others_have_gone_on(setup: Setup) -> None:
    old = setup.head()
    setup.ways[0].height = old.number

    async def work(pool: Pool) -> None:
        setup.mine(3)
        assert await pool.agreed(old) is None
        setup.mine(1)
        told = await pool.agreed(old) or ""
        assert f"b has gone on to block {old.number + 4}" in told
        assert await pool.agreed(setup.head()) is None

    setup.run(work)


def test_agreed__two_frozen__refused_and_they_are_named(setup: Setup) -> None:
    height = setup.head().number
    for way in setup.ways[:2]:
        way.height = height

    async def work(pool: Pool) -> None:
        await pool.survey()
        setup.mine(10)
        told = await pool.agreed(setup.head()) or ""
        assert f"a is behind, at block {height}; b is behind, at block {height}" in told
        setup.clock.now += 75
        told = await pool.agreed(setup.head()) or ""
        assert f"a is frozen at block {height}, for 75 s" in told

    setup.run(work)


def test_agreed__quorum_without_the_slow_one__returns_before_it(setup: Setup) -> None:
    setup.ways[2].delay = 60.0

    async def work(pool: Pool) -> None:
        assert await pool.agreed(setup.head()) is None
        assert pool.describe()[2].error is None, "it waited for the slow one"

    setup.run(work, quick=30.0)


def test_agreed__one_has_another_head__it_is_shown_and_comes_last(setup: Setup) -> None:
    setup.ways[0].forge = True

    async def work(pool: Pool) -> None:
        assert await pool.agreed(setup.head()) is None
        await asyncio.gather(*pool._asking)
        bad, *good = pool.describe()
        assert (bad.healthy, [one.healthy for one in good]) == (False, [True, True])
        assert bad.error == f"a has another block there, {FORGED}"
        setup.asked()
        await pool.batch(CHAIN)
        assert setup.asked() == [0, 2, 0]
        # Who forges a head does not cast doubt on those who do not have it.
        forged = setup.head()
        object.__setattr__(forged, "hash", bytes.fromhex(FORGED[2:]))
        assert await pool.agreed(forged) is not None
        assert [one.healthy for one in pool.describe()] == [False, True, True]
        setup.ways[0].heal()
        assert await pool.agreed(setup.head()) is None
        await asyncio.gather(*pool._asking)
        assert all(one.healthy for one in pool.describe())

    setup.run(work)


def test_batch__logs_of_a_range__as_two_nodes_give_them(setup: Setup) -> None:
    asked: Request = ("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0x5"}])

    async def work(pool: Pool) -> None:
        assert await pool.batch([asked]) == [[]]
        assert setup.asked() == [1, 1, 0]

    setup.run(work)
    setup.ways[0].drop = setup.ways[2].drop = True
    # As there is no other, the only one that answers is believed.
    assert setup.run(lambda pool: pool.batch([asked])) == [[]]


def test_batch__logs_of_a_range_and_all_are_slow__two_are_waited_for(setup: Setup) -> None:
    asked: Request = ("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0x5"}])
    for way in setup.ways[:2]:
        way.delay = 0.3

    async def work(pool: Pool) -> None:
        assert await pool.batch([asked]) == [[]]
        assert all(one.healthy for one in pool.describe())

    setup.run(work, count=2, slow=0.05)
    assert setup.asked() == [1, 1, 0]


@pytest.mark.parametrize("tag", ["latest", "finalized"])
def test_batch__block_by_a_name_again__not_taken_for_a_question_again(
    setup: Setup, tag: str
) -> None:
    async def work(pool: Pool) -> None:
        for _ in range(3):
            await pool.batch([("eth_getBlockByNumber", [tag, False])])

    if tag == "finalized":
        setup.ways[0].failing = frozenset({"eth_getBlockByNumber"})
    setup.run(work)
    assert setup.asked() == [3, 0, 0]


@pytest.mark.parametrize("quorum", [0, 4])
def test_pool__quorum_out_of_reach__refused(setup: Setup, quorum: int) -> None:
    with pytest.raises(ValueError, match=f"a quorum of {quorum} of 3 endpoints"):
        Pool(dict.fromkeys(NAMES, Web3Rpc(setup.ways[0].url)), quorum=quorum)


def test_of__urls_with_keys__named_by_their_hosts(setup: Setup) -> None:
    async def work() -> None:
        pool = Pool.of([setup.ways[0].url, setup.ways[1].url])
        assert [one.name for one in pool.describe()] == ["127.0.0.1", "127.0.0.1 (2)"]
        assert await pool.batch(CHAIN) == ["0x1", "1"]
        await pool.close()

    asyncio.run(work())
