"""Ringfence from Python: markets, positions and accounts that speak whole tokens.

    ringfence = Ringfence.open(web3, "deployments/1.json")
    market = ringfence.market("weth-usdc")
    trader = Trader(market, sender.address)
    quote = trader.quote_open(margin="1.5 WETH", leverage="4x")
    print(quote.liquidation_price, quote.interest_per_day, quote.greatest_loss)
    trader.open(quote).send(sender)

Needs web3.py and eth-abi only. Whatever a contract would refuse comes as a `RefusedError` of its
own class, with value, limit and next step, before anything is sent wherever that can be known.
"""

from ringfence.client.deployment import Account, Ringfence
from ringfence.client.errors import (
    AllowanceError,
    BalanceError,
    ClientError,
    DeploymentError,
    InputError,
    NodeError,
    TransactionError,
    WrongChainError,
)
from ringfence.client.governing import Governor
from ringfence.client.lending import Holding, Lender
from ringfence.client.market import Market, MarketState, Periphery, Position
from ringfence.client.node import (
    Node,
    Receipt,
    Sender,
    Transaction,
    Web3Node,
    Web3Sender,
    key_sender,
)
from ringfence.client.plan import Plan
from ringfence.client.quotes import CloseQuote, Outlook, Quote
from ringfence.client.refusals import REFUSALS, RefusedError, refusal
from ringfence.client.routes import Trade
from ringfence.client.signatures import OperatorGrant, submit, typed_data
from ringfence.client.trading import Trader
from ringfence.client.units import Token, parse_amount, parse_leverage, parse_share

__all__ = [
    "REFUSALS",
    "Account",
    "AllowanceError",
    "BalanceError",
    "ClientError",
    "CloseQuote",
    "DeploymentError",
    "Governor",
    "Holding",
    "InputError",
    "Lender",
    "Market",
    "MarketState",
    "Node",
    "NodeError",
    "OperatorGrant",
    "Outlook",
    "Periphery",
    "Plan",
    "Position",
    "Quote",
    "Receipt",
    "RefusedError",
    "Ringfence",
    "Sender",
    "Token",
    "Trade",
    "Trader",
    "Transaction",
    "TransactionError",
    "Web3Node",
    "Web3Sender",
    "WrongChainError",
    "key_sender",
    "parse_amount",
    "parse_leverage",
    "parse_share",
    "refusal",
    "submit",
    "typed_data",
]
