"""The vault broken on purpose: a flaw for each property of isolation.py, all in one contract.

One contract, because to compile it takes longer than to follow any function. A function reaches the
flaw that is named with it and no other, which the fault found in it must bear out.
"""

from __future__ import annotations

from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break, load_broken

_STRAY = "    position_slot._add_collateral(convert(msg.sender, uint256), 1)\n"
"""A write of a position that the caller's address names, whatever the call is given."""


def _stray(file: str, place: str) -> Break:
    """Write a stray position before the line that starts the place."""
    return Break(file, place, _STRAY + place)


def _stray_check(name: str) -> Break:
    """Write a stray position in a check of the authority's."""
    head = f"def {name}():\n"
    return Break("modules/authority.vy", f"@view\n{head}", head + _STRAY)


_SHARES = "modules/lender_shares.vy"
_STORE = "    self._words[position_id] = word\n    return word\n\n\n@internal\ndef _add"
_ADD = "amount << 144)\n    self._words[position_id]"
_BREAKS = (
    *(
        change
        for module in ("authority", "lender_shares", "operators")
        for change in (
            Break(
                f"modules/{module}.vy",
                "from . import errors\n",
                "from . import errors\nfrom . import position_slot\nuses: position_slot\n",
            ),
            Break(
                "MarginVault.vy",
                f"initializes: {module}[",
                f"initializes: {module}[position_slot := position_slot, ",
            ),
        )
    ),
    *(
        Break("modules/position_slot.vy", guard, guard.replace("position_id]", "position_id ^ 1]"))
        for guard in (_STORE, _ADD)
    ),
    _stray(_SHARES, "    errors._check_not_zero(shares)\n    errors._check_receiver"),
    _stray(_SHARES, "    errors._check_not_zero(shares)\n    if msg.sender != owner"),
    _stray(_SHARES, "    errors._check_receiver(receiver)\n    balance"),
    _stray(_SHARES, "    self.allowance[owner][spender] = amount"),
    _stray("modules/operators.vy", "    if max_loss_bps > _MAX_BPS"),
    _stray_check("_check_curator"),
    _stray_check("_check_guardian"),
    _stray("modules/authority.vy", "    self.curator = msg.sender"),
    Break("MarginVault.vy", "def accrue():\n", f"def accrue():\n{_STRAY}"),
    Break("MarginVault.vy", "def fund_reserve(", "@reentrant\ndef fund_reserve("),
    Break(
        "MarginVault.vy",
        "# ---- read ",
        "@external\ndef forget(position_id: uint256):\n    position_slot._store(position_id, "
        "empty(position_slot.PositionSlot))\n\n\n# ---- read ",
    ),
)

_NEIGHBOUR = "the position is stored at id ^ 1"
_CHECKED = "the check of the caller writes a position"
_ANOTHER = "writes slot j"
FLAWS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("top_up", "repay", "adjust", "close", "liquidate"), (_NEIGHBOUR, _ANOTHER)),
    "fund_reserve": ("it leaves the lock open", "unlocked call"),
    **dict.fromkeys(
        ("accrue", "deposit", "mint", "withdraw", "redeem", "transfer", "transferFrom",
         "approve", "permit", "set_operator", "set_operator_with_signature", "accept_curator"),
        ("it adds collateral to a position", _ANOTHER),
    ),
    **dict.fromkeys(
        ("set_caps", "pause_new_risk", "set_guardian", "transfer_curator",
         "announce_reserve_collection", "collect_reserve"),
        (_CHECKED, _ANOTHER),
    ),
}  # fmt: skip
"""By function: its flaw in words, and what the fault that is found must say."""


def broken_vault() -> Artifact:
    """Return the vault with every flaw."""
    return load_broken("MarginVault", *_BREAKS)
