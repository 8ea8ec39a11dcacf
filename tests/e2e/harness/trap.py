"""The filter as it is shipped, with one callback wrapped so that its VM traps where the test wants it.

Nothing in the filter itself can be made to trap. The wrapper stands in the module around `proxy_on_grpc_receive`: a
message from the engine of more than `LIMIT` bytes is an `unreachable`, every other one goes on to the filter. Of an
Envoy's VMs only the one that follows the engine is sent what is written there, so it is always that one which traps.
"""

import importlib.util
import pathlib

from .envoy import WASM
from .net import PROJECT

# What `make check` reads a module with.
_SPEC = importlib.util.spec_from_file_location("check_wasm", PROJECT / "tests/check/wasm.py")
_CHECK = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_CHECK)

CALLBACK = "proxy_on_grpc_receive"  # context, token, size
LIMIT = 1_000_000  # more than any page or document of a test
FUNCTION, EXPORT, CODE, IMPORT = 3, 7, 10, 2


def module(folder: pathlib.Path, wasm: pathlib.Path = WASM) -> pathlib.Path:
    """A copy of the wasm that traps at a message of more than `LIMIT` bytes."""
    sections = list(_sections(wasm.read_bytes()))
    contents = dict(sections)
    imported, _ = _CHECK.leb(contents[IMPORT], 0)  # functions, all of them
    types = _vector(contents[FUNCTION], _CHECK.leb)
    exports = _vector(contents[EXPORT], _export)
    [(_, _, wrapped)] = [export for export in exports if export[0] == CALLBACK]
    wrapper = imported + len(types)
    exports = [(name, kind, wrapper if name == CALLBACK else index) for name, kind, index in exports]
    count, begin = _CHECK.leb(contents[CODE], 0)
    body = (b"\x00"  # no locals
            b"\x20\x02" b"\x41" + _signed(LIMIT) + b"\x4b"  # the size > LIMIT
            b"\x04\x40\x00\x0b"  # if: unreachable
            b"\x20\x00\x20\x01\x20\x02" b"\x10" + _leb(wrapped) + b"\x0b")
    changed = {
        FUNCTION: _leb(len(types) + 1) + b"".join(map(_leb, [*types, types[wrapped - imported]])),
        EXPORT: _leb(len(exports)) + b"".join(_text(name) + bytes([kind]) + _leb(index) for name, kind, index in exports),
        CODE: _leb(count + 1) + contents[CODE][begin:] + _leb(len(body)) + body,
    }
    place = folder / "trap.wasm"
    parts = ((number, changed.get(number, content)) for number, content in sections)
    place.write_bytes(b"\0asm\1\0\0\0" + b"".join(bytes([number]) + _leb(len(part)) + part for number, part in parts))
    return place


KEY = "sso/1/l"  # between documents and marks: followed, and neither


def spring(etcd) -> None:
    """Traps the VMs that follow this engine now, and leaves nothing there for those that follow next."""
    lay(etcd)
    clear(etcd)


def lay(etcd) -> None:
    """Traps the VMs that follow this engine now, and every one that follows next."""
    etcd.put(KEY, bytes(LIMIT + 1))


def clear(etcd) -> None:
    """No VM traps any more."""
    etcd.delete(KEY)


def _sections(data: bytes):
    assert data[:8] == b"\0asm\1\0\0\0", "not a wasm module"
    at = 8
    while at < len(data):
        size, begin = _CHECK.leb(data, at + 1)
        yield data[at], data[begin:begin + size]
        at = begin + size


def _export(data: bytes, at: int):
    name, at = _CHECK.name(data, at)
    index, end = _CHECK.leb(data, at + 1)
    return (name, data[at], index), end


def _vector(data: bytes, read) -> list:
    count, at = _CHECK.leb(data, 0)
    found = []
    for _ in range(count):
        item, at = read(data, at)
        found.append(item)
    return found


def _leb(value: int) -> bytes:
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _signed(value: int) -> bytes:
    """A positive number as a signed one."""
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        if not value and not byte & 0x40:
            return bytes(out + bytes([byte]))
        out.append(byte | 0x80)


def _text(name: str) -> bytes:
    return _leb(len(name)) + name.encode()
