"""A contract that does, on request, whatever a chain must be able to show."""

PROBE = """
# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on

struct Pair:
    left: uint256
    right: int256

event Stored:
    owner: indexed(address)
    key: indexed(uint256)
    note: String[40]
    pair: Pair

event Bare:
    pass

words: HashMap[uint256, uint256]
last: public(Pair)
origin: public(address)

@deploy
@payable
def __init__(first: uint256):
    assert first != 13, "thirteen is refused"
    self.words[0] = first
    self.origin = msg.sender
    log Bare()

@external
@payable
def store(key: uint256, note: String[40], pair: Pair) -> Pair:
    self.words[key] = pair.left
    self.last = pair
    log Stored(owner=msg.sender, key=key, note=note, pair=pair)
    return pair

@external
def swap(first: uint256, second: uint256 = 1):
    left: uint256 = self.words[first]
    self.words[first] = self.words[second]
    self.words[second] = left

@external
def clear(keys: DynArray[uint256, 20]):
    for key: uint256 in keys:
        self.words[key] = 0
        log Bare()

@external
def fail(reason: String[40]):
    log Bare()
    self.words[7] = 7
    raise reason

@external
def fail_raw(data: Bytes[100]):
    raw_revert(data)

@external
def fail_bare():
    raise

@external
def overflow(number: uint256) -> uint256:
    return number + 1

@external
def stop():
    raise UNREACHABLE

@external
def burn(rounds: uint256) -> uint256:
    total: uint256 = 0
    for i: uint256 in range(rounds, bound=1_000_000):
        total = total ^ i
    self.words[1] = total
    return total

@external
def reenter() -> uint256:
    return extcall Self(self).touch()

@external
def touch() -> uint256:
    return 1

interface Self:
    def touch() -> uint256: nonpayable

@external
@view
def word(key: uint256) -> uint256:
    return self.words[key]

@external
@view
def clock() -> (uint256, uint256):
    return block.timestamp, chain.id

@external
@view
def gas_left() -> uint256:
    return msg.gas

@external
@payable
def __default__():
    pass
"""
