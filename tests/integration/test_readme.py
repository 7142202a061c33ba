"""What README and guides tell people to type exists, and does what they say."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from ape.cli import ConnectedProviderCommand

from ringfence.client.engines import EngineNode
from ringfence.client.market import Periphery
from ringfence.evm import load
from ringfence.evm.anvil import AnvilEngine, launch
from tests.support.client import Desk
from tests.support.deployment import ROOT, testnet
from tests.support.periphery import build_stage

__all__ = ["testnet"]

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CHAIN_ID = 31_337


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(text: str, start: str) -> list[list[str]]:
    """The command lines of a page that begin so, as words, comments left out."""
    lines = [
        line.removeprefix("$ ")
        for block in blocks(text, "(?:sh|console)")
        for line in (block[0] if isinstance(block, tuple) else block).splitlines()
    ]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in joined if line.startswith(start)]


def page_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def node() -> Iterator[AnvilEngine]:
    with launch(chain_id=CHAIN_ID) as engine, engine.automining():
        yield engine


def test_readme__six_lines_of_python__open_a_position(
    node: AnvilEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = build_stage(node)
    lens = node.deploy(load("VaultLens"))
    desk = Desk(stage, lens, EngineNode(node), Periphery(lens.address), *[None] * 2)  # type: ignore[arg-type]
    record = json.loads(desk.record(tmp_path).read_text())
    record["contracts"]["vaults/weth-usdc-conservative"] = record["contracts"]["vaults/weth-usdc"]
    path = tmp_path / "renamed.json"
    path.write_text(json.dumps(record))
    [block] = blocks(README, "python")
    for written, here in {
        "http://127.0.0.1:8545": node.url,
        "out/deployments/31337.json": str(path),
    }.items():
        assert written in block
        block = block.replace(written, here)

    said: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), said)

    [position] = said["market"].positions(said["market"].position_ids(said["trader"].address))
    assert abs(float(position.collateral) - 6) < 0.01
    price, interest, loss = map(float, capsys.readouterr().out.split())
    assert price == pytest.approx(float(position.liquidation_price or 0), rel=1e-4)
    assert interest >= 0
    assert loss == 1.5


def test_readme__rehearsal_of_a_testnet__deploys(testnet: AnvilEngine, tmp_path: Path) -> None:
    [words] = [one for one in commands(README, "ape run deploy") if "sepolia-fork" in " ".join(one)]
    ape, *arguments = words
    markets = sorted((ROOT / "markets").glob("*.toml"))
    at = arguments.index("markets/*.toml")
    arguments[at : at + 1] = map(str, markets)
    record = tmp_path / "record.json"
    paths = [str(Path(sys.executable).parent), str(ROOT / "node_modules/.bin"), os.environ["PATH"]]
    done = subprocess.run(
        [Path(sys.executable).parent / ape, *arguments, "--yes", "--record", record],
        cwd=ROOT,
        env=os.environ | {"SEPOLIA_RPC_URL": testnet.url, "PATH": ":".join(paths)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    contracts = json.loads(record.read_text())["contracts"]
    assert {f"vaults/{path.stem}" for path in markets} <= contracts.keys()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_pages__make_commands__exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?:`|^|\n)make ([a-z-]+)", page.read_text(encoding="utf-8")))
    assert named <= targets


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The click command of `ape run ...`, and what follows its name."""
    _ape, _run, name, *rest = words
    command: click.Command = importlib.import_module(f"scripts.{name}").cli
    while isinstance(command, click.Group):
        if (not rest or rest[0].startswith("-")) and hasattr(command, "default"):
            rest = [command.default, *rest]
        assert rest, f"{' '.join(words)}: a command is missing"
        verb, *rest = rest
        assert verb in command.commands, f"{' '.join(words)}: there is no {verb}"
        command = command.commands[verb]
    return command, rest


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_pages__ape_commands__exist_with_their_options(page: Path) -> None:
    for words in commands(page.read_text(encoding="utf-8"), "ape run"):
        command, rest = find_command(words)
        known = {option for parameter in command.params for option in parameter.opts}
        if isinstance(command, ConnectedProviderCommand):
            known.add("--network")
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given <= known, f"{' '.join(words)}: unknown options {given - known}"
        for word in rest:
            if word.startswith("markets/"):
                assert list(ROOT.glob(word)), f"{' '.join(words)}: there is no {word}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_pages__links_within__lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / path) if path else page
        assert found.exists(), f"{page_id(page)} links to {target}"
        if anchor and found.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in titles}
            assert anchor in slugs, f"{page_id(page)} links to {target}"


ROWS = {
    "lender deposit": "deposit",
    "open: collateral and borrow": "open",
    "top up": "top_up",
    "close: repay and withdraw all": "close",
    "liquidate in part": "liquidate_partial",
}


def test_readme__gas_table__agrees_with_gas_json() -> None:
    gas = json.loads((ROOT / "benchmarks/gas.json").read_text())
    peers = ("Morpho Blue", "Fraxlend", "Euler v2")
    for words, name in ROWS.items():
        own = gas["operations"][name]["normalised"]
        figures = [own, *(gas["peers"]["operations"][name][peer] for peer in peers)]
        [row] = re.findall(rf"^\| {words} \| (.+) \|$", README, re.M)
        written = [int(cell.replace(",", "")) for cell in row.split(" | ")]
        # As much as `make test` lets an operation grow unnoticed, and the rounding to hundreds.
        assert written == pytest.approx(figures, abs=50 + own // 200), f"{words}: now {figures}"
