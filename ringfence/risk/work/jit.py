"""numba's `njit` whose machine code is kept on disk until any source that it may hold changes.

numba itself looks at a function's own file only, but the code of a callee is part of its caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

from ringfence.risk.work.sources import digest_of

F = TypeVar("F", bound=Callable[..., Any])


class _Cache(FunctionCache):
    """Machine code beside the source, or below the user's cache; what is stale is overwritten."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            self.cache_path, self._impl.filename_base, digest_of(function.__module__)
        )


def njit(function: F) -> F:
    """Compile a function where it is first called; it runs without the interpreter's lock."""
    compiled: Any = numba.njit(nogil=True)(function)
    # numba raises it where no directory can be written; the function is then compiled every time.
    with suppress(RuntimeError):
        compiled._cache = _Cache(function)
    jitted: F = compiled
    return jitted
