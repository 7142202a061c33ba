"""The mirrored vault on unknown books: whole entry points, as lemmas on BOOK-3 need them.

Words are kept as their fields, because that packing loses nothing is proved of the bytecode; a
field too wide reverts as it does there. Tokens move nothing and limits refuse nothing: neither is
part of the books.
"""

from __future__ import annotations

from ringfence.math import balance_sheet, position_slot
from ringfence.math.balance_sheet import BalanceSheet
from ringfence.math.errors import RevertError
from ringfence.math.limits import MAX_CAP, Limits
from ringfence.math.position_slot import PositionSlot
from ringfence.math.storage import Storage
from ringfence.math.tokens import Token
from ringfence.math.vault import MarginVault
from ringfence.math.vault_state import Call, VaultParams
from verification.proofs.lemmas.given import books_of
from verification.proofs.lemmas.proof import Inputs

OWNER = 7
POSITION = OWNER << 96
NOW = 1_700_000_000


class UnknownVault(MarginVault):
    """A vault whose books and one position are fields instead of words."""

    def __init__(self, sheet: BalanceSheet, position: PositionSlot, params: VaultParams) -> None:
        storage = Storage()
        token = Token(storage, 0)
        super(MarginVault, self).__init__(storage, 1, params, token, token)
        self.sheet, self.fields = sheet, position

    def load_sheet(self) -> BalanceSheet:
        return self.sheet

    def accrue_in_memory(self, call: Call) -> BalanceSheet:  # noqa: ARG002
        """Return the books, which are those after accrual."""
        return self.sheet

    def store_sheet(self, sheet: BalanceSheet) -> None:
        if (
            sheet.total_shares > balance_sheet.MAX_SHARES
            or sheet.cash > balance_sheet.MAX_CASH
            or sheet.total_scaled_debt > balance_sheet.MAX_SHARES
        ):
            raise RevertError("books exceed their width")
        self.sheet = sheet

    def load_limits(self) -> Limits:
        return Limits(MAX_CAP, MAX_CAP, 0)

    def load_position(self, position_id: int) -> PositionSlot:  # noqa: ARG002
        return self.fields

    def store_position(self, position_id: int, fields: PositionSlot) -> int:  # noqa: ARG002
        if (
            fields.collateral > position_slot.MAX_COLLATERAL
            or fields.scaled_debt > position_slot.MAX_SCALED_DEBT
        ):
            raise RevertError("position exceeds its width")
        self.fields = fields
        return 0

    def pull(self, token: Token, caller: int, amount: int) -> None:
        pass

    def push(self, token: Token, receiver: int, amount: int) -> None:
        pass


def vault_of(v: Inputs) -> UnknownVault:
    """Return a vault with the books, the position and the parameters of a lemma's inputs."""
    fields = {name: getattr(v, name, 0) for name in VaultParams.__dataclass_fields__}
    position = PositionSlot(getattr(v, "collateral", 0), getattr(v, "scaled_debt", 0), 0)
    return UnknownVault(books_of(v), position, VaultParams(**fields))


def call_of(v: Inputs) -> Call:
    """Return a call by the owner, at the price of a lemma's inputs."""
    return Call(OWNER, NOW, (getattr(v, "price", 0), getattr(v, "price", 0)), lambda _c, _d: 0)
