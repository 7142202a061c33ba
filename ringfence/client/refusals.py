"""One exception for each reason that the contracts revert with.

`refusal("debt cap is full", value="1,200 USDC", limit="1,000 USDC")` makes the exception that says
what was refused, what the limit is and what to do next. Mirrors the reasons in contracts/.
"""

from __future__ import annotations

from typing import ClassVar

from ringfence.errors import RingfenceError

REFUSALS: dict[str, type[RefusedError]] = {}
"""Reason -> the class of its exception."""


class RefusedError(RingfenceError):
    """A contract refuses a call, or would: nothing was changed.

    `reason` is the contract's word for why; `value` and `limit` are what was asked for and what
    may be, in words, None where nobody knows; `step` is what to do next.
    """

    reason: ClassVar[str] = ""
    step: ClassVar[str] = "check the arguments"

    def __init_subclass__(cls, reason: str = "", step: str = "") -> None:
        if reason in REFUSALS:
            raise TypeError(f"{reason!r} has an exception already: {REFUSALS[reason].__name__}")
        cls.reason, cls.step = reason, step
        if reason:
            REFUSALS[reason] = cls

    def __init__(self, value: str | None = None, limit: str | None = None) -> None:
        text = self.reason
        if value is not None:
            text += f": {value}"
        if limit is not None:
            text += f" (limit {limit})"
        super().__init__(f"{text}; {self.step}")
        self.value = value
        self.limit = limit


class UnknownRefusalError(RefusedError):
    """Another contract reverted, such as a token, or nothing was said; `said` is its word."""

    def __init__(self, said: str) -> None:
        super().__init__()
        self.said = said
        words = f"the call reverts: {said}" if said else "the call reverts and says nothing"
        self.args = (f"{words}; check balances, allowances and the addresses called",)


def refusal(reason: str, value: str | None = None, limit: str | None = None) -> RefusedError:
    """Return the exception of a contract's reason; UnknownRefusalError for any other."""
    kind = REFUSALS.get(reason)
    return UnknownRefusalError(reason) if kind is None else kind(value, limit)


# Amounts and who may act


class ZeroAmountError(RefusedError, reason="amount is zero", step="pass an amount above zero"):
    """Nothing would move."""


class AmountTooWideError(
    RefusedError, reason="amount exceeds its width", step="pass a smaller amount"
):
    """The contracts' words have no room for such an amount."""


class BooksTooWideError(
    RefusedError, reason="books exceed their width", step="pass a smaller amount"
):
    """The vault's two words have no room for the change."""


class PositionTooWideError(
    RefusedError, reason="position exceeds its width", step="pass a smaller amount"
):
    """The position's word has no room for the change."""


class LimitsTooWideError(
    RefusedError,
    reason="limits exceed their width",
    step="pass caps below 2**104 units of the asset",
):
    """The word of the caps has no room for such a cap."""


class ZeroReceiverError(RefusedError, reason="receiver is zero", step="name an address of yours"):
    """Tokens sent to the zero address are lost."""


class NoPermissionError(
    RefusedError,
    reason="caller lacks permission",
    step="act as the position's owner, or have it make you an operator",
):
    """The position belongs to another account, which did not allow this."""


class OperatorLossError(
    RefusedError,
    reason="operator loss bound exceeded",
    step="take out less collateral, or repay more",
):
    """A reducing operator took out more collateral than its bound allows."""


class LossBoundError(
    RefusedError, reason="loss bound exceeds 10000 bps", step="pass at most 10,000 basis points"
):
    """An operator's loss bound is a share of what it repays."""


class SignatureExpiredError(
    RefusedError, reason="signature has expired", step="sign again with a later deadline"
):
    """The signed message was good until its deadline."""


class SignatureInvalidError(
    RefusedError,
    reason="signature is invalid",
    step="sign again with the owner's present nonce on this chain",
):
    """Signed by another account, for another vault or chain, or used before."""


class GasError(RefusedError, reason="not enough gas", step="send more gas"):
    """The call must be able to give a rate model or an oracle its whole allowance of gas."""


class TokenTransferError(
    RefusedError,
    reason="transfer failed",
    step="check the balance, the allowance and the token's own rules",
):
    """A token refused to move."""


# Positions


class PositionNotOpenError(
    RefusedError,
    reason="position is not open",
    step="check the account and the salt, or open it first",
):
    """There is no collateral under this id."""


class CollateralError(RefusedError, reason="not enough collateral", step="take out less"):
    """More would leave the position than it holds."""


class CashError(
    RefusedError, reason="not enough cash", step="take less, or wait for repayments and deposits"
):
    """The vault has lent out the rest of its assets."""


class MinDebtError(
    RefusedError, reason="debt is below min_debt", step="borrow more, or repay all of it"
):
    """A debt so small would not pay for its liquidation."""


