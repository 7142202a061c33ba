# pragma version 0.4.3
"""
@title position_slot
@license GNU Affero General Public License v3.0 only
@notice The ONE storage word of a position, and the only code that reads or writes it.
@dev Bits of the word:
         255..144  collateral          collateral units
         143..40   scaled_debt         scaled asset units
          39..0    last_risk_increase  unix seconds
     A position without collateral is the zero word. Each position owns the mapping entry of its id and nothing else
     (ISO-1), so a call that stores one position cannot reach another.
"""

from . import errors


struct PositionSlot:
    collateral: uint256
    scaled_debt: uint256
    last_risk_increase: uint256


_MAX_COLLATERAL: constant(uint256) = 2**112 - 1
_MAX_SCALED_DEBT: constant(uint256) = 2**104 - 1
_MAX_TIME: constant(uint256) = 2**40 - 1

_words: HashMap[uint256, uint256]


@internal
@pure
def _unpack(word: uint256) -> PositionSlot:
    return PositionSlot(
        collateral=word >> 144,
        scaled_debt=(word >> 40) & _MAX_SCALED_DEBT,
        last_risk_increase=word & _MAX_TIME,
    )


@internal
@view
def _load_word(position_id: uint256) -> uint256:
    return self._words[position_id]


@internal
@view
def _load(position_id: uint256) -> PositionSlot:
    return self._unpack(self._words[position_id])


@internal
def _store(position_id: uint256, fields: PositionSlot) -> uint256:
    """
    @notice Writes the position and returns its word; a position without collateral is cleared.
    """
    word: uint256 = 0
    if fields.collateral != 0:
        # One branch for all three fields: what sticks out of any of them is not zero.
        if ((fields.collateral >> 112) | (fields.scaled_debt >> 104) | (fields.last_risk_increase >> 40)) != 0:
            errors._raise(errors.POSITION_EXCEEDS_ITS_WIDTH)
        word = (fields.collateral << 144) | (fields.scaled_debt << 40) | fields.last_risk_increase
    self._words[position_id] = word
    return word


@internal
def _add_collateral(position_id: uint256, amount: uint256) -> uint256:
    """
    @notice Adds to an open position and returns its word; debt and time are not even unpacked.
    """
    word: uint256 = self._words[position_id]
    collateral: uint256 = word >> 144
    if collateral == 0:
        errors._raise(errors.POSITION_IS_NOT_OPEN)
    # collateral is at most _MAX_COLLATERAL.
    if amount > unsafe_sub(_MAX_COLLATERAL, collateral):
        errors._raise(errors.POSITION_EXCEEDS_ITS_WIDTH)
    # The sum stays below 2**112: nothing carries out of the word.
    word = unsafe_add(word, amount << 144)
    self._words[position_id] = word
    return word
