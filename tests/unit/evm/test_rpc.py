"""JSON-RPC to nodes that are not ours: over TLS, behind keys, and refusing whole batches."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typing_extensions import override

from ringfence.evm import EvmError
from ringfence.evm.rpc import JsonRpc, RpcError

REFUSALS = {
    "/error": ({"error": {"code": -32_005, "message": "slow down"}}, "slow down"),
    "/message": ({"message": "slow down"}, "slow down"),
    "/words": ({"error": "slow down"}, "slow down"),
}


class Node(BaseHTTPRequestHandler):
    """Answers each request with the path it came by, or a whole batch with one refusal."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answers = [{"id": one["id"], "result": self.path} for one in asked]
        body = json.dumps(REFUSALS[self.path][0] if self.path in REFUSALS else answers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:  # its name there
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Node) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_call__key_in_path_and_query__is_sent(server: HTTPServer) -> None:
    rpc = JsonRpc(f"http://127.0.0.1:{server.server_port}/v3/key?also=this")
    assert rpc.call("eth_chainId") == "/v3/key?also=this"
    rpc.close()


@pytest.mark.parametrize("path", REFUSALS)
def test_batch__node_refuses_it_as_a_whole__every_request_is_refused(
    server: HTTPServer, path: str
) -> None:
    rpc = JsonRpc(f"http://127.0.0.1:{server.server_port}{path}")
    answers = rpc.batch([("eth_chainId", []), ("eth_call", [])])
    rpc.close()
    assert [str(one) for one in answers] == ["eth_chainId: slow down", "eth_call: slow down"]
    assert all(isinstance(one, RpcError) for one in answers)


def test_call__nobody_there__error_keeps_the_key_to_itself() -> None:
    with pytest.raises(EvmError) as caught:
        JsonRpc("http://me:secret@127.0.0.1:9/secret?key=secret").call("eth_chainId")
    assert "no answer from the node at http://127.0.0.1:9: " in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_call__https__only_with_a_certificate_that_is_trusted(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_port}/v3/key"
    with pytest.raises(EvmError, match="certificate verify failed"):
        JsonRpc(url).call("eth_chainId")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    rpc = JsonRpc(url)
    assert rpc.call("eth_chainId") == "/v3/key"
    rpc.close()
