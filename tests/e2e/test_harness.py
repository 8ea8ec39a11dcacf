"""The checks that every other test leans on can fail: a VM that traps is noticed, and so is a body with two names."""

import pytest

from harness import envoy, readers
from harness.app import App, Seen
from harness.client import exchange
from harness.net import free_port


def trapping_filter() -> bytes:
    """The smallest filter whose request callback is `unreachable`."""
    def section(number: int, content: bytes) -> bytes:
        return bytes([number, len(content)]) + content

    def export(name: str, kind: int, index: int) -> bytes:
        return bytes([len(name)]) + name.encode() + bytes([kind, index])

    i32 = 0x7F
    types = bytes([3, 0x60, 0, 0, 0x60, 1, i32, 1, i32, 0x60, 3, i32, i32, i32, 1, i32])
    functions = bytes([3, 0, 1, 2])  # the ABI's mark, malloc, the request callback
    exports = [export("proxy_abi_version_0_2_1", 0, 0), export("malloc", 0, 1), export("proxy_on_request_headers", 0, 2),
               export("memory", 2, 0)]
    bodies = [bytes([2, 0, 0x0B]), bytes([5, 0, 0x41, 0x80, 0x08, 0x0B]), bytes([3, 0, 0x00, 0x0B])]
    return (b"\0asm\1\0\0\0" + section(1, types) + section(3, functions) + section(5, bytes([1, 0, 1]))
            + section(7, bytes([len(exports)]) + b"".join(exports)) + section(10, bytes([len(bodies)]) + b"".join(bodies)))


def test_a_vm_that_traps_is_noticed(tmp_path):
    wasm, app, port = tmp_path / "trap.wasm", App(), free_port()
    wasm.write_bytes(trapping_filter())
    one = envoy.Envoy("trap", [envoy.wasm_filter({}, {}, wasm=wasm)], {"app": app.port}, port=port).start()
    try:
        one.assert_healthy()
        for _ in range(4):
            assert exchange(port, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").status in (500, 503)
        assert app.requests == []
        with pytest.raises(AssertionError):
            one.assert_healthy()
        assert one.failures(), one.stats("wasm")
    finally:
        one.stop()
        app.stop()


@pytest.mark.parametrize("target, body, names", [
    ("/login", b"username=root&username=ada", {"root", "ada", "root,ada"}),
    ("/login", b"username=root&Username=ada", {"root", "ada", "root,ada"}),
    ("/login", b"username=root&username[]=ada", {"root", "ada", "root,ada"}),
    ("/login", b"username=root;username=ada", {"root", "ada", "root;username=ada", "root,ada"}),
    ("/login?username=ada", b"username=root", {"root", "ada", "ada,root", "root,ada"}),
    ("/login", b"username=ro%00ot&username%00x=ada", {"ro\0ot", "ada", "ro\0ot,ada"}),
    ("/login", b'{"username":"root","username":"ada"}', {"root", "ada", "root,ada"}),
    ("/login", b'{"username":"root","USERNAME":"ada"}', {"root", "ada", "root,ada"}),
    ("/login", b'{"username":["root","ada"]}', {"ada"}),
    ("/login", b'{"username":"root"}{"username":"ada"}', {"root"}),
    ("/login", b"username=root&x=ada", {"root"}),
    ("/login", b'{"user\\u006eame":"root","x":{"username":"ada"}}', {"root"}),
])
def test_the_readers_differ_where_applications_do(target, body, names):
    seen = Seen(1, "POST", target, [], body, b"")
    assert set(readers.readings(seen).values()) == names
    assert bool(readers.agree(seen, "root")) == (names != {"root"})
