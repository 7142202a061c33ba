"""What the vault refuses: amounts, positions, liquidations, lending, offices."""

from __future__ import annotations

from ringfence.client.refusals.base import RefusedError

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
