"""A signature used where, when or as often as its signer never meant."""

from __future__ import annotations

from typing import NamedTuple

from ringfence.evm import Engine, load
from ringfence.evm.artifacts import Artifact
from tests.support.broken import Break
from tests.support.market import (
    CASH,
    LENDER,
    MAX_UINT256,
    NOBODY,
    OPERATOR,
    STRANGER,
    TRADER,
    WETH,
    WITHDRAW,
    Market,
    SignedOperator,
    SignedPermit,
    deploy_market,
    position_id,
    sign_operator,
    sign_permit,
)
from tests.unit.contracts.attacks.catalogue import attack

SIGNATURES = "modules/signatures.vy"
DOMAIN = "keccak256(abi_encode(_DOMAIN_TYPEHASH, _NAME_HASH, _VERSION_HASH, chain.id, self))"
OTHER_CHAIN = 10_001
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Of secp256k1: for each signature (r, s) there is another, (r, ORDER - s)."""


class Outcome(NamedTuple):
    """What a stranger has got, and why he was refused where he was."""

    gain: int
    reason: str | None


def twin(signed: SignedPermit) -> SignedPermit:
    """The other signature of the same key on the same message."""
    s = (ORDER - int.from_bytes(signed.s, "big")).to_bytes(32, "big")
    return signed._replace(v=55 - signed.v, s=s)


def spend(market: Market, signed: SignedPermit) -> Outcome:
    """Hand a permit in, and take the shares that it allows; the gain is in shares."""
    receipt = market.vault.permit(*signed, sender=STRANGER, check=False)
    if not receipt.success:
        return Outcome(0, receipt.revert_reason)
    before = market.shares_of(STRANGER)
    market.vault.transferFrom(signed.owner, STRANGER, signed.value, sender=STRANGER)
    return Outcome(market.shares_of(STRANGER) - before, None)


def empty_position(market: Market, signed: SignedOperator) -> Outcome:
    """Hand a grant in, and take the trader's collateral by it; the gain is in its units."""
    vault = market.vault
    receipt = vault.set_operator_with_signature(*signed, sender=STRANGER, check=False)
    if not receipt.success:
        return Outcome(0, receipt.revert_reason)
    vault.adjust(position_id(TRADER), -WETH, 0, STRANGER, b"", sender=STRANGER)
    return Outcome(market.collateral.balanceOf(STRANGER), None)


def replay_from_another_chain(market: Market) -> tuple[Outcome, Outcome]:
    """Both kinds of message, signed for the vault that has this address on another chain."""
    market.deposit(CASH)
    market.open(WETH)
    permit = sign_permit(market, LENDER, spender=STRANGER, value=700, chain_id=OTHER_CHAIN)
    grant = sign_operator(
        market, TRADER, operator=STRANGER, permissions=WITHDRAW, chain_id=OTHER_CHAIN
    )
    return spend(market, permit), empty_position(market, grant)


@attack(
    "signature replay across chains",
    guard="the chain's id is part of what is signed (signatures)",
    breaks=(Break(SIGNATURES, DOMAIN, DOMAIN.replace("chain.id", "convert(10_001, uint256)")),),
    without="one message, signed for every chain, takes shares and collateral on this one too",
    here="a message for another chain is no signature here",
    seen="Wintermute's Optimism wallet, June 2022: a deployment replayed from another chain",
)
def test_signature__of_the_same_vault_on_another_chain__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = replay_from_another_chain(deploy_market(engine, artifact=broken))
    assert works == (Outcome(700, None), Outcome(WETH, None)), "the double stands it"
    fails = replay_from_another_chain(deploy_market(engine, artifact=real))
    refused = Outcome(0, "signature is invalid")
    assert fails == (refused, refused), "AUTH-1: another chain's signature worked"


