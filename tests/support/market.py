"""A market for tests: tokens, a settable oracle and rate, one MarginVault, and eyes on its words.

The vault stands without a factory, its parameters given straight to the constructor. Everything the
tests read about state they read from storage, so that a view that lies is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from ringfence.evm import Contract, Engine, Receipt, Reverted, load
from ringfence.evm.abi import Addressable, address_bytes, checksum
from ringfence.evm.artifacts import Artifact
from ringfence.evm.engine import dev_accounts

(
    DEPLOYER,
    LENDER,
    TRADER,
    LIQUIDATOR,
    KEEPER,
    GUARDIAN,
    CURATOR,
    STRANGER,
    OPERATOR,
    OTHER_TRADER,
) = dev_accounts()
RECEIVER = checksum(b"\xee" * 20)
"""An address nobody acts from."""
NOBODY = checksum(bytes(20))

WAD = 10**18
PRICE_SCALE = 10**36
MAX_UINT256 = 2**256 - 1
MIN_INT256 = -(2**255)
MAX_INT256 = 2**255 - 1
MAX_INDEX = 2**76 - 1
MAX_CAP = 2**104 - 1
DAY = 86_400
WEEK = 7 * DAY
YEAR = 365 * DAY
MAX_RATE = 3 * WAD // YEAR
TEN_PERCENT = WAD // 10 // YEAR
"""10 % a year, per second scaled 1e18."""

INCREASE, REDUCE, WITHDRAW = 1, 2, 4
"""Permission flags of an operator."""

BOOKS = "books"
LIMITS = "limits"


def div_up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


class Slot(NamedTuple):
    """A position's word: collateral units, scaled asset units, seconds."""

    collateral: int = 0
    scaled_debt: int = 0
    last_risk_increase: int = 0

    @property
    def word(self) -> int:
        return self.collateral << 144 | self.scaled_debt << 40 | self.last_risk_increase


class Books(NamedTuple):
    """The balance sheet: shares, asset units, seconds; scaled asset units, 1e18, 1e18."""

    total_shares: int
    cash: int
    last_accrual: int
    total_scaled_debt: int
    debt_index: int
    supply_index: int

    @property
    def words(self) -> tuple[int, int]:
        return (
            self.total_shares << 152 | self.cash << 40 | self.last_accrual,
            self.total_scaled_debt << 152 | self.debt_index << 76 | self.supply_index,
        )

    @property
    def total_debt(self) -> int:
        return div_up(self.total_scaled_debt * self.debt_index, WAD)

    @property
    def surplus(self) -> int:
        """The reserve before rounding, asset units * 1e18 (BOOK-3: never negative)."""
        assets = self.cash * WAD + self.total_scaled_debt * self.debt_index
        return assets - self.total_shares * self.supply_index


class Params(NamedTuple):
    """`VaultParams` in the constructor's order."""

    collateral_token: str
    asset: str
    oracle: str
    rate_model: str
    initial_ltv: int = 80 * 10**16
    target_ltv: int = 80 * 10**16
    liquidation_ltv: int = 86 * 10**16
    base_bonus: int = 10**16
    beta_max: int = 10_778 * 10**14
    reserve_cut: int = 10**17
    reserve_factor: int = 10**17
    reserve_target: int = 5 * 10**16
    fallback_rate: int = TEN_PERCENT
    min_debt: int = 100 * 10**6


class Seizure(NamedTuple):
    """What a liquidation moves, in the order of the vault's `Liquidation`."""

    seized: int
    repaid: int
    cut: int
    scaled_retired: int
    loss: int

    @property
    def paid(self) -> int:
        return self.repaid + self.cut


