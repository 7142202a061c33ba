# pragma version 0.4.3
"""
@title errors
@license GNU Affero General Public License v3.0 only
@notice Every reason for which a vault reverts, the one place that reverts with it, and the facts that are checked in
        several places.
@dev A literal `assert ..., "reason"` costs about 110 bytes of code a piece, a call that hands on a word 40: that is
     what keeps the vault within its size. Each word is the text beside it, left-aligned.
"""

LTV_IS_ABOVE_INITIAL: constant(bytes32) = 0x4c54562069732061626f766520696e697469616c204c54560000000000000000  # LTV is above initial LTV
AMOUNT_EXCEEDS_ITS_WIDTH: constant(bytes32) = 0x616d6f756e742065786365656473206974732077696474680000000000000000  # amount exceeds its width
AMOUNT_EXCEEDS_THE_EXCESS: constant(bytes32) = 0x616d6f756e742065786365656473207468652065786365737300000000000000  # amount exceeds the excess
AMOUNT_IS_ZERO: constant(bytes32) = 0x616d6f756e74206973207a65726f000000000000000000000000000000000000  # amount is zero
ANNOUNCEMENT_HAS_EXPIRED: constant(bytes32) = 0x616e6e6f756e63656d656e742068617320657870697265640000000000000000  # announcement has expired
BOOKS_EXCEED_THEIR_WIDTH: constant(bytes32) = 0x626f6f6b73206578636565642074686569722077696474680000000000000000  # books exceed their width
CALLER_IS_NOT_PENDING_CURATOR: constant(bytes32) = 0x63616c6c6572206973206e6f742070656e64696e672063757261746f72000000  # caller is not pending curator
CALLER_IS_NOT_THE_CURATOR: constant(bytes32) = 0x63616c6c6572206973206e6f74207468652063757261746f7200000000000000  # caller is not the curator
CALLER_IS_NOT_THE_GUARDIAN: constant(bytes32) = 0x63616c6c6572206973206e6f742074686520677561726469616e000000000000  # caller is not the guardian
CALLER_LACKS_PERMISSION: constant(bytes32) = 0x63616c6c6572206c61636b73207065726d697373696f6e000000000000000000  # caller lacks permission
COLLECTION_IS_TOO_EARLY: constant(bytes32) = 0x636f6c6c656374696f6e20697320746f6f206561726c79000000000000000000  # collection is too early
DEBT_CAP_IS_FULL: constant(bytes32) = 0x64656274206361702069732066756c6c00000000000000000000000000000000  # debt cap is full
DEBT_IS_BELOW_MIN_DEBT: constant(bytes32) = 0x646562742069732062656c6f77206d696e5f6465627400000000000000000000  # debt is below min_debt
GUARDIAN_MAY_ONLY_LOWER_CAPS: constant(bytes32) = 0x677561726469616e206d6179206f6e6c79206c6f776572206361707300000000  # guardian may only lower caps
LAST_PAUSE_IS_RECENT: constant(bytes32) = 0x6c61737420706175736520656e646564203c203720646179732061676f000000  # last pause ended < 7 days ago
LIMITS_EXCEED_THEIR_WIDTH: constant(bytes32) = 0x6c696d6974732065786365656420746865697220776964746800000000000000  # limits exceed their width
LOSS_BOUND_IS_TOO_WIDE: constant(bytes32) = 0x6c6f737320626f756e6420657863656564732031303030302062707300000000  # loss bound exceeds 10000 bps
NEW_RISK_IS_PAUSED: constant(bytes32) = 0x6e6577207269736b206973207061757365640000000000000000000000000000  # new risk is paused
NOT_ENOUGH_ALLOWANCE: constant(bytes32) = 0x6e6f7420656e6f75676820616c6c6f77616e6365000000000000000000000000  # not enough allowance
NOT_ENOUGH_CASH: constant(bytes32) = 0x6e6f7420656e6f75676820636173680000000000000000000000000000000000  # not enough cash
NOT_ENOUGH_COLLATERAL: constant(bytes32) = 0x6e6f7420656e6f75676820636f6c6c61746572616c0000000000000000000000  # not enough collateral
NOT_ENOUGH_GAS: constant(bytes32) = 0x6e6f7420656e6f75676820676173000000000000000000000000000000000000  # not enough gas
NOT_ENOUGH_SHARES: constant(bytes32) = 0x6e6f7420656e6f75676820736861726573000000000000000000000000000000  # not enough shares
ONLY_THE_WHOLE: constant(bytes32) = 0x6f6e6c79207468652077686f6c652063616e206265206c697175696461746564  # only the whole can be liquidated
OPERATOR_LOSS_BOUND_EXCEEDED: constant(bytes32) = 0x6f70657261746f72206c6f737320626f756e6420657863656564656400000000  # operator loss bound exceeded
PAUSE_IS_TOO_LONG: constant(bytes32) = 0x7061757365206d75737420656e642077697468696e2037206461797300000000  # pause must end within 7 days
POSITION_EXCEEDS_ITS_WIDTH: constant(bytes32) = 0x706f736974696f6e206578636565647320697473207769647468000000000000  # position exceeds its width
POSITION_IS_HEALTHY: constant(bytes32) = 0x706f736974696f6e206973206865616c74687900000000000000000000000000  # position is healthy
POSITION_IS_NOT_OPEN: constant(bytes32) = 0x706f736974696f6e206973206e6f74206f70656e000000000000000000000000  # position is not open
PRICE_IS_UNUSABLE: constant(bytes32) = 0x707269636520697320756e757361626c65000000000000000000000000000000  # price is unusable
RECEIVER_IS_ZERO: constant(bytes32) = 0x7265636569766572206973207a65726f00000000000000000000000000000000  # receiver is zero
RISK_ROSE_IN_THIS_BLOCK: constant(bytes32) = 0x7269736b20726f736520696e207468697320626c6f636b000000000000000000  # risk rose in this block
SEIZED_IS_BELOW_MIN_SEIZED: constant(bytes32) = 0x7365697a65642069732062656c6f77206d696e5f7365697a6564000000000000  # seized is below min_seized
SIGNATURE_HAS_EXPIRED: constant(bytes32) = 0x7369676e61747572652068617320657870697265640000000000000000000000  # signature has expired
SIGNATURE_IS_INVALID: constant(bytes32) = 0x7369676e617475726520697320696e76616c6964000000000000000000000000  # signature is invalid
SUPPLY_CAP_IS_FULL: constant(bytes32) = 0x737570706c79206361702069732066756c6c0000000000000000000000000000  # supply cap is full
SUPPLY_INDEX_IS_TOO_LOW: constant(bytes32) = 0x737570706c7920696e64657820697320746f6f206c6f77000000000000000000  # supply index is too low
TRANSFER_FAILED: constant(bytes32) = 0x7472616e73666572206661696c65640000000000000000000000000000000000  # transfer failed
VAULT_IS_FULL: constant(bytes32) = 0x7661756c742069732066756c6c00000000000000000000000000000000000000  # vault is full


