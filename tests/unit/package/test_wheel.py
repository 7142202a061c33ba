"""What `pip install` of the built package gives, and what it asks for."""

import json
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The package built as `make wheel` builds it, without a compiler and without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "flit_core.wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_wheel__built__holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "ringfence").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if name.startswith("ringfence/")}
    assert expected == held
    abis = [name for name in held if name.startswith("ringfence/abi/")]
    assert abis
    assert all(isinstance(json.loads(wheel.read(name)), list) for name in abis)


def test_wheel__base_install__needs_web3_and_eth_abi_alone(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = Parser().parsestr(wheel.read(name).decode())
    base = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert sorted(need.partition(">")[0] for need in base) == ["eth-abi", "web3"]
    assert metadata["License-Expression"] == "AGPL-3.0-only"


@pytest.mark.parametrize("lock", ["package-lock.json", "requirements/dev.txt"])
def test_lock__as_committed__names_no_registry_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for word in ("://", "--index-url", "--find-links", "file:", str(Path.home())):
        assert word not in text


def test_lock__as_committed__pins_every_package_by_hash() -> None:
    lines = (ROOT / "requirements/dev.txt").read_text().splitlines()
    pins = [number for number, line in enumerate(lines) if line and line[0] not in " #"]
    assert pins
    for number in pins:
        assert "==" in lines[number]
        assert lines[number + 1].strip().startswith("--hash=sha256:")
