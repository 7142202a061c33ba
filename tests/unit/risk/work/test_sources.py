"""Digests of code, and machine code that does not outlive the source of what it calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.risk.errors import RiskError
from ringfence.risk.work.sources import digest_of, sources_of

ROOT = Path(__file__).parents[4]
CALLEE = "from ringfence.risk.work.jit import njit\n\n@njit\ndef add(x):\n    return x + {}\n"
CALLER = (
    "from {} import njit\nfrom jitted.callee import add\n\n@njit{}\ndef f(x):\n    return add(x)\n"
)
SHOWN = """
import json
from jitted import ours, numbas
print(json.dumps([of.f(1) for of in (ours, numbas)] + [len(ours.f.stats.cache_hits)]))
"""


def run(code: str, at: Path, **env: str) -> object:
    """Return the JSON that a fresh process prints, which finds modules in `at` first."""
    path = os.pathsep.join((str(at), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path, **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def jitted(at: Path) -> Path:
    """Write a package in which two callers, one jitted by us and one by numba, share a callee."""
    package = at / "jitted"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "callee.py").write_text(CALLEE.format(10))
    (package / "ours.py").write_text(CALLER.format("ringfence.risk.work.jit", ""))
    (package / "numbas.py").write_text(CALLER.format("numba", "(cache=True)"))
    return package


def test_njit__callee_in_another_file_changed__is_compiled_anew_as_numba_does_not(
    tmp_path: Path,
) -> None:
    package = jitted(tmp_path)
    assert run(SHOWN, tmp_path) == [11, 11, 0]
    assert run(SHOWN, tmp_path) == [11, 11, 1]
    (package / "callee.py").write_text(CALLEE.format(100))
    assert run(SHOWN, tmp_path) == [101, 11, 0]
    kept = [one.name for one in (package / "__pycache__").glob("ours.*.nbc")]
    assert len(kept) == 1


def test_njit__nowhere_to_keep_it__works(tmp_path: Path) -> None:
    package = jitted(tmp_path)
    (package / "__pycache__").touch()
    code = "from jitted.ours import f; print(f(1), end='')"
    assert run(code, tmp_path, XDG_CACHE_HOME="/dev/null", HOME="/dev/null") == 11


SOURCES = {
    "__init__": "",
    "task": "from watched.helper import a\nfrom . import beside\nfrom .near import b\n",
    "beside": "",
    "near": "b = 1\n",
    "helper": "def a():\n    import watched.deep as deep\n    return deep\n",
    "deep": "",
    "aside": "",
}


def digest(at: Path, changed: str = "") -> str:
    """Return the digest of a package's task, one of whose sources may have changed."""
    (at / "watched").mkdir(parents=True)
    for name, source in SOURCES.items():
        (at / "watched" / f"{name}.py").write_text(source + "# changed" * (name == changed))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(at))
        digest_of.cache_clear()
        return digest_of("watched.task")


@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        ("", False), ("task", True), ("helper", True), ("deep", True), ("aside", False),
        ("beside", True), ("near", True), ("__init__", True),
    ],
)  # fmt: skip
def test_digest_of__a_source_changed__is_another_where_it_is_imported(
    tmp_path: Path, changed: str, is_another: bool
) -> None:
    assert (digest(tmp_path / "now", changed) != digest(tmp_path / "before")) == is_another


def test_digest_of__no_file__refused() -> None:
    with pytest.raises(RiskError, match="the code of __main__ is in no file"):
        digest_of("__main__")


def test_sources_of__a_task__all_that_python_imports_of_the_engine() -> None:
    code = "import sys, json, ringfence.risk.answers.choose; print(json.dumps(list(sys.modules)))"
    loaded = run(code, ROOT)
    assert isinstance(loaded, list)
    engine = {name for name in loaded if name.startswith("ringfence.risk.")}
    found = sources_of("ringfence.risk.answers.choose")
    assert len(engine) > 10
    assert engine <= set(found)
    assert "ringfence.deploy.market" in found
    assert "ringfence.math.liquidation" in found
