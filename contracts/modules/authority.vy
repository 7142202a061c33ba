# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title authority
@license GNU Affero General Public License v3.0 only
@notice Curator and guardian: caps, an expiring pause of new risk, the reserve's excess, the hand-over. Nothing else can
        be changed, by anyone, and none of it stops an exit or reaches a position (AUTH-2).
"""

from ..interfaces import IMarginVault
from . import accrual
from . import balance_sheet
from . import errors
from . import fixed_point
from . import limits
from . import tokens

uses: accrual
uses: limits
uses: tokens


MAX_PAUSE: constant(uint256) = 7 * 86_400
COLLECTION_DELAY: constant(uint256) = 3 * 86_400
COLLECTION_EXPIRY: constant(uint256) = 10 * 86_400

RESERVE_TARGET: immutable(uint256)

curator: public(address)
guardian: public(address)
pending_curator: public(address)
_pending_amount: uint256
_announced_at: uint256


@deploy
def __init__(reserve_target: uint256, curator: address, guardian: address):
    RESERVE_TARGET = reserve_target
    self.curator = curator
    self.guardian = guardian
    log IMarginVault.CuratorTransferred(curator=curator)
    log IMarginVault.GuardianSet(guardian=guardian)


@external
def set_caps(supply_cap: uint256, debt_cap: uint256):
    fields: limits.Limits = limits._load()
    if msg.sender != self.curator:
        self._check_guardian()
        if supply_cap > fields.supply_cap or debt_cap > fields.debt_cap:
            errors._raise(errors.GUARDIAN_MAY_ONLY_LOWER_CAPS)
    fields.supply_cap = supply_cap
    fields.debt_cap = debt_cap
    limits._store(fields)
    log IMarginVault.CapsSet(supply_cap=supply_cap, debt_cap=debt_cap)


@external
def pause_new_risk(until: uint256):
    # block.timestamp fits 40 bits, see balance_sheet.
    if until < block.timestamp or until > unsafe_add(block.timestamp, MAX_PAUSE):
        errors._raise(errors.PAUSE_IS_TOO_LONG)
    fields: limits.Limits = limits._load()
    if msg.sender != self.curator:
        self._check_guardian()
        if block.timestamp < unsafe_add(fields.paused_until, MAX_PAUSE):
            errors._raise(errors.LAST_PAUSE_IS_RECENT)
    fields.paused_until = until
    limits._store(fields)
    log IMarginVault.NewRiskPaused(until=until)


@external
def set_guardian(guardian: address):
    self._check_curator()
    self.guardian = guardian
    log IMarginVault.GuardianSet(guardian=guardian)


@external
def transfer_curator(new_curator: address):
    self._check_curator()
    self.pending_curator = new_curator
    log IMarginVault.CuratorTransferStarted(new_curator=new_curator)


@external
def accept_curator():
    if msg.sender != self.pending_curator:
        errors._raise(errors.CALLER_IS_NOT_PENDING_CURATOR)
    self.curator = msg.sender
    self.pending_curator = empty(address)
    log IMarginVault.CuratorTransferred(curator=msg.sender)


@external
def announce_reserve_collection(amount: uint256):
    self._check_curator()
    errors._check_not_zero(amount)
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    self._check_excess(amount, sheet)
    self._pending_amount = amount
    self._announced_at = block.timestamp
    log IMarginVault.ReserveCollectionAnnounced(
        amount=amount, executable_at=unsafe_add(block.timestamp, COLLECTION_DELAY)
    )


@external
def collect_reserve(receiver: address):
    self._check_curator()
    amount: uint256 = self._pending_amount
    # Nothing announced counts as announced at 0, long expired.
    elapsed: uint256 = unsafe_sub(block.timestamp, self._announced_at)
    if elapsed < COLLECTION_DELAY:
        errors._raise(errors.COLLECTION_IS_TOO_EARLY)
    if elapsed > COLLECTION_EXPIRY:
        errors._raise(errors.ANNOUNCEMENT_HAS_EXPIRED)
    sheet: IMarginVault.BalanceSheet = accrual._accrue()
    self._check_excess(amount, sheet)
    errors._check_cash(amount, sheet.cash)
    sheet.cash = unsafe_sub(sheet.cash, amount)
    accrual._store(sheet)
    self._announced_at = 0
    tokens._push(tokens.ASSET, receiver, amount)
    log IMarginVault.ReserveCollected(receiver=receiver, amount=amount)


@external
@view
def pending_collection() -> (uint256, uint256):
    return self._pending_amount, self._announced_at


@internal
@view
def _check_curator():
    if msg.sender != self.curator:
        errors._raise(errors.CALLER_IS_NOT_THE_CURATOR)


@internal
@view
def _check_guardian():
    if msg.sender != self.guardian:
        errors._raise(errors.CALLER_IS_NOT_THE_GUARDIAN)


@internal
@view
def _check_excess(amount: uint256, sheet: IMarginVault.BalanceSheet):
    """
    @notice At most the reserve above `reserve_target * total_debt`, asset units.
    """
    reserve: uint256 = balance_sheet._reserve_down(sheet)
    kept: uint256 = unsafe_div(
        # Below 2**131 * 2**60.
        unsafe_add(unsafe_mul(balance_sheet._total_debt_up(sheet), RESERVE_TARGET), fixed_point.WAD_UP),
        fixed_point.WAD,
    )
    if kept > reserve or amount > unsafe_sub(reserve, kept):
        errors._raise(errors.AMOUNT_EXCEEDS_THE_EXCESS)
