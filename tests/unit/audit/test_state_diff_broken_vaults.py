"""Vaults broken on purpose write a word too many: the session's own check reports each of them.

The same calls on the real vault pass, so that what is reported is the break and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import pytest

from ringfence.evm import Engine, Receipt
from ringfence.evm.anvil import AnvilEngine, launch
from tests.support import node_sweep, state_diff
from tests.support.broken import Break, load_broken
from tests.support.market import (
    CASH,
    KEEPER,
    LENDER,
    OPERATOR,
    STRANGER,
    TRADER,
    WETH,
    Market,
    deploy_market,
)
from tests.support.state_diff import StateDiffError, Watch


def _after(file: str, line: str, more: str) -> Break:
    """Let a line of a module be followed by one more."""
    indent = line[: len(line) - len(line.lstrip())]
    return Break(file, line + "\n", f"{line}\n{indent}{more}\n")


@dataclass(frozen=True, slots=True)
class Case:
    """A break, a call that meets it, and how the report of it begins."""

    change: Break
    call: Callable[[Market, int], Receipt]
    report: str


def _top_up(market: Market, position: int) -> Receipt:
    return market.vault.top_up(position, WETH, sender=TRADER)


def _transfer(market: Market, _position: int) -> Receipt:
    return market.vault.transfer(KEEPER, 5, sender=LENDER)


def _approve(market: Market, _position: int) -> Receipt:
    return market.vault.approve(KEEPER, 5, sender=LENDER)


def _set_operator(market: Market, _position: int) -> Receipt:
    return market.vault.set_operator(OPERATOR, 1, 0, sender=TRADER)


def _withdraw_of_another(market: Market, position: int) -> Receipt:
    # Without `check`: the real vault refuses, and a refused call is a transaction too.
    return market.vault.adjust.transact(
        position, -WETH, 0, STRANGER, b"", sender=STRANGER, check=False
    )


CASES = MappingProxyType(
    {
        "position": Case(
            _after(
                "modules/position_slot.vy",
                "    word = unsafe_add(word, amount << 144)",
                "self._words[unsafe_add(position_id, 1)] = 7",
            ),
            _top_up,
            "ISO-1: top_up may not write",
        ),
        "lender's shares": Case(
            _after(
                "modules/lender_shares.vy",
                "    self.balanceOf[owner] = unsafe_sub(balance, amount)",
                "self.balanceOf[self] = 5",
            ),
            _transfer,
            "ISO-1: transfer may not write",
        ),
        "lender's allowance": Case(
            _after(
                "modules/lender_shares.vy",
                "    self.allowance[owner][spender] = amount",
                "self.allowance[spender][owner] = 3",
            ),
            _approve,
            "ISO-1: approve may not write",
        ),
        "operator": Case(
            Break(
                "modules/operators.vy",
                "    self._words[owner][operator] = (max_loss_bps",
                "    self._words[operator][owner] = 1\n"
                "    self._words[owner][operator] = (max_loss_bps",
            ),
            _set_operator,
            "ISO-1: set_operator may not write",
        ),
        "balance sheet": Case(
            _after(
                "MarginVault.vy",
                "    word: uint256 = position_slot._add_collateral(position_id, amount)",
                "balance_sheet._word_1 = unsafe_add(balance_sheet._word_1, 1 << 40)",
            ),
            _top_up,
            "ISO-1: top_up may not write balance_sheet._word_1",
        ),
        "position, by who may not": Case(
            Break("modules/operators.vy", "    if msg.sender == owner:\n", "    if True:\n"),
            _withdraw_of_another,
            "ISO-4: adjust may not move",
        ),
    }
)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A watch of the test's own: what it reports is no fault of the session."""
    mine = Watch()
    monkeypatch.setattr(state_diff, "WATCH", mine)
    return mine


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnvilEngine]:
    """A node on which an engine sends like anybody else: nothing tells of it but the node."""
    for name in ("send", "_mine"):
        monkeypatch.setattr(AnvilEngine, name, getattr(AnvilEngine, name).__wrapped__)
    with launch() as engine:
        yield engine


def _sweep(engine: AnvilEngine) -> None:
    next(one for one in node_sweep.NODES.values() if one.rpc.url == engine.url).sweep()


def _stand(market: Market) -> int:
    """Lend and open a position that can be topped up; return its id."""
    market.deposit(CASH)
    position = market.open(WETH)
    market.give(market.collateral, TRADER, WETH)
    return position


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.engines("in process", "anvil")
def test_see__vault_that_writes_too_much__fails_the_test(
    engine: Engine, watch: Watch, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    case = CASES[kind]
    market = deploy_market(engine, artifact=load_broken("MarginVault", case.change))
    position = _stand(market)
    code = engine.code_at(market.vault)
    monkeypatch.setattr(state_diff, "is_vault", lambda other: other == code)
    with pytest.raises(StateDiffError, match=f"^{case.report}"):
        case.call(market, position)
    assert len(watch.violations) == 1, f"{case.report[:5]}: the session would not know"


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.engines("in process", "anvil")
def test_see__real_vault__passes(engine: Engine, watch: Watch, kind: str) -> None:
    market = deploy_market(engine)
    position = _stand(market)
    seen = watch.transactions
    CASES[kind].call(market, position)
    assert watch.transactions == seen + 1, "the call was not seen"
    assert watch.violations == [], f"ISO-1: the real vault is reported: {watch.violations}"


@pytest.mark.parametrize("kind", CASES)
def test_sweep__vault_that_writes_too_much__fails_the_test(
    node: AnvilEngine,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    case = CASES[kind]
    market = deploy_market(node, artifact=load_broken("MarginVault", case.change))
    code = node.code_at(market.vault)
    monkeypatch.setattr(state_diff, "is_vault", lambda other: other == code)
    position = _stand(market)
    _sweep(node)
    case.call(market, position)
    with pytest.raises(StateDiffError, match=f"^{case.report}"):
        _sweep(node)
    assert len(watch.violations) == 1, f"{case.report[:5]}: the session would not know"


@pytest.mark.parametrize("kind", CASES)
def test_sweep__real_vault__passes(node: AnvilEngine, watch: Watch, kind: str) -> None:
    market = deploy_market(node)
    position = _stand(market)
    _sweep(node)
    seen = watch.swept
    CASES[kind].call(market, position)
    _sweep(node)
    assert watch.swept == seen + 1, "the call was not seen"
    assert watch.violations == [], f"ISO-1: the real vault is reported: {watch.violations}"
