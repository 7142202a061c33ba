"""What the LeverageRouter and the Liquidator refuse."""

from __future__ import annotations

from ringfence.client.refusals.base import RefusedError


class DeadlineError(
    RefusedError, reason="deadline has passed", step="quote again and send at once"
):
    """The transaction was mined too late."""


class VaultUnknownError(
    RefusedError, reason="vault is unknown", step="use a market of this deployment"
):
    """The router works with the vaults of its own factory only."""


class AlreadyOpenError(
    RefusedError,
    reason="position is already open",
    step="choose another salt, or increase the position",
):
    """The salt names a position that is open."""


class MarginTokenError(
    RefusedError, reason="margin token is not the vault's", step="pay in one of those"
):
    """Margin is paid in the vault's collateral or its asset."""


class MarginTooLargeError(
    RefusedError,
    reason="margin exceeds what is sold",
    step="use more leverage, or deposit the margin without a trade",
):
    """There would be nothing to borrow."""


class MarginValueError(
    RefusedError, reason="value is not the margin", step="send exactly the margin"
):
    """Ether sent along must be the whole margin, in WETH."""


class PermitError(
    RefusedError, reason="permit is invalid", step="sign it again, or approve the router"
):
    """The margin's permit was refused and there is no allowance."""


class NotWethError(RefusedError, reason="neither token is WETH", step="take the token"):
    """Only WETH can be paid out as ether."""


class EtherTransferError(RefusedError, reason="ether transfer failed", step="take WETH instead"):
    """The receiver refused ether."""


class ApprovalError(RefusedError, reason="approval failed", step="check the token's own rules"):
    """The token refused an approval."""


class BoughtTooLittleError(
    RefusedError, reason="bought is below the limit", step="quote again, or allow more slippage"
):
    """The price has moved by more than the slippage allowed."""


class SoldTooMuchError(
    RefusedError, reason="sold is above the limit", step="quote again, or allow more slippage"
):
    """The price has moved by more than the slippage allowed."""


class PathMalformedError(
    RefusedError, reason="path is malformed", step="pass a route of one to three pools"
):
    """A route is token, fee, token, and so on."""


class PathTokensError(
    RefusedError,
    reason="path does not fit the tokens",
    step="pass a route between the vault's tokens",
):
    """A route leads from the token sold to the token bought."""


class NoPoolError(RefusedError, reason="pool does not exist", step="choose another fee"):
    """Uniswap has no pool of these tokens at this fee."""


class ThinPoolError(
    RefusedError, reason="pool is too thin", step="trade less, or choose another fee"
):
    """The pool ran out of liquidity."""


class NotWethCallerError(
    RefusedError, reason="caller is not WETH", step="send ether along with `open` or `increase`"
):
    """The router takes ether from WETH alone."""


class NotPoolCallerError(
    RefusedError, reason="caller is not the pool", step="call the router's own functions"
):
    """The callback is for the pool that was called."""


class NotVaultCallerError(
    RefusedError, reason="caller is not the vault", step="call the liquidator's own functions"
):
    """The callback is for the vault that was called."""


class NotSelfCallerError(
    RefusedError, reason="caller is not this contract", step="call the liquidator's own functions"
):
    """The function is for the liquidator itself."""


class MinPaidWidthError(
    RefusedError, reason="min_paid exceeds its width", step="ask for less to be paid out"
):
    """No position pays out so much."""


class CollateralChangedError(
    RefusedError, reason="collateral has changed", step="use another route"
):
    """A token on the route topped the position up during the trade."""


class MinProfitWidthError(
    RefusedError, reason="min_profit exceeds its width", step="ask for a smaller profit"
):
    """No liquidation earns so much."""
