"""The guard that keeps the suite on this machine; every test has it without asking."""

import socket
import urllib.request

import pytest

from tests.support.network import OutsideConnectionError

# Documentation addresses (RFC 5737, RFC 3849): no machine is there, should the guard fail.
OUTSIDE_V4 = "192.0.2.1"
OUTSIDE_V6 = "2001:db8::1"


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, OUTSIDE_V4), (socket.AF_INET6, OUTSIDE_V6)]
)
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_connect__address_outside__refused(
    family: socket.AddressFamily, host: str, method: str
) -> None:
    with socket.socket(family) as sock:
        sock.settimeout(1)
        with pytest.raises(OutsideConnectionError, match="limit: loopback"):
            getattr(sock, method)((host, 443))


@pytest.mark.parametrize("flags", [(), (0,)])
def test_sendto__address_outside__refused(flags: tuple[int, ...]) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(OutsideConnectionError),
    ):
        sock.sendto(b"ring", *flags, (OUTSIDE_V4, 53))


def test_look_up__name_outside__refused() -> None:
    with pytest.raises(OutsideConnectionError, match=r"node\.example"):
        socket.getaddrinfo("node.example", 443)


def test_urlopen__url_outside__refused_and_not_taken_for_an_io_error() -> None:
    with pytest.raises(OutsideConnectionError):
        urllib.request.urlopen(f"http://{OUTSIDE_V4}/", timeout=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_connect__loopback__succeeds(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            socket.create_connection((host, port), timeout=5) as client,
            server.accept()[0] as peer,
        ):
            client.sendall(b"ring")
            assert peer.recv(4) == b"ring"


def test_sendto__loopback__arrives() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        assert sender.sendto(b"ring", receiver.getsockname()) == 4
        assert receiver.recv(4) == b"ring"


def test_connect__unix_socket__succeeds(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        assert client.connect_ex(path) == 0