class PausedError(
    RefusedError,
    reason="new risk is paused",
    step="wait for the end of the pause; repaying, topping up and closing go on",
):
    """The guardian has stopped deposits, borrowing and risky withdrawals for a while."""


class DebtCapError(
    RefusedError, reason="debt cap is full", step="borrow less, or wait for repayments"
):
    """The curator bounds what all positions owe together."""


class VaultFullError(RefusedError, reason="vault is full", step="use another market"):
    """The vault's words have room for 2**104 units and no more."""


class InitialLtvError(
    RefusedError,
    reason="LTV is above initial LTV",
    step="borrow less, add collateral, or use less leverage",
):
    """Taking on risk must leave the position at the initial LTV or below."""


class PriceUnusableError(
    RefusedError,
    reason="price is unusable",
    step="wait for the oracle; repaying, topping up and closing go on",
):
    """The oracle gives no price for this purpose now."""


class OracleOrderError(
    RefusedError,
    reason="oracle low exceeds high",
    step="wait for the oracle; repaying, topping up and closing go on",
):
    """The oracle's two prices contradict each other."""


# Liquidations


class RiskRoseError(
    RefusedError, reason="risk rose in this block", step="try again in the next block"
):
    """A position cannot be liquidated in the block in which its risk rose."""


class HealthyError(
    RefusedError, reason="position is healthy", step="leave it alone until the price falls"
):
    """Its LTV is not above the liquidation LTV."""


class SeizedError(
    RefusedError, reason="seized is below min_seized", step="preview it again, or ask for less"
):
    """The liquidation would seize less than was asked for."""


class WholeOnlyError(
    RefusedError,
    reason="only the whole can be liquidated",
    step="liquidate the whole, or another part",
):
    """A part of an insolvent position must retire and leave the smallest debt."""


class ProfitError(
    RefusedError,
    reason="profit is below minimum",
    step="wait, choose another route, or lower the minimum",
):
    """The flash liquidation would earn less than was asked for."""


# Lending


class SharesError(RefusedError, reason="not enough shares", step="withdraw less"):
    """The account holds fewer shares than that."""


class ShareAllowanceError(
    RefusedError, reason="not enough allowance", step="have the owner approve more"
):
    """The owner of the shares allows the caller fewer of them."""


class SupplyCapError(
    RefusedError, reason="supply cap is full", step="deposit less, or wait for withdrawals"
):
    """The curator bounds cash and debt together."""


class SupplyIndexError(RefusedError, reason="supply index is too low", step="use another market"):
    """After a near-total loss shares are too fine a unit to sell."""


# Curator and guardian


class NotCuratorError(RefusedError, reason="caller is not the curator", step="act as the curator"):
    """Only the curator may do this."""


class NotGuardianError(
    RefusedError, reason="caller is not the guardian", step="act as one of them"
):
    """Only the curator and the guardian may do this."""


class NotPendingCuratorError(
    RefusedError, reason="caller is not pending curator", step="act as the account that it names"
):
    """The hand-over names another account, or none."""


class CapsRaisedError(
    RefusedError, reason="guardian may only lower caps", step="lower both, or act as the curator"
):
    """Raising caps is the curator's."""


class PauseLengthError(
    RefusedError, reason="pause must end within 7 days", step="choose an end within the next 7 days"
):
    """A pause is short, and does not lie in the past."""


class PauseAgainError(
    RefusedError,
    reason="last pause ended < 7 days ago",
    step="wait until 7 days after its end, or act as the curator",
):
    """The guardian cannot pause twice in a row."""


class ExcessError(RefusedError, reason="amount exceeds the excess", step="collect less"):
    """Only the reserve above its target may be collected."""


class CollectionEarlyError(
    RefusedError, reason="collection is too early", step="wait until 3 days after the announcement"
):
    """A collection is announced 3 days ahead."""


class AnnouncementError(RefusedError, reason="announcement has expired", step="announce it again"):
    """Nothing was announced, or more than 10 days ago."""


# Router and liquidator


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


# Oracles and rates


class StalePriceError(RefusedError, reason="price is stale", step="wait for the feed"):
    """A feed is older than its heartbeat."""


class FuturePriceError(RefusedError, reason="price is from the future", step="wait for the feed"):
    """A feed's answer bears a time that has not come."""


class PriceSignError(RefusedError, reason="price is not positive", step="wait for the feed"):
    """A feed answers zero or less."""


class PriceBoundsError(
    RefusedError,
    reason="price is out of bounds",
    step="wait for the feed, or deploy a market with other bounds",
):
    """A feed's answer is outside of what is believed."""


class RoundError(RefusedError, reason="round is incomplete", step="wait for the feed"):
    """A feed is in the middle of a round."""


class SequencerDownError(
    RefusedError,
    reason="sequencer is down",
    step="wait until it runs, and for the grace period after that",
):
    """The chain's sequencer has stopped."""


class SequencerGraceError(
    RefusedError, reason="sequencer grace period", step="wait for the end of the grace period"
):
    """The chain's sequencer has only just come back."""


