"""Draws of what no honest party does: calldata that decodes to nothing, neighbours that lie."""

from __future__ import annotations

from dataclasses import replace

from tests.support.model.actions import Action
from tests.support.model.draws_edges import EdgeDraws
from tests.support.model.draws_lenders import LenderDraws
from tests.support.model.hostile import (
    ODDITIES,
    REENTERED,
    STARVED,
    entries,
    garbled_arguments,
)

_TRIES = 20


class HostileDraws(EdgeDraws, LenderDraws):
    """Calls that the vault must refuse, and calls amid neighbours that fail."""

    def _garble(self) -> Action:
        """Calldata that is too wide, too short or for nobody, or sent with a wei."""
        name, words, _narrow, _long = self.rng.choice(entries())
        honest = name + bytes(32 * words)
        data, value = self.rng.choice(
            (
                *[(self.rng.choice(garbled_arguments()), 0)] * 4,
                (honest[:-1], 0),
                (honest, 1),
                (self.rng.randbytes(4) + honest[4:], 0),
            )
        )
        return Action("garble", self.cast.stranger, (data, value))

    def _odd(self) -> Action:
        """A call that would succeed, were it not for one neighbour."""
        odd = self.rng.choice(ODDITIES)
        poke = Action("accrue", self.cast.stranger, (), odd=odd)
        if odd == STARVED:
            return poke
        if odd == REENTERED:
            self.queue.append(lambda: poke)
            return Action("warp", 0, (1,))
        draws = {
            "wallet": (self._set_operator_with_signature,),
            "contract_trader": (self._adjust, self._liquidate),
        }.get(odd[0], (self._adjust, self._liquidate, self._deposit, self._withdraw, self._repay))
        for _ in range(_TRIES):
            action = self.rng.choice(draws)()
            refused = self.twin.run_on(self.twin.copy(), action)[1]
            if refused is None and self._meets(action, odd[0]):
                break
        return replace(action, odd=odd)

    def _meets(self, action: Action, neighbour: str) -> bool:
        """Whether the call has to do with the neighbour; with tokens, most have."""
        if neighbour == "wallet":
            return action.args[0] == self.cast.wallet
        if neighbour == "contract_trader":
            return action.caller == self.cast.contract_trader and bool(action.args[-1])
        return True
