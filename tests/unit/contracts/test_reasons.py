"""The vault's table of reasons: each word is the text beside it."""

from __future__ import annotations

import re

from ringfence.evm.artifacts import ROOT

TABLE = (ROOT / "contracts/modules/errors.vy").read_text()
ROWS = re.findall(r"^(\w+): constant\(bytes32\) = 0x(\w{64})  # (.+)$", TABLE, re.M)


def test_reasons__every_constant__is_its_text_in_one_word() -> None:
    assert len(ROWS) == TABLE.count("constant(bytes32)")
    for name, word, text in ROWS:
        assert bytes.fromhex(word) == text.encode().ljust(32, b"\0"), name


def test_reasons__every_constant__is_raised_somewhere() -> None:
    sources = [ROOT / "contracts/MarginVault.vy", *(ROOT / "contracts/modules").glob("*.vy")]
    code = "\n".join(path.read_text() for path in sources)
    for name, _, text in ROWS:
        assert re.search(rf"_raise\((errors\.)?{name}\)", code), f"{text} is never raised"
    assert len({text for _, _, text in ROWS}) == len(ROWS)


def test_reasons__module_sources__raise_from_the_table_only() -> None:
    for path in [ROOT / "contracts/MarginVault.vy", *(ROOT / "contracts/modules").glob("*.vy")]:
        text = path.read_text()
        code = re.sub(r'""".*?"""', "", text, flags=re.S)
        assert not re.search(r"^\s*(assert|raise) ", code, re.M), path.name
