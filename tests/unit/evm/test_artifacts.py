"""Artifacts: compiled once, again when a source has changed, refused with a reason."""

import json
from pathlib import Path

import pytest

from ringfence.evm import (
    ArtifactError,
    EncodingError,
    InProcessEngine,
    artifacts,
    compile_source,
    load,
    load_npm,
)

POSITIONS = "@uniswap/v3-periphery/artifacts/contracts/NonfungiblePositionManager"
HEAD = "# pragma version 0.4.3\n# pragma evm-version cancun\n"
COUNTER = HEAD + (
    "from ..modules import steps\n"
    "count: public(uint256)\n"
    "@external\ndef add():\n    self.count += steps.SIZE\n"
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "contracts" / "core").mkdir(parents=True)
    (tmp_path / "contracts" / "modules").mkdir()
    (tmp_path / "contracts" / "core" / "Counter.vy").write_text(COUNTER)
    (tmp_path / "contracts" / "modules" / "steps.vy").write_text(
        HEAD + "SIZE: constant(uint256) = 1\n"
    )
    return tmp_path


def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files compiled from now on."""
    seen: list[str] = []
    original = artifacts._compile

    def spy(source: str, path: Path, root: Path) -> object:
        seen.append(path.stem)
        return original(source, path, root)

    monkeypatch.setattr(artifacts, "_compile", spy)
    return seen


def counted(repository: Path) -> int:
    counter = InProcessEngine().deploy(load("Counter", root=repository))
    counter.add()
    count: int = counter.count()
    return count


def test_load__nothing_changed__compiled_once(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = compilations(monkeypatch)
    assert load("Counter", root=repository) == load("Counter", root=repository)
    assert seen == ["Counter"]
    assert [file.name for file in (repository / ".cache" / "artifacts").iterdir()] == [
        "Counter.json"
    ]


def test_load__imported_module_changed__compiled_again(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = compilations(monkeypatch)
    assert counted(repository) == 1
    module = repository / "contracts" / "modules" / "steps.vy"
    module.write_text(module.read_text().replace("= 1", "= 20"))
    assert counted(repository) == 20
    assert seen == ["Counter", "Counter"]


def test_load__other_compiler__compiled_again(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("Counter", root=repository)
    seen = compilations(monkeypatch)
    monkeypatch.setattr(artifacts, "_compiler", lambda: "vyper 9.9.9")
    load("Counter", root=repository)
    assert seen == ["Counter"]


def test_load__unknown_or_ambiguous_name__error_names_the_files(repository: Path) -> None:
    with pytest.raises(ArtifactError, match=r"there is no Nothing\.vy under"):
        load("Nothing", root=repository)
    load("Counter", root=repository)
    (repository / "contracts" / "modules" / "Counter.vy").write_text(COUNTER)
    artifacts._sources.cache_clear()
    with pytest.raises(
        ArtifactError, match=r"ambiguous: contracts/core/Counter\.vy, contracts/mod"
    ):
        load("Counter", root=repository)


def test_load__moved_source__found_in_its_new_place(repository: Path) -> None:
    load("Counter", root=repository)
    old = repository / "contracts" / "core" / "Counter.vy"
    old.rename(repository / "contracts" / "modules" / "Counter.vy")
    assert load("Counter", root=repository).name == "Counter"


def test_compile_source__wrong_source__error_with_the_compiler_s_words() -> None:
    with pytest.raises(ArtifactError, match=r"Broken\.vy does not compile: .*'nothing'"):
        compile_source(HEAD + "@external\ndef f():\n    nothing = 1\n", "Broken")


def test_initcode__wrong_number_of_arguments__error_lists_them() -> None:
    weth = load_npm("canonical-weth/build/contracts/WETH9.json")
    with pytest.raises(EncodingError, match=r"WETH9's constructor takes \(\), 0 in all; 1 were"):
        weth.initcode(1)
    with pytest.raises(EncodingError, match=r"TestToken's constructor takes \(string token_name, "):
        load("TestToken").initcode()


def test_slot__variables_of_the_contract_and_of_modules__from_the_layout() -> None:
    token = load("TestToken")
    assert token.slot("plain_erc20", "totalSupply") == 2
    with pytest.raises(ArtifactError, match=r"TestToken has no storage variable plain_erc20\.debt"):
        token.slot("plain_erc20", "debt")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"abi": [], "bytecode": "0x"}, "comes without bytecode"),
        ({"abi": []}, "comes without bytecode"),
        ({"abi": [], "bytecode": "0x60__$lib$__00"}, "must be linked"),
    ],
)
def test_load_npm__unusable_file__reason(
    tmp_path: Path, content: dict[str, object], problem: str
) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "X.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=f"X {problem}"):
        load_npm("X.json", root=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {"abi": [], "bytecode": "0x6001"},
        {"abi": [], "bytecode": {"object": "0x6001"}, "deployedBytecode": {"object": "0x"}},
        {
            "contractName": "X",
            "compilerOutput": {"abi": [], "evm": {"bytecode": {"object": "6001"}}},
        },
    ],
)
def test_load_npm__every_form__creation_code_read(
    tmp_path: Path, content: dict[str, object]
) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "X.json").write_text(json.dumps(content))
    assert load_npm("X.json", root=tmp_path).creation == b"\x60\x01"


def test_load_npm__missing__says_how_to_get_it() -> None:
    with pytest.raises(ArtifactError, match="make setup"):
        load_npm("nobody/nothing.json")


@pytest.mark.parametrize(
    "path",
    [
        "@chainlink/contracts/abi/v0.6/MockV3Aggregator.json",
        "@uniswap/v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json",
        "@uniswap/v3-periphery/artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json",
        f"{POSITIONS}.sol/NonfungiblePositionManager.json",
    ],
)
def test_load_npm__the_parts_the_demo_needs__have_code_and_abi(path: str) -> None:
    artifact = load_npm(path)
    assert len(artifact.creation) > 1_000
    assert artifact.abi
