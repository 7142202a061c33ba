"""The few ERC-20 and feed calls that a deployment makes."""

from __future__ import annotations

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from ringfence.deploy.deployer import Deployer
from ringfence.deploy.errors import PlanError
from ringfence.evm.abi import AbiValue
from ringfence.evm.errors import Reverted


def erc20_call(signature: str, *values: AbiValue) -> bytes:
    """Return the calldata of a function given as `name(type,...)`."""
    inside = signature[signature.index("(") + 1 : -1]
    kinds = inside.split(",") if inside else []
    return keccak(text=signature)[:4] + encode(kinds, values)


def read(
    deployer: Deployer, address: str, signature: str, outputs: list[str], *values: AbiValue
) -> AbiValue:
    """Return what a view answers: one value, or a tuple of several.

    Raises PlanError when it reverts or its answer does not decode.
    """
    try:
        output = deployer.call(address, erc20_call(signature, *values))
        answer = decode(outputs, output)
    except Reverted as error:
        raise PlanError(f"{address} refuses {signature}: {error}; is it the right one?") from None
    except DecodingError:
        raise PlanError(f"{address} does not answer {signature}; is it the right one?") from None
    return answer if len(outputs) > 1 else answer[0]


def decimals(deployer: Deployer, token: str) -> int:
    """Return a token's, or a feed's, decimal places."""
    return int(read(deployer, token, "decimals()", ["uint8"]))


def balance_of(deployer: Deployer, token: str, account: str) -> int:
    """Return what an account holds, in the token's units."""
    return int(read(deployer, token, "balanceOf(address)", ["uint256"], account))


def allowance(deployer: Deployer, token: str, owner: str, spender: str) -> int:
    """Return what a spender may take of an owner's, in the token's units."""
    return int(read(deployer, token, "allowance(address,address)", ["uint256"], owner, spender))


def latest_answer(deployer: Deployer, feed: str) -> tuple[int, int]:
    """Return a Chainlink feed's answer in its units, and when it was given, in unix seconds."""
    outputs = ["uint80", "int256", "uint256", "uint256", "uint80"]
    round_data = read(deployer, feed, "latestRoundData()", outputs)
    return int(round_data[1]), int(round_data[3])