class ReferencePriceError(
    RefusedError,
    reason="price is off the reference",
    step="check feeds and decimals, or correct the reference",
):
    """The oracle does not give the price it was deployed for."""


class ScaleError(RefusedError, reason="scale is out of range", step="check the decimals"):
    """The tokens' and the feeds' decimals do not fit together."""


class ToleranceError(RefusedError, reason="tolerance is too wide", step="lower the tolerance"):
    """Any price would match such a reference."""


class FeedMissingError(RefusedError, reason="feed is missing", step="check the feed's address"):
    """There is no contract where a feed should be."""


class HeartbeatError(
    RefusedError,
    reason="heartbeat is out of range",
    step="take the heartbeat from the feed's own page",
):
    """A heartbeat is above zero and not longer than the oracle allows."""


class BoundsOrderError(RefusedError, reason="bounds are out of order", step="swap them"):
    """The lowest believed answer is below the highest."""


class BoundsWidthError(RefusedError, reason="bounds are too wide", step="narrow them"):
    """Bounds so wide believe anything."""


class PriceRangeError(
    RefusedError, reason="price range is too wide", step="narrow the feeds' bounds"
):
    """The composed price could leave its width."""


class GraceError(RefusedError, reason="grace period is too long", step="shorten it"):
    """The oracle allows no such grace period."""


class KinkError(RefusedError, reason="kink is out of range", step="set it between them"):
    """The kink is a utilisation between zero and one."""


class RateTooHighError(RefusedError, reason="rate is too high", step="lower base or slopes"):
    """Rates are at most 300 % a year."""


# Factory


class InitialLtvTooLowError(RefusedError, reason="initial LTV is below 0.5 %", step="raise it"):
    """Nobody could borrow."""


class InitialAboveTargetError(
    RefusedError, reason="initial LTV is above target LTV", step="lower it, or raise the target"
):
    """A liquidation would stop below what may be borrowed."""


class LiquidationLtvError(RefusedError, reason="liquidation LTV is not below one", step="lower it"):
    """A position would be insolvent before it could be liquidated."""


class LtvGapError(
    RefusedError,
    reason="LTV gap is below 0.5 %",
    step="lower the target LTV, or raise the liquidation LTV",
):
    """A liquidation could not stop, and a fresh position would be liquidated by a tremor."""


class BetaHighError(RefusedError, reason="beta_max is too high", step="lower it"):
    """Waiting for insolvency would pay liquidators."""


class BetaLowError(RefusedError, reason="beta_max is below the bonus", step="raise it"):
    """The bonus could not grow with the loss."""


class ReserveCutError(RefusedError, reason="reserve cut is not below one", step="lower it"):
    """Liquidators would earn nothing."""


class ReserveFactorError(RefusedError, reason="reserve factor is above 25 %", step="lower it"):
    """Lenders would get too little of the interest."""


class ReserveTargetError(RefusedError, reason="reserve target is not below one", step="lower it"):
    """The reserve could never be collected."""


class FallbackRateError(RefusedError, reason="fallback rate is too high", step="lower it"):
    """Rates are at most 300 % a year."""


class MinDebtLowError(
    RefusedError, reason="min_debt is too small", step="raise it to 10,000 units at least"
):
    """Roundings would eat so small a debt."""


class MinDebtHighError(RefusedError, reason="min_debt exceeds 104 bits", step="lower it"):
    """The vault's words have no room for it."""


class SeedError(RefusedError, reason="seed is too small", step="seed 10,000 units at least"):
    """So small a seed would not show a token's fee."""


class CuratorZeroError(RefusedError, reason="curator is zero", step="name a curator"):
    """Nobody could change the caps."""


class SameTokensError(RefusedError, reason="tokens are the same", step="name another one"):
    """A market needs two tokens."""


class TokenMissingError(RefusedError, reason="token is missing", step="check the token's address"):
    """There is no contract where a token should be."""


class TokenFeeError(RefusedError, reason="token takes a fee", step="use another token"):
    """Less arrived than was sent: such tokens are not supported."""


class OracleMissingError(RefusedError, reason="oracle is missing", step="deploy it first"):
    """There is no contract where the oracle should be."""


class RateModelMissingError(RefusedError, reason="rate model is missing", step="deploy it first"):
    """There is no contract where the rate model should be."""


class RateModelSilentError(
    RefusedError, reason="rate model does not answer", step="use another rate model"
):
    """It reverts, burns its gas or answers nonsense."""


class BlueprintMissingError(RefusedError, reason="blueprint is missing", step="deploy it first"):
    """There is no code where the vault's blueprint should be."""


class BlueprintCodeError(
    RefusedError, reason="code is not a blueprint", step="deploy it as a blueprint"
):
    """The vault's code must lie there by ERC-5202."""


class VaultIndexError(RefusedError, reason="index is out of range", step="pass a smaller index"):
    """The factory has fewer vaults."""