@attack(
    "signature replay after a fork",
    guard="the domain is hashed anew for each message, with the chain's id of now (signatures)",
    breaks=(
        Break(
            SIGNATURES,
            "_NAME_HASH: immutable(bytes32)",
            f"_NAME_HASH: immutable(bytes32)\n_CHAIN: constant(uint256) = {OTHER_CHAIN}",
        ),
        Break(SIGNATURES, DOMAIN, DOMAIN.replace("chain.id", "_CHAIN")),
    ),
    without="a domain kept since the chain was 10,001 lets its messages count on the fork, 1",
    here="on the fork a message from before it is no signature",
    seen="EIP-2612, security considerations: a domain separator that is stored at deployment",
)
def test_signature__from_before_a_fork__is_refused_on_it(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    """The fork is the chain that tests run on; the double still holds what it was made with."""
    assert engine.chain_id != OTHER_CHAIN
    works = replay_from_another_chain(deploy_market(engine, artifact=broken))
    assert works == (Outcome(700, None), Outcome(WETH, None)), "the double stands it"
    market = deploy_market(engine, artifact=real)
    assert replay_from_another_chain(market)[0].gain == 0, "AUTH-1: a fork replayed a signature"
    now = sign_permit(market, LENDER, spender=STRANGER, value=700)
    assert spend(market, now).gain == 700, "AUTH-1: the chain's own signature does not work"


def replay_on_another_vault(markets: tuple[Market, Market], named: str | None) -> list[Outcome]:
    """One permit, signed for the first vault (or for `named`), handed in at both."""
    for market in markets:
        market.deposit(CASH)
    message = {} if named is None else {"vault": named}
    signed = sign_permit(markets[0], LENDER, spender=STRANGER, value=700, **message)
    return [spend(market, signed) for market in markets]


@attack(
    "signature replay across vaults",
    guard="the vault's address is part of what is signed (signatures)",
    breaks=(Break(SIGNATURES, DOMAIN, DOMAIN.replace("self", "empty(address)")),),
    without="one permit of 700 shares takes 700 in each of two vaults",
    here="it takes 700 in the vault that it names, and nothing in the other",
)
def test_permit__of_one_vault__is_refused_in_another_of_the_same_name(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    doubles = deploy_market(engine, artifact=broken), deploy_market(engine, artifact=broken)
    works = replay_on_another_vault(doubles, NOBODY)
    assert [one.gain for one in works] == [700, 700], f"the double stands it: {works}"
    vaults = deploy_market(engine, artifact=real), deploy_market(engine, artifact=real)
    fails = replay_on_another_vault(vaults, None)
    assert fails == [Outcome(700, None), Outcome(0, "signature is invalid")], (
        "AUTH-1: a signature worked in another vault"
    )


def replay_thrice(market: Market) -> list[Outcome]:
    """One permit handed in three times, each time after it was spent."""
    market.deposit(CASH)
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700)
    return [spend(market, signed) for _ in range(3)]


USED_NONCE = Break(SIGNATURES, "self.nonces[owner] = unsafe_add(nonce, 1)")


@attack(
    "signature replay of a nonce",
    guard="each message uses its nonce up (signatures)",
    breaks=(USED_NONCE,),
    without="one permit of 700 shares takes 2,100",
    here="one permit takes 700, once",
)
def test_permit__handed_in_again__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = replay_thrice(deploy_market(engine, artifact=broken))
    assert [one.gain for one in works] == [700] * 3, f"the double stands it: {works}"
    fails = replay_thrice(deploy_market(engine, artifact=real))
    refused = Outcome(0, "signature is invalid")
    assert fails == [Outcome(700, None), refused, refused], "AUTH-1: a signature worked twice"


def undo_a_revocation(market: Market) -> Outcome:
    """The owner's grant is used, then revoked; the operator hands it in once more."""
    market.open(WETH)
    signed = sign_operator(market, TRADER, operator=STRANGER, permissions=WITHDRAW)
    market.vault.set_operator_with_signature(*signed, sender=OPERATOR)
    market.vault.set_operator(STRANGER, 0, 0, sender=TRADER)
    return empty_position(market, signed)


@attack(
    "signature replay of a nonce",
    guard="each message uses its nonce up (signatures)",
    breaks=(USED_NONCE,),
    without="a revoked operator grants himself back what he had, and takes 1 WETH",
    here="the grant was good once; the revocation stands",
)
def test_grant__handed_in_again_after_a_revocation__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = undo_a_revocation(deploy_market(engine, artifact=broken))
    assert works.gain == WETH, f"the double stands it: {works}"
    fails = undo_a_revocation(deploy_market(engine, artifact=real))
    assert fails == Outcome(0, "signature is invalid"), "AUTH-1: a revocation was undone"


def spend_twin(market: Market) -> list[Outcome]:
    """A permit, the same again, and the other signature that its message has."""
    market.deposit(CASH)
    signed = sign_permit(market, LENDER, spender=STRANGER, value=700)
    return [spend(market, one) for one in (signed, signed, twin(signed))]


@attack(
    "malleable signature",
    guard="the nonce makes a message count once, whatever its signature looks like (signatures)",
    breaks=(
        USED_NONCE,
        Break(
            SIGNATURES,
            "@internal\n@view\ndef _check(",
            "_used: HashMap[bytes32, bool]\n\n\n@internal\ndef _check(",
        ),
        Break(
            SIGNATURES,
            "    valid: bool = False",
            "    valid: bool = False\n    assert not self._used[s], 'signature is used'\n"
            "    self._used[s] = True",
        ),
    ),
    without="a vault that remembers signatures, not nonces, pays 700 shares for each of two twins",
    here="the twin of a used signature is refused",
    seen="OpenZeppelin Contracts before 4.7.3: CVE-2022-35961, August 2022",
)
def test_permit__twin_of_a_used_signature__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = spend_twin(deploy_market(engine, artifact=broken))
    assert [one.gain for one in works] == [700, 0, 700], f"the double stands it: {works}"
    fails = spend_twin(deploy_market(engine, artifact=real))
    refused = Outcome(0, "signature is invalid")
    assert fails == [Outcome(700, None), refused, refused], "AUTH-1: a message counted twice"


def sign_for_nobody(market: Market) -> Outcome:
    """A signature that recovers to nobody, as an allowance of the zero address's."""
    permit = SignedPermit(
        NOBODY, STRANGER, MAX_UINT256, market.engine.timestamp, 0, b"\1" * 32, b"\1" * 32
    )
    receipt = market.vault.permit(*permit, sender=STRANGER, check=False)
    return Outcome(market.vault.allowance(NOBODY, STRANGER), receipt.revert_reason)


@attack(
    "signature of nobody",
    guard="the zero address, which a failed recovery gives, signs nothing (signatures)",
    breaks=(Break(SIGNATURES, "signer != empty(address) and "),),
    without="a signature of zeros allows all shares that the zero address has or will have",
    here="a recovery that fails is no signature",
)
def test_permit__of_the_zero_address__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = sign_for_nobody(deploy_market(engine, artifact=broken))
    assert works == Outcome(MAX_UINT256, None), f"the double stands it: {works}"
    fails = sign_for_nobody(deploy_market(engine, artifact=real))
    assert fails == Outcome(0, "signature is invalid"), "AUTH-1: nobody signed"


def speak_for_a_wallet(market: Market) -> Outcome:
    """A grant in the name of a contract wallet, which says of its signature that it is not one."""
    wallet = market.engine.deploy(load("ContractWallet"), TRADER)
    grant = sign_operator(market, STRANGER, owner=wallet, operator=STRANGER, permissions=WITHDRAW)
    receipt = market.vault.set_operator_with_signature(*grant, sender=STRANGER, check=False)
    permissions = market.vault.operator_permissions(wallet, STRANGER)[0]
    return Outcome(permissions, receipt.revert_reason)


@attack(
    "signature of nobody",
    guard="a contract must answer with the one value that ERC-1271 asks for (signatures)",
    breaks=(Break(SIGNATURES, "== _IS_VALID_SIGNATURE", "!= empty(bytes4)"),),
    without="a wallet's refusal, 0xffffffff, passes for its consent",
    here="a wallet that refuses has not signed",
)
def test_grant__that_the_contract_wallet_refuses__is_refused(
    engine: Engine, broken: Artifact, real: Artifact
) -> None:
    works = speak_for_a_wallet(deploy_market(engine, artifact=broken))
    assert works == Outcome(WITHDRAW, None), f"the double stands it: {works}"
    fails = speak_for_a_wallet(deploy_market(engine, artifact=real))
    assert fails == Outcome(0, "signature is invalid"), "AUTH-1: a contract was spoken for"
