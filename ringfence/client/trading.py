"""A trader in one market: leveraged positions through the router, quoted before anything is signed.

Amounts are text such as "1.5 WETH", leverages such as "4x".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ringfence.client.errors import BalanceError, InputError
from ringfence.client.holding import Holder
from ringfence.client.market import Market, MarketState
from ringfence.client.node import Fact, Transaction
from ringfence.client.plan import Plan, approvals, read, transaction
from ringfence.client.quotes import CloseQuote, Outlook, Quote
from ringfence.client.routes import FEES, Trade, quote_trade
from ringfence.client.units import Token, parse_amount, parse_leverage, parse_share
from ringfence.evm.uniswap import encode_path
from ringfence.math.fixed_point import PRICE_SCALE
from ringfence.math.health import debt_up, repay_amounts, scaled_up, value_down
from ringfence.math.position_slot import PositionSlot

INCREASE, REDUCE, WITHDRAW = 1, 2, 4
"""Permission flags of an operator."""

DEADLINE = 1_200
"""For how long a routed transaction is good, seconds."""

SLIPPAGE = "0.5%"

ETHER = "ETH"
"""What the router wraps into WETH, and unwraps."""


@dataclass(frozen=True, slots=True)
class Trader(Holder):
    """A trader: what `Holder` can do, and trades through Uniswap on top."""

    def quote_open(
        self,
        margin: str,
        leverage: str,
        *,
        slippage: str = SLIPPAGE,
        salt: int | None = None,
        fees: Sequence[int] = FEES,
    ) -> Quote:
        """Return what opening a leveraged position would come to.

        `margin` is in the collateral or in the asset, or in ETH where one of them is WETH;
        `leverage` is the collateral over the margin.
        Raises InitialLtvError, MinDebtError and others for what the vault would refuse.
        """
        market, state = self.market, self.market.state()
        token, amount = parse_amount(margin, self._payable())
        times, share = Fraction(parse_leverage(leverage)), parse_share(slippage)
        if times == 1:
            raise InputError(f"{leverage!r} borrows nothing; pass more than 1x")
        in_asset = token.address == market.asset.address
        wanted = int(amount * (times if in_asset else times - 1))
        trade = quote_trade(
            market, market.asset, market.collateral, wanted, share, exact_in=in_asset, fees=fees
        )
        own_asset, own_collateral = (amount, 0) if in_asset else (0, amount)
        return self._quote(
            state,
            self.free_salt() if salt is None else salt,
            f"open {leverage} with {token.text(amount)}",
            trade,
            (token, amount),
            PositionSlot(own_collateral, 0, 0),
            own_asset,
        )

    def open(self, quote: Quote, *, deadline: int = DEADLINE) -> Plan:
        """Plan what was quoted by `quote_open`; `deadline` in seconds from now."""
        return self._increase("open", quote, deadline)

    def quote_leverage(
        self,
        salt: int,
        leverage: str,
        *,
        slippage: str = SLIPPAGE,
        fees: Sequence[int] = FEES,
    ) -> Quote:
        """Return what bringing an open position to a leverage would come to, with no new margin."""
        market, state = self.market, self.market.state()
        before = self._check_open(self.address, salt)
        times, share = Fraction(parse_leverage(leverage)), parse_share(slippage)
        if times == 1:
            raise InputError(f"{leverage!r} leaves no debt; close the position instead")
        price = market.usable(state.price_high)
        value = value_down(before.collateral, price)
        debt = debt_up(before.scaled_debt, state.sheet.debt_index)
        if value <= debt:
            raise InputError(
                f"the position is worth {market.asset.text(value)} and owes "
                f"{market.asset.text(debt)}: it has no equity to lever; top it up first"
            )
        wanted = int(times * (value - debt))
        units = abs(wanted - value) * PRICE_SCALE // price
        grows = wanted > value
        ends = (market.asset, market.collateral) if grows else (market.collateral, market.asset)
        trade = quote_trade(market, *ends, units, share, exact_in=not grows, fees=fees)
        title = f"bring position {salt} to {leverage}"
        none = market.collateral, 0
        if grows:
            return self._quote(state, salt, title, trade, none, before, 0)
        return self._quote_decrease(state, salt, title, trade, before)

    def set_leverage(self, quote: Quote, *, deadline: int = DEADLINE) -> Plan:
        """Plan what was quoted by `quote_leverage`; `deadline` in seconds from now."""
        if not quote.sells_collateral:
            return self._increase("increase", quote, deadline)
        trade = _trade(quote.trade)
        return self._plan(
            *self._router_permissions(REDUCE | WITHDRAW),
            transaction(
                "LeverageRouter",
                self.market.router,
                quote.title,
                "decrease",
                self.market.address,
                quote.salt,
                0,
                trade.swap,
                self.market.node.now() + deadline,
                False,
                facts=_trade_facts(self.market, quote.trade),
            ),
        )

    def quote_close(
        self,
        salt: int,
        *,
        pay_in: str | None = None,
        slippage: str = SLIPPAGE,
        fees: Sequence[int] = FEES,
    ) -> CloseQuote:
        """Return what closing a position out of its own collateral would pay.

        `pay_in` names the token paid out, ETH for WETH unwrapped; the collateral unless given.
        """
        market, share = self.market, parse_share(slippage)
        before, state = self._check_open(self.address, salt), market.state()
        token = market.collateral if pay_in is None else self._token(pay_in)
        debt = debt_up(before.scaled_debt, state.sheet.debt_index)
        in_asset = token.address == market.asset.address
        if debt == 0 and not in_asset:
            held = before.collateral
            # Only the router unwraps; it is asked to buy nothing.
            path = encode_path((market.collateral.address, market.asset.address), FEES[:1])
            trade = Trade(path, (), False, 0, 0, 0) if _is_ether(token) else None
            return CloseQuote(market, salt, trade, token, held, held, held, 0)
        trade = quote_trade(
            market,
            market.collateral,
            market.asset,
            before.collateral if in_asset else debt,
            share,
            exact_in=in_asset,
            fees=fees,
        )
        if in_asset:
            paid, least = trade.bought - debt, trade.least_bought - debt
        else:
            paid, least = before.collateral - trade.sold, before.collateral - trade.most_sold
        if paid < 0:
            raise InputError(
                f"selling the collateral does not repay {market.asset.text(debt)}: the position "
                "is under water; repay with your own assets, or leave it"
            )
        return CloseQuote(market, salt, trade, token, paid, max(least, 0), before.collateral, debt)

    def close_by_trade(self, quote: CloseQuote, *, deadline: int = DEADLINE) -> Plan:
        """Plan what was quoted by `quote_close`; `deadline` in seconds from now."""
        if quote.trade is None:
            return self.close(quote.salt)
        return self._plan(
            *self._router_permissions(REDUCE | WITHDRAW),
            transaction(
                "LeverageRouter",
                self.market.router,
                f"close position {quote.salt} for {quote.paid_in.text(quote.paid)}",
                "close",
                self.market.address,
                quote.salt,
                quote.trade.path,
                quote.trade.exact_in,
                quote.least_paid,
                self.market.node.now() + deadline,
                _is_ether(quote.paid_in),
                facts=_trade_facts(self.market, quote.trade),
            ),
        )

    def revoke(self) -> Plan:
        """Plan to take back whatever the router may do with this account's positions here.

        Raises InputError when it may do nothing.
        """
        market = self.market
        if not market.read("operator_permissions", self.address, market.router)[0]:
            raise InputError(
                f"the router has no permission in {market.name} from {self.address}; there is "
                "nothing to take back"
            )
        return self._plan(
            transaction(
                "MarginVault",
                market.address,
                f"forbid the router to act on your positions in {market.name}",
                "set_operator",
                market.router,
                0,
                0,
            )
        )

    # Inside

    def _payable(self) -> tuple[Token, ...]:
        """Return the market's tokens, and ether under its own name where one of them is WETH."""
        tokens = (self.market.collateral, self.market.asset)
        weth = read(self.market.node, "LeverageRouter", self.market.router, "weth")
        return tokens + tuple(replace(one, symbol=ETHER) for one in tokens if one.address == weth)

    def _token(self, symbol: str) -> Token:
        payable = self._payable()
        for token in payable:
            if token.symbol.lower() == symbol.lower():
                return token
        names = " or ".join(token.symbol for token in payable)
        raise InputError(f"{symbol} is not a token of {self.market.name}; pass {names}")

    def _margin(self, token: Token, amount: int) -> tuple[Transaction, ...]:
        """Return the approvals for a margin; raise BalanceError when it is not there."""
        node = self.market.node
        if not _is_ether(token):
            router = self.market.router
            return approvals(node, token, self.address, router, amount, "the router")
        if (held := node.balance(self.address)) < amount:
            raise BalanceError(
                f"{self.address} holds {token.text(held)}, {token.text(amount)} are needed, and "
                "gas; send it more, or take a smaller amount"
            )
        return ()

    def _router_permissions(self, needed: int) -> tuple[Transaction, ...]:
        """Return the transaction that lets the router act on this account's positions."""
        granted, bound = self.market.read("operator_permissions", self.address, self.market.router)
        if granted & needed == needed:
            return ()
        what = f"let the router act on your positions in {self.market.name}"
        return (
            transaction(
                "MarginVault",
                self.market.address,
                what,
                "set_operator",
                self.market.router,
                granted | needed,
                bound,
            ),
        )

    def _quote(
        self,
        state: MarketState,
        salt: int,
        title: str,
        trade: Trade,
        margin: tuple[Token, int],
        before: PositionSlot,
        own_asset: int,
    ) -> Quote:
        """Return the quote of a growing position; `before` holds the margin in collateral."""
        market, index = self.market, state.sheet.debt_index
        borrowed, most = trade.sold - own_asset, trade.most_sold - own_asset
        scaled = before.scaled_debt + scaled_up(borrowed, index)
        debt = debt_up(scaled, index)
        after = PositionSlot(before.collateral + trade.bought, scaled, 0)
        self._check(state, before, after, self._facts(state, before, after, 0, borrowed))
        price = market.usable(state.price_high)
        token, amount = margin
        return Quote(
            market=market,
            salt=salt,
            title=title,
            trade=trade,
            margin_token=token,
            margin=amount,
            expected=Outlook(market, after.collateral, debt, price),
            worst=Outlook(
                market, before.collateral + trade.least_bought, debt - borrowed + most, price
            ),
            interest_units=market.interest_per_day(state, borrowed, scaled),
            opens=amount > 0,
        )

    def _quote_decrease(
        self, state: MarketState, salt: int, title: str, trade: Trade, before: PositionSlot
    ) -> Quote:
        market, index = self.market, state.sheet.debt_index
        price = market.usable(state.price_high)

        def outlook(bought: int) -> tuple[int, Outlook]:
            least = market.params.min_debt
            retired = repay_amounts(before.scaled_debt, index, bought, least)[0]
            left = before.scaled_debt - retired
            debt = debt_up(left, index)
            return left, Outlook(market, before.collateral - trade.sold, debt, price)

        scaled, expected = outlook(trade.bought)
        return Quote(
            market=market,
            salt=salt,
            title=title,
            trade=trade,
            margin_token=market.collateral,
            margin=0,
            expected=expected,
            worst=outlook(trade.least_bought)[1],
            interest_units=market.interest_per_day(state, -trade.bought, scaled),
            opens=False,
        )

    def _increase(self, name: str, quote: Quote, deadline: int) -> Plan:
        market, trade = self.market, _trade(quote.trade)
        token = quote.margin_token
        allowed = self._margin(token, quote.margin) if quote.margin else ()
        state, before = market.state(), market.slot(self.address, quote.salt)
        borrowed = trade.sold - (quote.margin if token.address == market.asset.address else 0)
        after, _moved = self._after(state, before, 0, borrowed)
        facts = self._facts(state, before, after, 0, borrowed) | _trade_facts(market, trade)
        return self._plan(
            *self._router_permissions(INCREASE),
            *allowed,
            transaction(
                "LeverageRouter",
                market.router,
                quote.title,
                name,
                market.address,
                quote.salt,
                token.address,
                quote.margin,
                trade.swap,
                market.node.now() + deadline,
                value=quote.margin if _is_ether(token) else 0,
                facts=facts,
            ),
        )


def _is_ether(token: Token) -> bool:
    return token.symbol == ETHER


def _trade(trade: Trade | None) -> Trade:
    if trade is None:
        raise InputError("the quote holds no trade; quote again")
    return trade


def _trade_facts(market: Market, trade: Trade | None) -> dict[str, Fact]:
    if trade is None:
        return {}
    ends = (market.asset, market.collateral)
    if trade.path[:20] == bytes.fromhex(market.collateral.address[2:]):
        ends = (market.collateral, market.asset)
    return {
        "bought is below the limit": (None, ends[1].text(trade.least_bought)),
        "sold is above the limit": (None, ends[0].text(trade.most_sold)),
    }
