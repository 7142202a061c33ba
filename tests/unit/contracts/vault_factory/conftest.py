"""The factory that these tests share."""

from tests.support.factory import draft, factory, standing_factory

__all__ = ["draft", "factory", "standing_factory"]