@internal
@pure
def _raise(reason: bytes32):
    """
    @notice Reverts with `Error(string)`, the zeros behind the text left out.
    """
    length: uint256 = 32
    for i: uint256 in range(32):
        if convert(reason, uint256) << (8 * i) == 0:
            length = i
            break
    offset: uint256 = 32
    raw_revert(abi_encode(offset, length, reason, method_id=method_id("Error(string)")))


@internal
@pure
def _check_not_zero(amount: uint256):
    if amount == 0:
        self._raise(AMOUNT_IS_ZERO)


@internal
@pure
def _check_width(amount: uint256):
    """
    @notice No payment of this market reaches 2**113; beyond, sums and products would leave 256 bits.
    """
    if amount >> 113 != 0:
        self._raise(AMOUNT_EXCEEDS_ITS_WIDTH)


@internal
@pure
def _check_amount(amount: uint256):
    self._check_not_zero(amount)
    self._check_width(amount)


@internal
@pure
def _check_cash(amount: uint256, cash: uint256):
    if amount > cash:
        self._raise(NOT_ENOUGH_CASH)


@internal
@pure
def _check_shares(shares: uint256, balance: uint256):
    if shares > balance:
        self._raise(NOT_ENOUGH_SHARES)


@internal
@pure
def _check_receiver(receiver: address):
    if receiver == empty(address):
        self._raise(RECEIVER_IS_ZERO)


@internal
@pure
def _check_price(price: uint256):
    if price == 0:
        self._raise(PRICE_IS_UNUSABLE)
