"""The log: a line an event, and no secrets in any part of it."""

from __future__ import annotations

import io
import json

import pytest
import structlog

from ringfence.keeper.watch.logs import open_log


def test_open_log__json__a_line_an_event() -> None:
    stream = io.StringIO()
    log = open_log(stream, as_json=True)
    log.info("tick", block=7, vault=b"\xaa\xbb", due=(1, 2), nearest=0.03, account=None)
    log.debug("not shown")
    log.warning("two\nlines")
    first, second = (json.loads(text) for text in stream.getvalue().splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "tick",
        "level": "info",
        "block": 7,
        "vault": "0xaabb",
        "due": [1, 2],
        "nearest": 0.03,
        "account": None,
    }
    assert (second["event"], second["level"]) == ("two\nlines", "warning")


def test_open_log__console__readable() -> None:
    stream = io.StringIO()
    open_log(stream, as_json=False).info("block 7 · nothing due", block=7)
    assert stream.getvalue().endswith("\n")
    assert "[info     ] block 7 · nothing due" in stream.getvalue()
    assert "block=7" in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_open_log__secrets_everywhere__none_is_shown(*, as_json: bool) -> None:
    stream = io.StringIO()
    log = open_log(stream, as_json=as_json)
    log.info("asked https://eth.example/v2/KEY", url="wss://eth.example/KEY", password="KEY")
    log.info("nested", settings={"urls": ["https://u:KEY@x/"], "private_key": "KEY"})
    try:
        raise ValueError("no answer from https://eth.example/v2/KEY")
    except ValueError as error:
        log.error("failed", error=error, exc_info=True)
        log.exception("failed")
    text = stream.getvalue()
    assert "KEY" not in text
    assert text.count("https://eth.example/…") >= 4
    assert "Traceback" in text


def test_open_log__structlog_of_others__left_alone() -> None:
    before = structlog.get_config()
    open_log(io.StringIO(), as_json=True).info("tick")
    assert structlog.get_config() == before
    assert not structlog.is_configured()
