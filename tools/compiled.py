"""Write `verification/compiled.json`, what the compiler makes of every contract, or check it.

Storage layout, immutables, transient lock, the two bytecodes' SHA-256 and size, compiler and
settings: a change of any of them must be acknowledged by writing the record anew.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from vyper import __version__
from vyper.cli.vyper_compile import compile_files
from vyper.exceptions import VyperException

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
RECORD = ROOT / "verification" / "compiled.json"
OUTPUTS = ["bytecode", "bytecode_runtime", "layout", "settings_dict"]


def _code(text: str) -> dict[str, Any]:
    code = bytes.fromhex(text.removeprefix("0x"))
    return {"sha256": hashlib.sha256(code).hexdigest(), "bytes": len(code)}


def compiled() -> dict[str, Any]:
    """Return the record of every contract that is deployed, by its name."""
    sources = sorted(
        path
        for path in CONTRACTS.rglob("[A-Z]*.vy")
        if path.relative_to(CONTRACTS).parts[0] != "testing"
    )
    outputs = compile_files([str(path) for path in sources], OUTPUTS, paths=[str(ROOT)])
    return {
        Path(source).stem: {
            "compiler": __version__,
            "settings": output["settings_dict"],
            "creation": _code(output["bytecode"]),
            "runtime": _code(output["bytecode_runtime"]),
            "layout": output["layout"],
        }
        for source, output in outputs.items()
    }


def differences(old: object, new: object, where: str = "") -> list[str]:
    """Return one line for each value that changed: where it stands, the old one, the new one."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in differences(old.get(key), new.get(key), f"{where}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{where}: {json.dumps(old)} -> {json.dumps(new)}"]


def main(arguments: list[str] | None = None) -> int:
    """Write the record, or with `--check` return 1 if it is not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if it differs")
    check_only = parser.parse_args(arguments).check
    try:
        new = compiled()
    except VyperException as error:
        print(error, file=sys.stderr)
        return 1
    old = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    changes = differences(old, new)
    for line in changes:
        print(line)
    if check_only:
        if changes:
            print("the compiled contracts changed; `make compiled` acknowledges it")
        return 1 if changes else 0
    RECORD.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
