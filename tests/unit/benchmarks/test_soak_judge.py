"""The soak's judge: what is an episode, what is a miss, and what was liquidated twice."""

from __future__ import annotations

from benchmarks.keeper.judge import PATIENCE, Key, Seen, episodes, summary, twice

VAULT, KEEPER, RIVAL = "0xvault", "0xkeeper", "0xrival"
KEY: Key = (VAULT, 1)


def seen(
    number: int, *, due: bool = True, taker: str = "", priced: bool = True, fault: str = "",
    pays: bool = True,
) -> Seen:  # fmt: skip
    return Seen(
        number,
        frozenset([KEY] if due else []),
        frozenset([VAULT] if priced else []),
        [(KEY, taker)] if taker else [],
        frozenset([fault] if fault else []),
        {KEY} if due and pays else set(),
    )


def left_alone(blocks: int) -> list[Seen]:
    """A position that becomes due in block 0, and is so for as many blocks more."""
    return [seen(number) for number in range(blocks + 1)]


def test_episodes__liquidated__ends_with_who_and_when() -> None:
    for taker in (KEEPER, RIVAL):
        [one] = episodes([seen(1, due=False), seen(2), seen(3), seen(4, due=False, taker=taker)])
        assert (one.start, one.end, one.how, one.missed) == (2, 4, taker, False)


def test_episodes__due_and_liquidated_in_one_block__of_no_length() -> None:
    [one] = episodes([seen(1, due=False), seen(2, due=False, taker=RIVAL)])
    assert (one.start, one.end, one.how) == (2, 2, RIVAL)


def test_episodes__healthy_again_or_without_a_price__ends_so() -> None:
    [healed] = episodes([seen(1), seen(2, due=False)])
    [unpriced] = episodes([seen(1), seen(2, due=False, priced=False)])
    assert (healed.how, unpriced.how) == ("healed", "unpriced")


def test_episodes__still_due_after_a_liquidation__another_begins() -> None:
    first, second = episodes([seen(1), seen(2, taker=KEEPER), seen(3)])
    assert (first.end, first.how) == (2, KEEPER)
    assert (second.start, second.end, second.how) == (2, None, "open")


def test_episodes__left_alone_longer_than_patience__missed() -> None:
    [patient] = episodes(left_alone(PATIENCE))
    [missed] = episodes(left_alone(PATIENCE + 1))
    assert (patient.missed, missed.missed) == (False, True)
    assert summary([patient, missed], KEEPER)["missed"] == 1


def test_episodes__taken_after_it_was_missed__missed_all_the_same() -> None:
    blocks = [*left_alone(PATIENCE + 1), seen(PATIENCE + 2, due=False, taker=KEEPER)]
    assert [one.missed for one in episodes(blocks)] == [True]


def test_episodes__fault_or_nothing_to_earn_in_between__counts_anew() -> None:
    for change in ({"fault": "killed"}, {"pays": False}):
        blocks = left_alone(2 * PATIENCE + 1)
        blocks[PATIENCE + 1] = seen(PATIENCE + 1, **change)
        assert [one.missed for one in episodes(blocks)] == [False]


def test_twice__without_having_been_well__told() -> None:
    again = [seen(1), seen(2, taker=KEEPER), seen(3, due=False, taker=KEEPER)]
    assert twice(again, KEEPER) == [KEY]


def test_twice__healthy_or_a_rivals_in_between__not_told() -> None:
    well = [seen(1), seen(2, due=False, taker=KEEPER), seen(3), seen(4, due=False, taker=KEEPER)]
    assert twice(well, KEEPER) == []
    shared = [seen(1, taker=KEEPER), seen(2, taker=RIVAL), seen(3, taker=KEEPER)]
    assert twice(shared, KEEPER) == []


def test_summary__waits__of_the_keepers_alone() -> None:
    blocks = [seen(1), seen(2), seen(3, due=False, taker=KEEPER), seen(4, due=False, taker=RIVAL)]
    told = summary(episodes(blocks), KEEPER)
    assert told["ends"] == {"keeper": 1, "rival": 1}
    assert told["blocks_to_liquidation"] == {"median": 2, "p95": 2, "worst": 2}
