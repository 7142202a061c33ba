"""What is said of a keeper: each problem on and off, and the line that a person reads."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ringfence.keeper.engine import Sight, Tick
from ringfence.keeper.memory.store import Tip
from ringfence.keeper.watch.redact import redact, tidy
from ringfence.keeper.watch.status import (
    EndpointStatus,
    Limits,
    Status,
    VaultStatus,
    line,
    problems,
)

NOW = 1_800_000_000.0
A, B = b"\xaa" * 20, b"\xbb" * 20
LIMITS = Limits()
Change = Callable[[Status], object]


def healthy() -> Status:
    """A keeper of two vaults that has just ticked, at each limit and past none."""
    status = Status(1, NOW - 3_600, account="0xKeeper", gas_money=5 * 10**16, gas_floor=5 * 10**16)
    status.head(21_044_911, int(NOW) - 60, NOW - 60)
    status.indexed = 21_044_909
    status.tick_at, status.tick_seconds = NOW - 60, 0.2
    status.vaults = {
        A: VaultStatus("weth-usdc", positions=10_000, nearest=0.031),
        B: VaultStatus("wbtc-usdc", positions=412, nearest=0.2),
    }
    status.endpoints = [EndpointStatus("one", 21_044_911), EndpointStatus("two", 21_044_908)]
    status.lane.open, status.lane.oldest = 2, 10
    for _ in range(3):
        status.failed("plan", "no quote")
    status.leases_held = 2
    return status


def _set(**values: object) -> Change:
    return lambda status: [setattr(status, name, value) for name, value in values.items()]


def _vault(**values: object) -> Change:
    return lambda status: [setattr(status.vaults[A], name, value) for name, value in values.items()]


def _endpoint(index: int, **values: object) -> Change:
    return lambda status: [
        setattr(status.endpoints[index], name, value) for name, value in values.items()
    ]


def _none_healthy(status: Status) -> None:
    for one in status.endpoints:
        one.healthy, one.error = False, "no answer"


def _none_answers(status: Status) -> None:
    _none_healthy(status)
    status.answered = False


PROBLEMS: dict[str, tuple[Change, list[tuple[str, str]], str]] = {
    "head not seen": (
        _set(head_seen_at=NOW - 61),
        [("head", "critical")],
        "block 21,044,911 was the last one, seen 61 s ago (limit 60); see whether the node is in",
    ),
    "head old": (
        _set(head_timestamp=int(NOW) - 61),
        [("head", "critical")],
        "block 21,044,911 is 61 s old by its own time (limit 60); see whether",
    ),
    "no head since the start": (
        _set(head_number=None, head_timestamp=None, head_seen_at=None),
        [("head", "critical")],
        "no block was seen in the 3,600 s since the start (limit 60); see whether",
    ),
    "no tick": (
        _set(tick_at=NOW - 61),
        [("tick", "critical")],
        "no tick has ended for 61 s (limit 60); see the log",
    ),
    "no tick since the start": (
        _set(tick_at=None),
        [("tick", "critical")],
        "no tick has ended for 3,600 s (limit 60)",
    ),
    "index lags": (
        _set(indexed=21_044_908),
        [("index", "critical")],
        "the index is at block 21,044,908, 3 behind the head (limit 2); wait",
    ),
    "nothing indexed": (
        _set(indexed=None),
        [("index", "critical")],
        "nothing is indexed yet, the head is 21,044,911; wait",
    ),
    "gas money low": (
        _set(gas_money=49_999 * 10**12),
        [("gas", "critical")],
        "0xKeeper has 0.049999 ETH for gas (floor 0.05 ETH); send it some",
    ),
    "lane stuck": (
        lambda status: setattr(status.lane, "oldest", 11),
        [("lane", "critical")],
        "2 open, the oldest transaction for 11 blocks (limit 10); raise the fee limit",
    ),
    "lease database unreachable": (
        _set(lease_error="the leases' database postgresql://db failed"),
        [("leases", "critical")],
        "leases cannot be renewed: the leases' database postgresql://db failed; bring",
    ),
    "one endpoint down": (
        _endpoint(1, healthy=False, error="no answer"),
        [("endpoint:two", "warning")],
        "endpoint two is not used: no answer; it is tried again",
    ),
    "a request failed at each endpoint": (
        _none_healthy,
        [("endpoint:one", "warning"), ("endpoint:two", "warning")],
        "endpoint one is not used: no answer; it is tried again",
    ),
    "all endpoints down": (
        _none_answers,
        [("endpoints", "critical"), ("endpoint:one", "warning"), ("endpoint:two", "warning")],
        "none of 2 endpoints answers (at least 1): one: no answer; two: no answer; bring one",
    ),
    "endpoints disagree": (
        _endpoint(1, height=21_044_907),
        [("endpoints_disagree", "warning")],
        "4 blocks apart (limit 3): one at 21,044,911, two at 21,044,907; replace",
    ),
    "oracle down": (
        _vault(unpriced="its oracle 0x01 gives no price"),
        [("oracle:weth-usdc", "warning")],
        "vault weth-usdc: its oracle 0x01 gives no price; nothing in it is liquidated until",
    ),
    "vault unread": (
        _vault(unread="the lens does not say"),
        [("unread:weth-usdc", "warning")],
        "vault weth-usdc: the lens does not say; compare",
    ),
    "events lost": (
        _vault(lagging="5 of its debt is not in the store; delete it"),
        [("lagging:weth-usdc", "warning")],
        "vault weth-usdc: 5 of its debt is not in the store; delete it",
    ),
    "strangers' vaults": (
        _vault(watched=False, unpriced="none", unread="none"),
        [("other_vaults", "info")],
        "1 vault without a name cannot be judged, such as weth-usdc; name",
    ),
    "alerts not taken": (
        lambda status: setattr(status.alerts, "error", "ClientResponseError 500"),
        [("alerts", "info")],
        "the webhook does not take alerts: ClientResponseError 500, 0 dropped; look",
    ),
    "a step that fails": (
        lambda status: status.failed("plan", "no quote"),
        [("error:plan", "warning")],
        "plan failed 4 times in a row (limit 3): no quote; see the log",
    ),
}


def test_problems__at_every_limit__none() -> None:
    assert problems(healthy(), LIMITS, NOW) == ()


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems__past_one_limit__that_one(name: str) -> None:
    change, expected, words = PROBLEMS[name]
    status = healthy()
    change(status)
    found = problems(status, LIMITS, NOW)
    assert [(one.key, one.severity) for one in found] == expected
    assert words in found[0].words


def test_problems__just_started__none() -> None:
    assert problems(Status(1, NOW - 60), LIMITS, NOW) == ()


def test_problems__several__the_worst_first() -> None:
    status = healthy()
    for name in "strangers' vaults", "one endpoint down", "gas money low":
        PROBLEMS[name][0](status)
    found = problems(status, LIMITS, NOW)
    assert [one.severity for one in found] == ["critical", "warning", "info"]


def test_problems__a_hostile_answer__on_one_line_and_short() -> None:
    status = healthy()
    status.vaults[A].unread = "\x1b[2Jfine\n" + "no " * 10_000
    (found,) = problems(status, LIMITS, NOW)
    assert found.words.isprintable()
    assert len(found.words) == 500


def test_failed__worked__counts_anew() -> None:
    status = healthy()
    status.worked("plan")
    status.worked("never failed")
    status.failed("plan", "no quote from https://node/KEY")
    assert (status.errors["plan"].times, status.errors["plan"].words) == (
        1,
        "no quote from https://node/…",
    )


def test_head__the_same_again__is_no_new_one() -> None:
    status = healthy()
    status.head(21_044_911, int(NOW) - 60, NOW)
    status.head(21_044_910, int(NOW) - 72, NOW)
    assert status.head_seen_at == NOW - 60
    status.head(21_044_912, int(NOW), NOW)
    assert status.head_seen_at == NOW


def test_saw__a_tick__is_taken_over() -> None:
    status = healthy()
    tick = Tick(
        Tip(7, b"\x07" * 32, 84),
        {A: Sight(due=(1, 2), nearest=-0.1, lagging="lost"), B: Sight(unpriced="no price")},
    )
    status.saw(tick, {A: "weth-usdc"}, {A: 5, B: 3})
    assert (status.indexed, status.due) == (7, 2)
    assert status.vaults == {
        A: VaultStatus("weth-usdc", positions=5, nearest=-0.1, lagging="lost"),
        B: VaultStatus("0x" + "bb" * 20, watched=False, positions=3, unpriced="no price"),
    }


# The line


def test_line__nothing_due__says_the_nearest() -> None:
    status = healthy()
    status.indexed, status.lane.open = status.head_number, 0
    assert line(status) == (
        "block 21,044,911 · 2 vaults, 10,412 positions · nearest: 3.1 % away (weth-usdc) · "
        "nothing due"
    )


def test_line__everything_at_once__says_it() -> None:
    status = healthy()
    status.due, status.skipped = 3, {"do not pay": 2}
    status.vaults[A].nearest = -0.2
    status.vaults[B].unread = "no answer"
    assert line(status) == (
        "block 21,044,911 · indexed: block 21,044,909 · 2 vaults, 10,412 positions · "
        "nearest: 0.0 % away (weth-usdc) · 3 due (skipped: 2 do not pay) · 2 open · "
        "trouble in 1 vault"
    )


def test_line__before_the_first_block__says_so() -> None:
    assert line(Status(1, NOW)) == "waiting for the first block"


# What may be shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://eth.example/v2/KEY", "https://eth.example/…"),
        ("wss://KEY@eth.example:443", "wss://eth.example:443"),
        ("(https://eth.example/?key=KEY), then", "(https://eth.example/…), then"),
        ("postgresql+psycopg://u:KEY@db:5432/x", "postgresql+psycopg://db:5432/…"),
        ("postgresql://u:KE@Y@db/x", "postgresql://db/…"),
        ("postgresql://u:KEY/KEY@db/x", "postgresql://…"),
        ("postgresql://u:KEY#KEY@db", "postgresql://…"),
        ("postgresql:///x?user=u&password=KEY", "postgresql:///…"),
        ("host=db password=KEY", "host=db password=…"),
        ("{'password': 'KEY KEY'}", "{'password': …}"),
        ("api_key: KEY", "api_key: …"),
        ("Authorization: Bearer KEYKEYKEY", "Authorization: Bearer …"),
        ("block 7 of vault weth-usdc: 3.1 %", "block 7 of vault weth-usdc: 3.1 %"),
    ],
)
def test_redact__secret__is_not_shown(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_tidy__cut_within_a_url__shows_no_secret() -> None:
    assert "K" not in tidy("x" * 280 + " https://node.example/" + "K" * 100)


def test_tidy__a_password_where_it_cuts__is_left_out() -> None:
    long = "word " * 20 + "postgresql://keeper:" + "K" * 1_000 + "@db"
    assert tidy(long, 100) == "word " * 19 + "word"
    assert tidy("postgresql://keeper:" + "K" * 1_000 + "@db", 100) == "postgresql"


@pytest.mark.parametrize(
    "part",
    ["x", "://", "a://", "x:/", "password='", "password ", "bearer ", ")", "a://)", " ", "@"],
)
def test_redact__a_megabyte_of_anything__is_quick(part: str) -> None:
    start = time.process_time()
    redact(part * (1_000_000 // len(part)) + "\0")
    # Quadratic time would be a matter of hours.
    assert time.process_time() - start < 5
