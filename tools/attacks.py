"""Write docs/attacks.md from the attack tests' catalogue, or `--json` to print the entries."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from tests.unit.contracts.attacks.catalogue import CLASSES, Attack, collect

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/attacks.md"
HEADER = """# Known attacks

Each test below runs its attack twice: on the real sources less the guard named, where it works, and
on the real contract, where it fails. So the guard is known to stop it, and nothing else. Written by
`python -m tools.attacks` from the tests; run them with `pytest tests/unit/contracts/attacks`.
"""


def render() -> str:
    """Return the page: a section a class, a paragraph an attack."""
    attacks = collect().values()
    parts = [HEADER]
    for title in CLASSES:
        shown = [_paragraph(attack) for attack in attacks if attack.title == title]
        if shown:
            parts += [f"\n## {title[0].upper()}{title[1:]}\n", *shown]
    return "".join(parts)


def _paragraph(attack: Attack) -> str:
    path, name = attack.test.split("::")
    seen = f"- Seen: {attack.seen}\n" if attack.seen else ""
    return (
        f"\n[{name}](../{path})\n\n- Guard: {attack.guard}\n- Without it: {attack.without}\n"
        f"- Here: {attack.here}\n{seen}"
    )


def main() -> None:
    """Write the page, or print the entries."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print the entries, write nothing")
    if parser.parse_args().json:
        print(json.dumps([asdict(attack) for attack in collect().values()], indent=2))
        return
    (ROOT / PAGE).write_text(render())
    print(f"{PAGE} written")


if __name__ == "__main__":
    main()
