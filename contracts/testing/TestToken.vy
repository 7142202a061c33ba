# pragma version 0.4.3
# pragma optimize gas
# pragma evm-version cancun
"""
@title Test Token
@license GNU Affero General Public License v3.0 only
@notice An ordinary ERC-20 token that anybody may mint, with as many decimals as asked for.
@dev Behaves: the doubles that do not are named by what they do.
"""

from ethereum.ercs import IERC20
from ethereum.ercs import IERC20Detailed

from . import plain_erc20

implements: IERC20
implements: IERC20Detailed

initializes: plain_erc20

exports: plain_erc20.__interface__


@deploy
def __init__(token_name: String[32], token_symbol: String[16], token_decimals: uint8):
    """
    @param token_name The token's name.
    @param token_symbol The token's ticker.
    @param token_decimals Decimal places of one whole token: 2, 6, 8 and 18 are those the tests use.
    """
    plain_erc20.__init__(token_name, token_symbol, token_decimals)
