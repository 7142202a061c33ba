"""The root of everything that the package raises."""


class RingfenceError(Exception):
    """The base of the package's errors: catch it to catch them all."""
