import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ringfence.risk.prices.clusters import StudentT
from ringfence.risk.prices.models import parse_model
from ringfence.risk.prices.paths import DAY
from scripts._risk_calibrate import calibrate


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 half-days of a Student-t."""
    path = tmp_path_factory.mktemp("prices") / "eth.csv"
    drawn = 2_000 * StudentT(3, 0.03).draw(np.random.default_rng(1), 1, 300, DAY // 2)[0]
    rows = [f"{index * DAY // 2},{price}" for index, price in enumerate(drawn)]
    path.write_text("\n".join(["time,price", *rows]))
    return path


def test_calibrate__prices__prints_the_fits_and_a_model_that_parses(prices: Path) -> None:
    result = CliRunner().invoke(calibrate, [str(prices)])

    assert result.exit_code == 0
    assert "300 log returns, 43,200 s apart" in result.stdout
    rows = [line for line in result.stdout.splitlines() if "│" in line]
    assert rows[0].split("│")[1].strip() == "student-t"
    assert len(rows) == 4
    assert isinstance(parse_model(result.stdout.splitlines()[-1]), StudentT)


def test_calibrate__json__has_every_fit_and_the_best(prices: Path) -> None:
    result = CliRunner().invoke(calibrate, [str(prices), "--json"])
    data = json.loads(result.stdout)

    assert (data["returns"], data["step_seconds"]) == (300, 43_200)
    assert data["best"] == data["fits"][0]["model"]
    assert {one["name"] for one in data["fits"]} == {"gbm", "student-t", "merton", "kou"}
    assert set(data["fits"][0]) == {
        "name", "model", "log_likelihood", "parameters", "bic", "ks", "p_value",
    }  # fmt: skip
    for one in data["fits"]:
        assert parse_model(one["model"]) is not None


def test_calibrate__bad_file__is_one_line_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("time,price\n0,1\n60,-1\n")
    result = CliRunner().invoke(calibrate, [str(path)])

    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert result.output.startswith(f"error: {path}, line 3: price is -1")
