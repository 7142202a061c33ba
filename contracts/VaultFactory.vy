# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title VaultFactory
@license GNU Affero General Public License v3.0 only
@notice Deploys vaults from a blueprint, refuses parameters and tokens that would hurt those who use them, and keeps the
        registry. It owns nothing, and has no power over a vault once it stands.
@dev The vault takes its parameters as they are: every bound on them is checked here, each with a reason of its own. What
     the bounds are for: a gap between borrowing and liquidation, and a bonus that never pays for waiting (LIQ-4, LIQ-5).
@custom:security A token is probed once, at creation; one that starts to take a fee later is the vault's business.
"""

from ethereum.ercs import IERC20

from .interfaces import IMarginVault
from .interfaces import IPriceOracle
from .interfaces import IVaultFactory
from .modules import tokens

implements: IVaultFactory


WAD: constant(uint256) = 10**18
# Keeps a fresh position away from liquidation: 0.5 %.
MIN_LTV_GAP: constant(uint256) = 5 * 10**15
# The liquidation's maths counts on beta below 2**61.
MAX_BETA: constant(uint256) = 2 * WAD
MAX_RESERVE_FACTOR: constant(uint256) = 25 * 10**16
# 300 % a year, per second: what the vault clamps every rate to.
MAX_RATE: constant(uint256) = 3 * WAD // 31_536_000
# What the vault grants its rate model, and what must be left for the model to get it whole, see accrual.
RATE_GAS: constant(uint256) = 100_000
GAS_FLOOR: constant(uint256) = 110_000
# Of 10,000 units a fee of one basis point is a unit: no smaller seed shows every fee. No smaller debt pays for rounding.
MIN_AMOUNT: constant(uint256) = 10_000
MAX_AMOUNT: constant(uint256) = 2**104 - 1
# ERC-5202: 0xFE71, version 0, no data section; then the initcode.
BLUEPRINT_PREAMBLE: constant(Bytes[3]) = x"fe7100"
MAX_VAULTS: constant(uint256) = 2**32
PAGE: constant(uint256) = 100

blueprint: public(immutable(address))

is_vault: public(HashMap[address, bool])
_vaults: DynArray[address, MAX_VAULTS]


@deploy
def __init__(vault_blueprint: address):
    """
    @param vault_blueprint the vault's initcode behind the preamble of ERC-5202, address
    """
    assert vault_blueprint.codesize > len(BLUEPRINT_PREAMBLE), "blueprint is missing"
    assert slice(vault_blueprint.code, 0, 3) == BLUEPRINT_PREAMBLE, "code is not a blueprint"
    blueprint = vault_blueprint


# ---- create ----------------------------------------------------------------------------------------------------------

@external
def create_vault(
    params: IMarginVault.VaultParams,
    supply_cap: uint256,
    debt_cap: uint256,
    curator: address,
    guardian: address,
    name: String[50],
    symbol: String[32],
    asset_seed: uint256,
    collateral_seed: uint256,
    salt: bytes32,
) -> address:
    self._check_ltvs(params)
    self._check_bonus(params)
    self._check_books(params)
    assert curator != empty(address), "curator is zero"
    assert min(asset_seed, collateral_seed) >= MIN_AMOUNT, "seed is too small"
    self._check_contracts(params)

    vault: address = create_from_blueprint(
        blueprint,
        params,
        supply_cap,
        debt_cap,
        curator,
        guardian,
        name,
        symbol,
        salt=keccak256(abi_encode(msg.sender, salt)),
    )
    index: uint256 = len(self._vaults)
    self.is_vault[vault] = True
    self._vaults.append(vault)

    self._probe_collateral(params.collateral_token, collateral_seed)
    self._seed_reserve(vault, params.asset, asset_seed)
    log IVaultFactory.VaultCreated(
        vault=vault,
        collateral_token=params.collateral_token,
        asset=params.asset,
        index=index,
        creator=msg.sender,
        salt=salt,
        params=params,
        supply_cap=supply_cap,
        debt_cap=debt_cap,
        curator=curator,
        guardian=guardian,
        name=name,
        symbol=symbol,
        asset_seed=asset_seed,
    )
    return vault


@internal
@pure
def _check_ltvs(params: IMarginVault.VaultParams):
    """
    @notice 0.5 % <= initial <= target <= liquidation - 0.5 %, liquidation < 1.
    @dev The room between target and threshold keeps a repayment from vanishing in the rounding of a grown debt index:
         an unhealthy position can always be liquidated (LIVE-4).
    """
    assert params.initial_ltv >= MIN_LTV_GAP, "initial LTV is below 0.5 %"
    assert params.initial_ltv <= params.target_ltv, "initial LTV is above target LTV"
    assert params.liquidation_ltv < WAD, "liquidation LTV is not below one"
    # Both below 2**60.
    assert unsafe_add(params.target_ltv, MIN_LTV_GAP) <= params.liquidation_ltv, "LTV gap is below 0.5 %"


@internal
@pure
def _check_bonus(params: IMarginVault.VaultParams):
    """
    @notice 1 + base_bonus < beta_max, and beta reaches beta_max before a position is insolvent:
            beta_max * (liquidation_ltv + beta_max - 1 - base_bonus) <= 1, for example 1.0778 for 0.86 and 1 %.
    """
    assert params.beta_max <= MAX_BETA, "beta_max is too high"
    assert params.beta_max > WAD, "beta_max is below the bonus"
    # 0 < beta_max - 1 <= 1, all scaled 1e18.
    span: uint256 = unsafe_sub(params.beta_max, WAD)
    assert params.base_bonus < span, "beta_max is below the bonus"
    # The LTV at which beta stops growing, below 2e18; times beta_max below 2**123.
    ltv_at_beta_max: uint256 = unsafe_add(params.liquidation_ltv, unsafe_sub(span, params.base_bonus))
    assert unsafe_mul(params.beta_max, ltv_at_beta_max) <= WAD * WAD, "beta_max is too high"


@internal
@pure
def _check_books(params: IMarginVault.VaultParams):
    """
    @notice Shares of the reserve, the rate to fall back on, and the least debt.
    """
    assert params.reserve_cut < WAD, "reserve cut is not below one"
    assert params.reserve_factor <= MAX_RESERVE_FACTOR, "reserve factor is above 25 %"
    assert params.reserve_target < WAD, "reserve target is not below one"
    assert params.fallback_rate <= MAX_RATE, "fallback rate is too high"
    assert params.min_debt >= MIN_AMOUNT, "min_debt is too small"
    assert params.min_debt <= MAX_AMOUNT, "min_debt exceeds 104 bits"


@internal
@view
def _check_contracts(params: IMarginVault.VaultParams):
    """
    @notice Two tokens, an oracle that gives a price now, a rate model that gives a rate when idle and when lent out.
    """
    assert params.collateral_token != params.asset, "tokens are the same"
    assert params.collateral_token.is_contract and params.asset.is_contract, "token is missing"
    assert params.oracle.is_contract, "oracle is missing"
    low: uint256 = 0
    high: uint256 = 0
    low, high = staticcall IPriceOracle(params.oracle).quote()
    assert low <= high, "oracle low exceeds high"
    assert low != 0, "price is unusable"
    assert params.rate_model.is_contract, "rate model is missing"
    self._check_rate(params.rate_model, params.min_debt, 0)
    self._check_rate(params.rate_model, 0, params.min_debt)


@internal
@view
def _check_rate(rate_model: address, cash: uint256, debt: uint256):
    """
    @notice Asks as the vault asks, so that a vault never starts out on its fallback.
    """
    assert msg.gas >= GAS_FLOOR, "not enough gas"
    success: bool = False
    response: Bytes[32] = b""
    success, response = raw_call(
        rate_model,
        abi_encode(cash, debt, method_id=method_id("borrow_rate(uint256,uint256)")),
        max_outsize=32,
        gas=RATE_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert success and len(response) == 32, "rate model does not answer"


@internal
def _probe_collateral(token: address, amount: uint256):
    """
    @notice Moves the seed in and back, and looks at what arrives.
    """
    held: uint256 = staticcall IERC20(token).balanceOf(self)
    tokens._pull(token, amount)
    self._check_received(token, self, held, amount)
    paid: uint256 = staticcall IERC20(token).balanceOf(msg.sender)
    tokens._push(token, msg.sender, amount)
    self._check_received(token, msg.sender, paid, amount)
    assert staticcall IERC20(token).balanceOf(self) == held, "token takes a fee"


@internal
def _seed_reserve(vault: address, token: address, amount: uint256):
    """
    @notice Moves the seed in, and on into the vault as its first reserve.
    """
    held: uint256 = staticcall IERC20(token).balanceOf(self)
    tokens._pull(token, amount)
    self._check_received(token, self, held, amount)
    # Whoever knew the address may have sent tokens there before.
    donated: uint256 = staticcall IERC20(token).balanceOf(vault)
    assert extcall IERC20(token).approve(vault, amount, default_return_value=True), "approval failed"
    extcall IMarginVault(vault).fund_reserve(amount)
    self._check_received(token, vault, donated, amount)
    assert staticcall IERC20(token).balanceOf(self) == held, "token takes a fee"


@internal
@view
def _check_received(token: address, receiver: address, held: uint256, amount: uint256):
    assert staticcall IERC20(token).balanceOf(receiver) == held + amount, "token takes a fee"


# ---- read ------------------------------------------------------------------------------------------------------------

@external
@view
def vaults_count() -> uint256:
    return len(self._vaults)


@external
@view
def vault_at(index: uint256) -> address:
    assert index < len(self._vaults), "index is out of range"
    return self._vaults[index]


@external
@view
def vaults(offset: uint256, limit: uint256) -> DynArray[address, PAGE]:
    count: uint256 = len(self._vaults)
    page: DynArray[address, PAGE] = []
    if offset >= count:
        return page
    # The line above bounds the difference.
    size: uint256 = min(min(limit, PAGE), unsafe_sub(count, offset))
    for position: uint256 in range(size, bound=PAGE):
        page.append(self._vaults[unsafe_add(offset, position)])
    return page
