# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Plain ERC-20
@license GNU Affero General Public License v3.0 only
@notice The books of an ordinary ERC-20 token, shared by the token doubles so that each of them shows its trick only.
@dev Transfers are as cheap as the plainest tokens in use. Anybody may mint: for tests and demonstrations only.
"""

from ethereum.ercs import IERC20


name: public(immutable(String[32]))
symbol: public(immutable(String[16]))
decimals: public(immutable(uint8))

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
totalSupply: public(uint256)


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token.
    """
    name = token_name
    symbol = token_symbol
    decimals = token_decimals


@external
def mint(receiver: address, amount: uint256):
    """
    @notice Create tokens out of nothing, for anybody.
    @param receiver Account that gets them.
    @param amount Amount created, token units.
    """
    self._mint(receiver, amount)


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let an account spend the caller's tokens.
    @param spender Account that may spend.
    @param amount Amount it may spend, token units; the maximum never runs down.
    @return Always true.
    """
    self._approve(msg.sender, spender, amount)
    return True


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Send the caller's tokens.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(owner: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Send tokens that the owner lets the caller spend.
    @param owner Account that pays.
    @param receiver Account that gets them.
    @param amount Amount sent, token units.
    @return Always true.
    """
    self._spend_allowance(owner, amount)
    self._move(owner, receiver, amount)
    return True


@internal
def _mint(receiver: address, amount: uint256):
    self.totalSupply += amount
    # The sum of all balances is the supply, which the line above keeps within 256 bits.
    self.balanceOf[receiver] = unsafe_add(self.balanceOf[receiver], amount)
    log IERC20.Transfer(sender=empty(address), receiver=receiver, value=amount)


@internal
def _burn(owner: address, amount: uint256):
    self._take(owner, amount)
    # No balance exceeds the supply.
    self.totalSupply = unsafe_sub(self.totalSupply, amount)
    log IERC20.Transfer(sender=owner, receiver=empty(address), value=amount)


@internal
def _approve(owner: address, spender: address, amount: uint256):
    self.allowance[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)


@internal
def _spend_allowance(owner: address, amount: uint256):
    allowed: uint256 = self.allowance[owner][msg.sender]
    if allowed != max_value(uint256):
        assert allowed >= amount, "allowance too low"
        # The line above bounds the difference.
        self.allowance[owner][msg.sender] = unsafe_sub(allowed, amount)


@internal
def _move(owner: address, receiver: address, amount: uint256):
    self._take(owner, amount)
    # The sum of all balances is the supply, which fits 256 bits.
    self.balanceOf[receiver] = unsafe_add(self.balanceOf[receiver], amount)
    log IERC20.Transfer(sender=owner, receiver=receiver, value=amount)


@internal
def _take(owner: address, amount: uint256):
    balance: uint256 = self.balanceOf[owner]
    assert balance >= amount, "balance too low"
    # The line above bounds the difference.
    self.balanceOf[owner] = unsafe_sub(balance, amount)
