"""Write `ringfence/abi/<Contract>.json` for every contract that is deployed, or check them."""

import argparse
import json
import sys
from pathlib import Path

from vyper.cli.vyper_compile import compile_files
from vyper.exceptions import VyperException

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ABIS = ROOT / "ringfence" / "abi"


def compiled() -> dict[Path, str]:
    """Return the text of each ABI file, by its path: one entry of the ABI a line."""
    sources = sorted(
        path
        for path in CONTRACTS.rglob("[A-Z]*.vy")
        if path.relative_to(CONTRACTS).parts[0] != "testing"
    )
    outputs = compile_files([str(path) for path in sources], ["abi"], paths=[str(ROOT)])
    texts = {}
    for source, output in outputs.items():
        entries = ",\n".join(json.dumps(entry) for entry in output["abi"])
        texts[ABIS / f"{Path(source).stem}.json"] = f"[\n{entries}\n]\n"
    return texts


def stored() -> dict[Path, str]:
    """Return the text of each ABI file as it stands, by its path."""
    return {path: path.read_text() for path in ABIS.glob("*.json")}


def main() -> int:
    """Write the ABI files, or with `--check` return 1 if they are not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="change nothing, fail if they differ")
    check_only = parser.parse_args().check

    try:
        new = compiled()
    except VyperException as error:
        print(error, file=sys.stderr)
        return 1
    old = stored()
    differing = sorted(path for path in new.keys() | old.keys() if new.get(path) != old.get(path))
    if check_only:
        for path in differing:
            print(f"{path.relative_to(ROOT)} is not what the compiler gives: make abi")
        return 1 if differing else 0
    ABIS.mkdir(exist_ok=True)
    for path in differing:
        if path in new:
            path.write_text(new[path])
        else:
            path.unlink()
        print(f"{path.relative_to(ROOT)} {'written' if path in new else 'removed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
