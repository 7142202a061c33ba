"""A failing case as a test that can be pasted into tests/property/."""

from __future__ import annotations

import hashlib

from tests.support.model.play import BrokenRunError, failure

_IN_PROCESS = '''\
def test_vault__fuzzed_{digest}__equals_its_mirror() -> None:
    """{fault}"""
    from tests.support.model.actions import Action
    from tests.support.model.play import failure

    actions = [
{actions}
    ]
    found = failure({seed}, actions)
    assert found is None, found
'''
_ON_ANVIL = '''\
def test_vault__fuzzed_{digest}__equals_itself_on_anvil() -> None:
    """{fault}"""
    from tests.support.model.actions import Action
    from tests.support.model.play import failure
    from verification.fuzz.episodes import lockstep

    actions = [
{actions}
    ]
    with lockstep() as ground:
        found = failure({seed}, actions, ground)
    assert found is None, found
'''


def regression_test(error: BrokenRunError, *, on_anvil: bool = False) -> str:
    """Return the source of a pytest function that fails as the run did.

    A case of the anvil share that fails in process already needs no node.
    """
    form = _ON_ANVIL if on_anvil and failure(error.seed, error.actions) is None else _IN_PROCESS
    actions = "\n".join(f"        {action!r}," for action in error.actions)
    return form.format(
        digest=hashlib.sha256(actions.encode()).hexdigest()[:8],
        fault=str(error).splitlines()[0][:80].replace("\\", "/").replace('"', "'"),
        actions=actions,
        seed=error.seed,
    )
