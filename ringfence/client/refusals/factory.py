"""What the VaultFactory refuses, and its blueprint."""

from __future__ import annotations

from ringfence.client.refusals.base import RefusedError


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