def expect_liquidation(
    slot: Slot, debt_index: int, price: int, max_repay: int, params: Params
) -> Seizure:
    """The design's formulas in unbounded integers, for an unhealthy position."""
    debt = div_up(slot.scaled_debt * debt_index, WAD)
    value = slot.collateral * price // PRICE_SCALE
    ltv = div_up(debt * WAD, value) if value else None
    beta = params.beta_max
    if ltv is not None:
        beta = min(beta, WAD + params.base_bonus + ltv - params.liquidation_ltv)
    if ltv is not None and ltv * beta < WAD * WAD:
        repair = div_up(
            (debt * WAD - params.target_ltv * value) * WAD,
            WAD * WAD - beta * params.target_ltv,
        )
        repaid = min(max_repay, repair, debt)
        if debt - repaid < params.min_debt:
            repaid = debt if max_repay >= debt else debt - params.min_debt
        retired = slot.scaled_debt if repaid == debt else repaid * WAD // debt_index
        repaid = div_up(retired * debt_index, WAD)
        seized = beta * (retired * debt_index // WAD) // WAD * PRICE_SCALE // price
        loss = 0
    else:
        seized, retired, written_off = slot.collateral, slot.scaled_debt, debt
        if max_repay < div_up(div_up(seized * price, PRICE_SCALE) * WAD, beta):
            seized = max_repay * beta // WAD * PRICE_SCALE // price
            retired = slot.scaled_debt * seized // slot.collateral
            written_off = debt - div_up((slot.scaled_debt - retired) * debt_index, WAD)
        repaid = div_up(div_up(seized * price, PRICE_SCALE) * WAD, beta)
        loss = max(written_off - repaid, 0)
    cut = div_up(repaid * (beta - WAD) * params.reserve_cut, WAD * WAD)
    return Seizure(seized, repaid, cut, retired, loss)


def mapping_slot(base: int, *keys: int) -> int:
    """The storage slot of a Vyper mapping's entry."""
    for key in keys:
        base = int.from_bytes(keccak(base.to_bytes(32, "big") + key.to_bytes(32, "big")), "big")
    return base


@lru_cache
def vault_slot(module: str, name: str) -> int:
    """Where the vault keeps a variable of one of its modules."""
    return load("MarginVault").slot(module, name)


@lru_cache
def token_slot(title: str, name: str) -> int:
    """Where a token double keeps a variable of its books."""
    return load(title).slot("plain_erc20", name)


def as_int(address: Addressable) -> int:
    return int.from_bytes(address_bytes(address), "big")


def position_id(owner: Addressable, salt: int = 1) -> int:
    return as_int(owner) << 96 | salt


@dataclass(frozen=True, slots=True)
class Market:
    """One vault and its surroundings; `opened` lists the positions that `open` made."""

    engine: Engine
    vault: Contract
    collateral: Contract
    asset: Contract
    oracle: Contract
    rate_model: Contract
    params: Params
    opened: list[int] = field(default_factory=list)

    # Acts

    def give(self, token: Contract, account: Addressable, amount: int) -> None:
        """Mint to an account, and let the vault take whatever it holds."""
        token.mint(account, amount)
        token.approve(self.vault, MAX_UINT256, sender=account)

    def deposit(self, assets: int, lender: Addressable = LENDER) -> int:
        """Lend; return the shares."""
        self.give(self.asset, lender, assets)
        shares: int = self.vault.deposit(assets, lender, sender=lender).value
        return shares

    def open(
        self,
        collateral: int,
        debt: int = 0,
        *,
        owner: Addressable = TRADER,
        salt: int = 1,
    ) -> int:
        """Open a position that borrows to its owner; return its id."""
        opened = position_id(owner, salt)
        self.give(self.collateral, owner, collateral)
        self.vault.adjust(opened, collateral, debt, owner, b"", sender=owner)
        self.asset.approve(self.vault, MAX_UINT256, sender=owner)
        self.opened.append(opened)
        return opened

    def set_price(self, price: int) -> None:
        self.oracle.set_price(price)

    def set_quote(self, low: int, high: int) -> None:
        self.oracle.set_quote(low, high)

    def grow_debt(self, rate: int = TEN_PERCENT, seconds: int = YEAR) -> None:
        """Let interest accrue: both indices leave 1e18."""
        self.rate_model.set_rate(rate)
        self.engine.advance(seconds)
        self.vault.accrue()
        self.rate_model.set_rate(0)

    # Looks

    def slot_key(self, position: int) -> int:
        return mapping_slot(vault_slot("position_slot", "_words"), position)

    def slot(self, position: int) -> Slot:
        """The position's word, from storage."""
        word = self.engine.storage_at(self.vault, self.slot_key(position))
        return Slot(word >> 144, word >> 40 & 2**104 - 1, word & 2**40 - 1)

    def book_keys(self) -> tuple[int, int]:
        return (
            vault_slot("balance_sheet", "_word_1"),
            vault_slot("balance_sheet", "_word_2"),
        )

    def books(self) -> Books:
        """The balance sheet as it is stored, interest since the last accrual left out."""
        one, two = (self.engine.storage_at(self.vault, key) for key in self.book_keys())
        return Books(
            one >> 152,
            one >> 40 & 2**112 - 1,
            one & 2**40 - 1,
            two >> 152,
            two >> 76 & 2**76 - 1,
            two & 2**76 - 1,
        )

    def shares_of(self, owner: Addressable) -> int:
        key = mapping_slot(vault_slot("lender_shares", "balanceOf"), as_int(owner))
        return self.engine.storage_at(self.vault, key)

    def limits(self) -> tuple[int, int, int]:
        """Supply cap, debt cap, end of the pause, from storage."""
        word = self.engine.storage_at(self.vault, vault_slot("limits", "_word"))
        return word >> 144, word >> 40 & 2**104 - 1, word & 2**40 - 1

    def debt(self, position: int) -> int:
        """What a position owes at the stored index, asset units."""
        return div_up(self.slot(position).scaled_debt * self.books().debt_index, WAD)

    def written(self, receipt: Receipt, *accounts: Addressable) -> set[Any]:
        """What a transaction changed in the vault: `BOOKS`, `LIMITS`, position ids, addresses.

        An address stands for its shares. Positions count if they were opened through this object
        or belong, with salt 1, to one of `accounts`. Anything else comes as the slot's number.
        """
        known: dict[int, Any] = dict.fromkeys(self.book_keys(), BOOKS)
        known[vault_slot("limits", "_word")] = LIMITS
        for position in self.opened + [position_id(account) for account in accounts]:
            known[self.slot_key(position)] = position
        shares = vault_slot("lender_shares", "balanceOf")
        for account in (*dev_accounts(), RECEIVER, *accounts):
            raw = address_bytes(account)
            known[mapping_slot(shares, as_int(raw))] = checksum(raw)
        changed = receipt.state_diff.get(self.vault.address, {})
        return {known.get(key, key) for key in changed}

    def flows(self, receipt: Receipt, *accounts: Addressable) -> dict[tuple[str, str], int]:
        """(token, account) -> change of balance, of all accounts; allowances must stay.

        Knows the roles, `RECEIVER`, the vault and `accounts`, by address; fails for others.
        """
        known = [address_bytes(one) for one in (*dev_accounts(), RECEIVER, self.vault, *accounts)]
        moved: dict[tuple[str, str], int] = {}
        for label, token in (("collateral", self.collateral), ("asset", self.asset)):
            base = token_slot(token.title, "balanceOf")
            minted = token_slot(token.title, "totalSupply")
            keys = {mapping_slot(base, as_int(one)): checksum(one) for one in known}
            for key, (before, after) in receipt.state_diff.get(token.address, {}).items():
                if key != minted:
                    moved[label, keys[key]] = after - before
        return moved

    def events(self, receipt: Receipt) -> list[tuple[str, dict[str, Any]]]:
        """The vault's events, in their order: (name, fields)."""
        return [(event.name, dict(event.args)) for event in receipt.events(self.vault)]

    def accrued(self) -> tuple[str, dict[str, int]]:
        """The event that closes an operation without indices of its own, from the stored ones."""
        books = self.books()
        indices = {"debt_index": books.debt_index, "supply_index": books.supply_index}
        return "Accrued", indices

    def set_books(self, **fields: int) -> None:
        """Write the balance sheet, past all rules."""
        words = self.books()._replace(**fields).words
        for key, word in zip(self.book_keys(), words, strict=True):
            self.engine.set_storage(self.vault, key, word)

    def set_slot(self, position: int, slot: Slot) -> None:
        """Write a position past all rules; debt that goes away comes as cash (BOOK-2, BOOK-3)."""
        books, before = self.books(), self.slot(position)
        grown = slot.scaled_debt - before.scaled_debt
        paid = div_up(max(-grown, 0) * books.debt_index, WAD)
        self.asset.mint(self.vault, paid)
        self.set_books(total_scaled_debt=books.total_scaled_debt + grown, cash=books.cash + paid)
        self.engine.set_storage(self.vault, self.slot_key(position), slot.word)

    def check_books(self) -> None:
        """Assert BOOK-1 to BOOK-3 over the positions that were opened here."""
        books = self.books()
        slots = [self.slot(position) for position in self.opened]
        cash = self.asset.balanceOf(self.vault)
        assert cash >= books.cash, "BOOK-1: the vault holds less than its cash"
        held = self.collateral.balanceOf(self.vault)
        assert held >= sum(slot.collateral for slot in slots), "BOOK-1: collateral is missing"
        total = sum(slot.scaled_debt for slot in slots)
        assert total == books.total_scaled_debt, "BOOK-2: scaled debts do not add up"
        assert books.surplus >= 0, "BOOK-3: claims exceed assets"
        for slot in slots:
            assert slot.collateral or slot == Slot(), "BOOK-3: debt without collateral"


def deploy_market(
    engine: Engine,
    *,
    collateral_decimals: int = 18,
    asset_decimals: int = 6,
    collateral: Contract | None = None,
    asset: Contract | None = None,
    oracle: Contract | None = None,
    rate_model: Contract | None = None,
    price: int | None = None,
    supply_cap: int = MAX_CAP,
    debt_cap: int = MAX_CAP,
    artifact: Artifact | None = None,
    **params: int,
) -> Market:
    """Deploy a vault on its own tokens, at 2,000 assets a collateral, at no interest.

    `params` replaces fields of `Params`; `price` is in asset units per collateral unit, 1e36;
    `artifact` is the vault's code, where it is not the real one.
    """
    collateral = collateral or engine.deploy(
        load("TestToken"), "Wrapped Ether", "WETH", collateral_decimals
    )
    asset = asset or engine.deploy(load("TestToken"), "USD Coin", "USDC", asset_decimals)
    if price is None:
        price = price_of(2_000, collateral_decimals, asset_decimals)
    oracle = oracle or engine.deploy(load("SettableOracle"), price, price)
    rate_model = rate_model or engine.deploy(load("SettableRate"), 0)
    market_params = Params(
        collateral.address, asset.address, oracle.address, rate_model.address
    )._replace(**params)
    vault = engine.deploy(
        artifact or load("MarginVault"),
        market_params,
        supply_cap,
        debt_cap,
        CURATOR,
        GUARDIAN,
        "Ringfence WETH/USDC",
        "rfUSDC",
    )
    return Market(engine, vault, collateral, asset, oracle, rate_model, market_params)


def price_of(assets: int, collateral_decimals: int = 18, asset_decimals: int = 6) -> int:
    """The price at which one whole collateral is worth so many whole assets, scaled 1e36."""
    return assets * 10 ** (36 + asset_decimals - collateral_decimals)


USDC = 10**6
WETH = 10**18
CASH = 1_000_000 * USDC
"""What the lender has lent in the `market` fixture."""


@contextmanager
def reverts(reason: str) -> Iterator[None]:
    """Expect exactly this reason."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.reason == reason


@pytest.fixture(scope="session")
def standing_market(chain: Engine) -> Market:
    """A market with a lender's million, deployed once a session."""
    market = deploy_market(chain)
    market.deposit(CASH)
    for account in dev_accounts():
        market.asset.approve(market.vault, MAX_UINT256, sender=account)
        market.collateral.approve(market.vault, MAX_UINT256, sender=account)
    return market


@pytest.fixture
def market(standing_market: Market, engine: Engine) -> Iterator[Market]:
    """The standing market for one test; the books must be sound when the test ends."""
    standing_market.opened.clear()
    yield standing_market
    assert engine is standing_market.engine
    standing_market.check_books()


@pytest.fixture
def vault(market: Market) -> Contract:
    return market.vault


# Signatures


def _sign(market: Market, kind: str, signer: LocalAccount, message: dict[str, Any]) -> bytes:
    types = {
        "Permit": ("owner", "spender", "value", "nonce", "deadline"),
        "SetOperator": (
            "owner",
            "operator",
            "permissions",
            "max_loss_bps",
            "nonce",
            "deadline",
        ),
    }
    overrides = {"chainId": message.pop("chain_id"), "verifyingContract": message.pop("vault")}
    domain = {"name": market.vault.name(), "version": "1", **overrides}
    fields = [
        {"name": name, "type": "address" if isinstance(message[name], str) else "uint256"}
        for name in types[kind]
    ]
    signable = encode_typed_data(domain, {kind: fields}, message)
    return bytes(Account.sign_message(signable, signer.key).signature)


def _completed(market: Market, message: Mapping[str, Any]) -> dict[str, Any]:
    owner = checksum(address_bytes(message["owner"]))
    complete: dict[str, Any] = {
        "chain_id": market.engine.chain_id,
        "vault": market.vault.address,
        "nonce": market.vault.nonces(owner),
        "deadline": market.engine.timestamp + DAY,
    } | dict(message)
    for name, value in complete.items():
        if not isinstance(value, int):
            complete[name] = checksum(address_bytes(value))
    return complete


class SignedPermit(NamedTuple):
    """The arguments of `permit`."""

    owner: str
    spender: str
    value: int
    deadline: int
    v: int
    r: bytes
    s: bytes


def sign_permit(market: Market, signer: LocalAccount, **message: Any) -> SignedPermit:
    """Sign for `permit`; the message's fields (owner, spender, value; nonce, deadline, chain_id and
    vault where the right ones shall not do)."""
    full = _completed(market, {"owner": signer} | message)
    signature = _sign(market, "Permit", signer, dict(full))
    return SignedPermit(
        full["owner"],
        full["spender"],
        full["value"],
        full["deadline"],
        signature[64],
        signature[:32],
        signature[32:64],
    )


class SignedOperator(NamedTuple):
    """The arguments of `set_operator_with_signature`."""

    owner: str
    operator: str
    permissions: int
    max_loss_bps: int
    deadline: int
    v: int
    r: bytes
    s: bytes


def sign_operator(market: Market, signer: LocalAccount, **message: Any) -> SignedOperator:
    """Sign for `set_operator_with_signature`; fields as in `sign_permit`."""
    full = _completed(market, {"owner": signer, "max_loss_bps": 0} | message)
    signature = _sign(market, "SetOperator", signer, dict(full))
    return SignedOperator(
        full["owner"],
        full["operator"],
        full["permissions"],
        full["max_loss_bps"],
        full["deadline"],
        signature[64],
        signature[:32],
        signature[32:64],
    )
