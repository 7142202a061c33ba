"""A keeper's server: what it answers, whom it listens to, and that no client holds it up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from ringfence.keeper.watch.metrics import Metrics
from ringfence.keeper.watch.server import Server, ServerError
from ringfence.keeper.watch.status import Limits, Problem, Status, VaultStatus, line, problems

NOW = 1_000.0


def _status() -> Status:
    status = Status(1, NOW, gas_money=2**70, gas_floor=1)
    status.vaults = {b"\xaa" * 20: VaultStatus("weth-usdc", positions=3, unpriced="no price")}
    return status


def _server(status: Status, **options: Any) -> Server:
    def look() -> tuple[Problem, ...]:
        return problems(status, Limits(), NOW)

    return Server(status, Metrics(status, look), look, **{"port": 0, **options})


def play(scene: Callable[[str, ClientSession], Coroutine[Any, Any, None]], status: Status) -> None:
    async def stage() -> None:
        server = _server(status)
        url = await server.start()
        async with ClientSession() as session:
            await scene(url, session)
        await server.close()

    asyncio.run(stage())


async def _get(session: ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url) as response:
        return response.status, await response.text()


def test_health__a_warning_then_a_critical_one__200_then_503() -> None:
    status = _status()

    async def scene(url: str, session: ClientSession) -> None:
        code, text = await _get(session, f"{url}/health")
        warning = {
            "key": "oracle:weth-usdc",
            "severity": "warning",
            "words": "vault weth-usdc: no price; "
            "nothing in it is liquidated until the oracle is back",
        }
        assert (code, json.loads(text)) == (200, {"ok": True, "problems": [warning]})
        status.gas_money = 0
        code, text = await _get(session, f"{url}/health")
        told = json.loads(text)
        assert (code, told["ok"]) == (503, False)
        assert [one["key"] for one in told["problems"]] == ["gas", "oracle:weth-usdc"]
        status.gas_money = 1
        assert (await _get(session, f"{url}/health"))[0] == 200

    play(scene, status)


def test_metrics__asked__prometheus_can_read_them() -> None:
    async def scene(url: str, session: ClientSession) -> None:
        async with session.get(f"{url}/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            families = [*text_string_to_metric_families(await response.text())]
        assert "ringfence_keeper_gas_money_wei" in [one.name for one in families]

    play(scene, _status())


def test_status__asked__all_of_it_and_no_secret() -> None:
    status = _status()
    status.failed("tick", "no answer")
    status.lease_error = "postgresql://keeper:hunter2@db/leases"

    async def scene(url: str, session: ClientSession) -> None:
        code, text = await _get(session, f"{url}/status")
        told = json.loads(text)
        assert (code, told["line"]) == (200, line(status))
        assert told["status"]["gas_money"] == 2**70
        assert told["status"]["vaults"]["0x" + "aa" * 20]["positions"] == 3
        assert told["status"]["errors"] == {"tick": {"words": "no answer", "times": 1}}
        assert told["status"]["lease_error"] == "postgresql://db/…"

    play(scene, status)


def test_status__strangers_made_vaults__tells_a_hundred_and_how_many() -> None:
    status = _status()
    status.vaults = {
        number.to_bytes(20): VaultStatus(str(number), watched=number == 499)
        for number in range(500)
    }

    async def scene(url: str, session: ClientSession) -> None:
        told = json.loads((await _get(session, f"{url}/status"))[1])
        assert told["other_vaults"] == 499
        assert len(told["status"]["vaults"]) == 101
        assert told["status"]["vaults"]["0x" + (499).to_bytes(20).hex()]["watched"]
        assert len(status.vaults) == 500

    play(scene, status)


@pytest.mark.parametrize(("method", "path", "code"), [("POST", "/health", 405), ("GET", "/", 404)])
def test_request__another__refused(method: str, path: str, code: int) -> None:
    async def scene(url: str, session: ClientSession) -> None:
        async with session.request(method, url + path) as response:
            assert response.status == code

    play(scene, _status())


def test_start__nothing_said__this_machine_alone() -> None:
    async def scene(url: str, _session: ClientSession) -> None:
        assert url.startswith("http://127.0.0.1:")

    play(scene, _status())


def test_start__port_taken__one_line_with_a_next_step() -> None:
    async def stage() -> None:
        one = _server(_status())
        port = int((await one.start()).rpartition(":")[2])
        other = _server(_status(), port=port)
        with pytest.raises(ServerError) as caught:
            await other.start()
        assert str(caught.value).startswith(f"health cannot be served on 127.0.0.1:{port}: ")
        assert str(caught.value).endswith("; stop what listens there, or name another port")
        assert "\n" not in str(caught.value)
        await one.close()

    asyncio.run(stage())


def test_start__address_of_another_machine__refused() -> None:
    async def stage() -> None:
        with pytest.raises(ServerError, match=r"on 192\.0\.2\.1:0: "):
            await _server(_status(), host="192.0.2.1").start()

    asyncio.run(stage())


def test_request__two_hundred_slow_clients__others_are_answered() -> None:
    status = _status()
    # An answer that does not fit into the socket's buffers.
    status.account = "x" * 15_000_000

    async def scene(url: str, session: ClientSession) -> None:
        host, port = url.removeprefix("http://").split(":")
        writers = []
        for number in range(200):
            _reader, writer = await asyncio.open_connection(host, int(port), limit=1)
            whole = number < 2
            writer.write(b"GET /status HTTP/1.1\r\nHost: x\r\n" + (b"\r\n" if whole else b""))
            writers.append(writer)
        async with asyncio.timeout(60):
            for _ in range(20):
                assert (await _get(session, f"{url}/health"))[0] == 200
        for writer in writers:
            writer.transport.abort()

    play(scene, status)
