# pragma version 0.4.3
"""
@title limits
@license GNU Affero General Public License v3.0 only
@notice The ONE storage word that curator and guardian may write, and the only code that reads or writes it.
@dev Bits of the word:
         247..144  supply_cap          asset units
         143..40   debt_cap            asset units
          39..0    paused_until        unix seconds
"""

from . import errors


struct Limits:
    supply_cap: uint256
    debt_cap: uint256
    paused_until: uint256


_MAX_CAP: constant(uint256) = 2**104 - 1
_MAX_TIME: constant(uint256) = 2**40 - 1

_word: uint256


@deploy
def __init__(supply_cap: uint256, debt_cap: uint256):
    self._store(Limits(supply_cap=supply_cap, debt_cap=debt_cap, paused_until=0))


@internal
@view
def _load() -> Limits:
    word: uint256 = self._word
    return Limits(supply_cap=word >> 144, debt_cap=(word >> 40) & _MAX_CAP, paused_until=word & _MAX_TIME)


@internal
def _store(fields: Limits):
    if ((fields.supply_cap >> 104) | (fields.debt_cap >> 104) | (fields.paused_until >> 40)) != 0:
        errors._raise(errors.LIMITS_EXCEED_THEIR_WIDTH)
    self._word = (fields.supply_cap << 144) | (fields.debt_cap << 40) | fields.paused_until


@internal
@view
def _is_paused(fields: Limits) -> bool:
    return block.timestamp < fields.paused_until


@internal
@view
def _check_not_paused(fields: Limits):
    if self._is_paused(fields):
        errors._raise(errors.NEW_RISK_IS_PAUSED)
