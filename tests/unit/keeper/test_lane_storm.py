"""The lane in a storm: whatever may happen, drawn by a seed; at the end each target once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from ringfence.evm.anvil import launch
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.act.bid import Bid, Fees
from tests.support.lanes import BASE, GWEI, VAULT, Stand, bid, failing, is_sending, stand_on


class KilledError(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class Storm:
    """Acts on a lane; `ids` are the positions that have been due so far.

    Either blocks are taken back or others use the key. With both, somebody's transaction can be
    taken back, and then nothing but a call that is sent already can fill its nonce.
    """

    stand: Stand
    random: Random
    reorganised: bool
    ids: list[int] = field(default_factory=list)

    def wanted(self) -> list[Bid]:
        """What a planner would say: singles and pairs of what is not liquidated on the chain."""
        done = {number for _vault, number in self.stand.liquidated()}
        left = [one for one in self.ids if one not in done]
        self.random.shuffle(left)
        bids = []
        while left:
            some, left = left[: (size := self.random.choice((1, 1, 2)))], left[size:]
            bids.append(bid(*some))
        return bids

    def act(self) -> None:
        acts = {
            self.step: 6,
            self.due: 4,
            self.mine: 3,
            self.mine_full: 3,
            self.forget: 2,
            (self.reorg if self.reorganised else self.foreign): 2,
            self.die: 3,
            self.time_out: 2,
            self.refuse: 1,
            self.spike: 1,
        }
        self.random.choices([*acts], [*acts.values()])[0]()

    def due(self) -> None:
        self.ids.append(len(self.ids) + 1)

    def step(self) -> None:
        assert self.stand.step(*self.wanted()).problems == []

    def mine(self) -> None:
        self.stand.mine()

    def mine_full(self) -> None:
        self.stand.mine_full()

    def forget(self) -> None:
        ours = {row.hash for row in self.stand.ledger.rows(0)}
        pool = [one for one in self.stand.pooled() if bytes.fromhex(one["hash"][2:]) in ours]
        if pool:
            self.stand.rpc.call("anvil_dropTransaction", self.random.choice(pool)["hash"])

    def reorg(self) -> None:
        if self.stand.head().number > 3:
            self.stand.rpc.call("anvil_reorg", self.random.choice((1, 2)), [])
            # It takes over the limit of the blocks that it takes away.
            self.stand.open_blocks()

    def foreign(self) -> None:
        """The next nonce, or one that is ours at a price that replaces it."""
        mined = len(self.stand.mined())
        nonce = mined + self.random.choice((0, len(self.stand.pooled())))
        # One that it has already, or that is outbid, changes nothing.
        with suppress(RpcError):
            self.stand.send_foreign(nonce, 300 * GWEI, 50 * GWEI)

    def die(self) -> None:
        """At a request, before or after the node has it."""
        left = self.random.randint(1, 4)

        def tick(_requests: list[Request]) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KilledError

        if self.random.random() < 0.5:
            self.stand.door.hook = tick
        else:
            self.stand.door.after = tick
        with suppress(KilledError):
            self.stand.step(*self.wanted())
        self.stand.restart()

    def time_out(self) -> None:
        """Some sendings are lost, and some only seem to be."""

        def hook(requests: list[Request]) -> list[Json] | None:
            if not is_sending(requests) or self.random.random() < 0.3:
                return None
            if self.random.random() < 0.5:
                self.stand.rpc.batch(requests)
            return [RpcError(method, "no answer: TimeoutError", None) for method, _ in requests]

        self._hooked(hook)

    def refuse(self) -> None:
        self._hooked(failing("insufficient funds for gas"))

    def spike(self) -> None:
        """Gas that nothing is worth, for a block."""
        self.stand.step(*self.wanted(), fees=Fees(20_000 * GWEI, GWEI))

    def _hooked(self, hook: object) -> None:
        self.stand.door.hook = hook  # type: ignore[assignment]
        self.step()
        self.stand.door.hook = None

    def calm(self) -> None:
        """Steps and blocks until everything is done."""
        for _ in range(30):
            report = self.stand.step(*self.wanted(), fees=Fees(BASE, 2 * GWEI))
            assert report.problems == []
            if not self.wanted() and not report.waiting:
                return
            self.stand.mine()
        pytest.fail(f"it never ends: {report}")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with launch() as engine, stand_on(engine, f"sqlite:///{tmp_path / 'lane.db'}") as made:
        yield made


@pytest.mark.parametrize("reorganised", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_step__whatever_happens__each_target_once_and_the_ledger_as_the_chain(
    stand: Stand, seed: int, reorganised: bool
) -> None:
    storm = Storm(stand, Random(seed), reorganised)
    for _ in range(60):
        storm.act()
    storm.calm()
    assert sorted(stand.liquidated()) == [(VAULT, number) for number in sorted(storm.ids)]
    rows = {row.hash: row for row in stand.ledger.rows(-1)}
    mined = [sent for _nonce, sent in stand.mined()]
    assert {sent for sent, row in rows.items() if row.state == "mined"} == {*mined} & {*rows}
    assert [nonce for nonce, _hash in stand.mined()] == list(range(len(mined)))
