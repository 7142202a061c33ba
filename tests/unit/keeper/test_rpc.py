"""The way to a node: results, errors, and whatever else may come back."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ringfence.evm.anvil import AnvilEngine
from ringfence.evm.rpc import Json, Request, RpcError
from ringfence.keeper.chain.rpc import Web3Rpc

TWO: list[Request] = [("eth_chainId", []), ("net_version", [])]


def ask(url: str, requests: Sequence[Request] = TWO, timeout: float = 30) -> list[Json]:
    async def run() -> list[Json]:
        rpc = Web3Rpc(url, timeout=timeout)
        try:
            return await rpc.batch(requests)
        finally:
            await rpc.close()

    return asyncio.run(run())


class _Handler(BaseHTTPRequestHandler):
    status, body, seconds = 200, "", 0.0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.seconds)
        first, second = (one["id"] for one in asked)
        body = self.body.replace("FIRST", str(first)).replace("SECOND", str(second)).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def node() -> Iterator[tuple[str, type[_Handler]]]:
    """A node that answers what the test wants."""

    class Handler(_Handler):
        pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_batch__one_of_three_fails__its_error_in_its_place(anvil: AnvilEngine) -> None:
    first, error, third = ask(anvil.url, [TWO[0], ("eth_nonsense", []), TWO[1]])
    assert (first, third) == ("0x1", "1")
    assert isinstance(error, RpcError)
    assert "eth_nonsense" in str(error)
    assert "not found" in str(error)


def test_batch__answers_in_another_order__each_in_its_place(
    node: tuple[str, type[_Handler]],
) -> None:
    url, handler = node
    handler.body = '[{"id": SECOND, "result": null}, {"id": FIRST, "result": "0x1"}]'
    assert ask(url) == ["0x1", None]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '{"jsonrpc": "2.0", "id": null, "error": {"code": -32005, "message": "too many"}}'),
        (200, '[{"id": FIRST, "result": "0x1"}]'),
        (200, "[]"),
        (200, "[1, 2]"),
        (200, '"text"'),
        (200, "<html>"),
        (200, "[" * 100_000),
        (200, ""),
        (429, "too many"),
        (500, "broken"),
    ],
)
def test_batch__no_answer_to_each__an_error_for_each(
    node: tuple[str, type[_Handler]], status: int, body: str
) -> None:
    url, handler = node
    handler.status, handler.body = status, body
    answers = ask(f"{url}/v2/secret")
    assert len(answers) == 2
    for answer, (method, _params) in zip(answers, TWO, strict=True):
        assert isinstance(answer, RpcError)
        assert str(answer).startswith(f"{method}: no answer")
        assert "secret" not in str(answer)


@pytest.mark.parametrize(
    "body",
    [
        '{"error": "no project s3cret-key"}',
        '[{"id": FIRST, "error": "s3cret-key"}, {"id": SECOND, "error": {"data": "s3cret-key"}}]',
    ],
)
@pytest.mark.parametrize("path", ["v2/s3cret-key", "?key=s3cret-key", "s3cret-key/?a=b"])
def test_batch__node_repeats_the_key__it_is_left_out(
    node: tuple[str, type[_Handler]], path: str, body: str
) -> None:
    url, handler = node
    handler.body = body
    for answer in ask(f"{url}/{path}"):
        assert "..." in str(answer)
        assert "s3cret" not in str(answer)


def test_batch__an_answer_without_a_result__an_error_for_that_one(
    node: tuple[str, type[_Handler]],
) -> None:
    url, handler = node
    handler.body = '[{"id": FIRST}, {"id": SECOND, "result": "1"}]'
    first, second = ask(url)
    assert isinstance(first, RpcError)
    assert second == "1"


def test_batch__node_that_hangs_or_is_not_there__an_error_for_each(
    node: tuple[str, type[_Handler]],
) -> None:
    url, handler = node
    handler.seconds = 0.5
    assert all(isinstance(one, RpcError) for one in ask(url, timeout=0.1))
    assert all(isinstance(one, RpcError) for one in ask("http://127.0.0.1:1"))
