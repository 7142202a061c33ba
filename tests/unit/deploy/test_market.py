"""Market files: what is committed is sound, and each bound is told with its value and next step."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from ringfence.deploy import FileError, MarketFile, load_market
from ringfence.deploy.files import parse
from ringfence.deploy.market import largest_beta_max
from tests.support.deployment import MARKETS, ROOT, market_path

TEXT = market_path("weth-usdc-conservative").read_text()


def changed(line: str, new: str) -> str:
    """The conservative market with one line replaced; comments behind values are left out."""
    lines = [one.partition(" #")[0] for one in TEXT.splitlines()]
    assert lines.count(line) == 1, line
    return "\n".join(new if one == line else one for one in lines)


def problem(text: str) -> str:
    with pytest.raises(FileError) as caught:
        parse(text, MarketFile, "m.toml")
    assert all(one.startswith("m.toml: ") for one in str(caught.value).splitlines())
    return str(caught.value).removeprefix("m.toml: ")


@pytest.mark.parametrize("market_id", MARKETS)
def test_load_market__committed_file__is_sound(market_id: str) -> None:
    market = load_market(market_path(market_id))
    assert market.id == market_id
    assert {market.file.collateral, market.file.asset} == {"WETH", "USDC"}


def test_load_market__committed_files__are_these_three() -> None:
    assert {path.stem for path in (ROOT / "markets").glob("*.toml")} == set(MARKETS)


@pytest.mark.parametrize(
    ("market_id", "ltvs"),
    [
        ("weth-usdc-conservative", ("0.80", "0.83", "0.86")),
        ("weth-usdc-high-leverage", ("0.90", "0.915", "0.93")),
        ("usdc-weth-short", ("0.80", "0.83", "0.86")),
    ],
)
def test_load_market__committed_file__has_its_ltvs(
    market_id: str, ltvs: tuple[str, str, str]
) -> None:
    risk = load_market(market_path(market_id)).file.risk
    found = risk.initial_ltv, risk.target_ltv, risk.liquidation_ltv
    assert found == tuple(Decimal(ltv) for ltv in ltvs)


def test_load_market__no_such_file__one_line(tmp_path: Path) -> None:
    with pytest.raises(
        FileError, match=r"none\.toml: cannot be read: No such file.*; pass another"
    ):
        load_market(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["Weth", "weth_usdc", "-weth", "a b"])
def test_load_market__bad_file_name__one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.toml"
    path.write_text(TEXT)
    with pytest.raises(FileError, match="is no market id; name the file in lower case"):
        load_market(path)


def test_parse__not_toml__one_line() -> None:
    assert problem("name = ").startswith("is not TOML: ")


@pytest.mark.parametrize(
    ("line", "new", "expected"),
    [
        (
            "initial_ltv = 0.80",
            "inital_ltv = 0.80",
            "risk.initial_ltv is missing; add it\nm.toml: risk.inital_ltv is not a known key",
        ),
        (
            'kind = "chainlink"',
            'kind = "chainlink"\ntwap = 1',
            "oracle.twap is not a known key; remove it or correct its name",
        ),
        ("initial_ltv = 0.80", "initial_ltv = 0", "risk initial_ltv is 0 (limit: at least 0.005)"),
        (
            "initial_ltv = 0.80",
            "initial_ltv = 0.831",
            "risk initial_ltv is 0.831, above target_ltv (limit 0.83)",
        ),
        (
            "target_ltv = 0.83",
            "target_ltv = 0.86",
            "risk target_ltv is 0.86, less than 0.005 below liquidation_ltv (limit 0.855)",
        ),
        ("liquidation_ltv = 0.86", "liquidation_ltv = 1", "risk liquidation_ltv is 1 (limit"),
        (
            "liquidation_ltv = 0.86",
            "liquidation_ltv = 86",
            "risk liquidation_ltv is 86 (limit: below 1)",
        ),
        (
            "target_ltv = 0.83",
            "target_ltv = 0.8500000000000000001",
            "risk target_ltv: 0.8500000000000000001 has more than 18 decimal places; round it",
        ),
        ("beta_max = 1.077", "beta_max = 1.01", "risk beta_max is 1.01, not above 1 + base_bonus"),
        (
            "beta_max = 1.077",
            "beta_max = 1.0779",
            "risk beta_max is 1.0779 (limit 1.077808556006578954 for this",
        ),
        ("cut = 0.10", "cut = 1", "reserve cut is 1 (limit: below 1); lower it"),
        ("factor = 0.10", "factor = 0.2501", "reserve factor is 0.2501 (limit 0.25)"),
        ("target = 0.02", "target = 1.0", "reserve target is 1.0 (limit: below 1); lower it"),
        ("debt = 18_000_000", "debt = 20_000_001", "caps debt is 20000001, above supply (limit"),
        ("kink = 0.90", "kink = 1", "rate kink is 1 (limits: above 0, below 1)"),
        ("slope_2 = 6.0", "slope_2 = 40", "rate the rate at full utilisation is 4.05"),
        ("fallback = 0.08", "fallback = 3.01", "rate fallback is 3.01 a year (limit 3); lower it"),
        ("tolerance = 0.05", "tolerance = 0.51", "oracle tolerance is 0.51 (limit 0.5)"),
        (
            'base = [{ feed = "ETH/USD", min = 10, max = 100_000 }]',
            'base = [{ feed = "ETH/USD", min = 10, max = 10 }]',
            "oracle.base.0 min is 10, max 10 (limits: above 0, min below max)",
        ),
        ('kind = "chainlink"', 'kind = "pyth"', "oracle is wrong: input tag 'pyth' found"),
        ('kind = "kinked"', 'kind = "flat"', "rate.kind is wrong: input should be 'kinked'"),
        ('asset = "USDC"', 'asset = "WETH"', "collateral and asset are both WETH"),
        ('symbol = "rfUSDC-WETH"', f'symbol = "{"s" * 33}"', "symbol has 33 bytes (limit 32)"),
        ("min_debt = 100", "min_debt = -1", "risk.min_debt is -1; it must be a finite number"),
        ("min_debt = 100", "min_debt = nan", "risk.min_debt is NaN; it must be a finite number"),
        ("min_debt = 100", "min_debt = true", "risk.min_debt is True, not a number"),
        ("min_debt = 100", 'min_debt = "ten"', "risk.min_debt is 'ten', not a number"),
    ],
)
def test_parse__beyond_a_bound__says_value_limit_and_next_step(
    line: str, new: str, expected: str
) -> None:
    assert problem(changed(line, new)).startswith(expected)


def test_parse__gap_too_small__says_so() -> None:
    text = changed("initial_ltv = 0.80", "initial_ltv = 0.8551")
    text = text.replace("target_ltv = 0.83", "target_ltv = 0.8551")
    assert problem(text).startswith(
        "risk target_ltv is 0.8551, less than 0.005 below liquidation_ltv (limit 0.855)"
    )
    parse(text.replace("0.8551", "0.855"), MarketFile, "m.toml")


def test_parse__several_problems__are_all_told() -> None:
    text = changed("factor = 0.10", "factor = 0.3").replace("kink = 0.90", "kink = 0")
    assert problem(text).count("\n") == 1


@pytest.mark.parametrize("amount", ["100", '"100"', '"1e2"', "100.0", '"1_0_0"'])
def test_parse__amounts__as_numbers_or_strings(amount: str) -> None:
    text = changed("min_debt = 100", f"min_debt = {amount}")
    assert parse(text, MarketFile, "m.toml").risk.min_debt == 100


def test_parse__decimals__are_exact() -> None:
    text = changed("cut = 0.10", "cut = 0.123456789012345678")
    assert parse(text, MarketFile, "m.toml").reserve.cut == Decimal("0.123456789012345678")
    assert tomllib.loads(text)["reserve"]["cut"] == 0.12345678901234568


@pytest.mark.parametrize(
    ("liquidation", "bonus"), [("0.86", "0.01"), ("0.93", "0.01"), ("0.02", "0.9"), ("0.999", "0")]
)
def test_largest_beta_max__bound__is_the_last_within(liquidation: str, bonus: str) -> None:
    wad = 10**18
    offset = int(Decimal(liquidation) * wad) - wad - int(Decimal(bonus) * wad)
    beta = int(largest_beta_max(Decimal(liquidation), Decimal(bonus)) * wad)
    assert beta * (beta + offset) <= wad * wad
    assert beta == 2 * wad or (beta + 1) * (beta + 1 + offset) > wad * wad
