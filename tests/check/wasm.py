#!/usr/bin/env python3
"""Compares a wasm module's imports and exports with those listed, and its size with the limit.

An import is what the filter may ask of the proxy. A new one (a file system, a clock that a library pulls
in) is a decision, not an accident: add it to tests/wasm_imports.txt, and say why in the commit.

An export is what the proxy calls, for every request where it is a stream's callback. The SDK exports all there
are: src/proxy/wasm/link leaves out those that the filter does not implement.
"""

import pathlib
import re
import sys


# gRPC callbacks of the SDK by the ABI's name: one stands for calls and streams.
GRPC = {"on_grpc_call_response": "on_grpc_receive", "on_grpc_stream_message": "on_grpc_receive",
        "on_grpc_stream_close": "on_grpc_close"}


def leb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def name(data: bytes, at: int) -> tuple[str, int]:
    length, at = leb(data, at)
    return data[at:at + length].decode(), at + length


def entries(data: bytes, wanted: int, read) -> list[str]:
    """What `read` makes of every entry in the sections of that number, sorted."""
    found, at = [], 8
    while at < len(data):
        section = data[at]
        size, at = leb(data, at + 1)
        if section == wanted:
            count, entry = leb(data, at)
            for _ in range(count):
                item, entry = read(data, entry)
                found.append(item)
        at += size
    return sorted(found)


def an_import(data: bytes, at: int) -> tuple[str, int]:
    module, at = name(data, at)
    item, at = name(data, at)
    kind = data[at]
    at += 1
    if kind == 0:  # a function: its type
        _, at = leb(data, at)
    elif kind == 3:  # a global: type and mutability
        at += 2
    else:  # a table has an element type before its limits
        at += 1 if kind == 1 else 0
        flags = data[at]
        _, at = leb(data, at + 1)
        if flags & 1:
            _, at = leb(data, at)
    return f"{module}.{item}", at


def an_export(data: bytes, at: int) -> tuple[str, int]:
    item, at = name(data, at)
    _, at = leb(data, at + 1)  # after its kind
    return item, at


def main() -> int:
    wasm, imports_file, exports_file = map(pathlib.Path, sys.argv[1:4])
    limit = int(sys.argv[4])
    data = wasm.read_bytes()
    assert data[:8] == b"\0asm\1\0\0\0", "not a wasm module"
    imports, exports = entries(data, 2, an_import), entries(data, 7, an_export)
    wrong = []
    for found, file in ((imports, imports_file), (exports, exports_file)):
        listed = {line.split("#")[0].strip() for line in file.read_text().splitlines()} - {""}
        wrong += [f"not in {file}: {item}" for item in found if item not in listed]
        wrong += [f"in {file} and not in the wasm: {item}" for item in sorted(listed - set(found))]
    exported = {item.removeprefix("proxy_") for item in exports}
    for source in sorted(pathlib.Path("src/proxy").glob("*.rs")):
        # HTTP callbacks are exported under the ABI's names: on_http_request_headers is on_request_headers.
        for callback in re.findall(r"fn (on_\w+)", source.read_text()):
            if not exported & {GRPC.get(callback, callback), callback.replace("on_http_", "on_")}:
                wrong.append(f"{source} has {callback}, which src/proxy/wasm/link does not let be exported")
    if len(data) >= limit:
        wrong.append("too large")
    print(f"{wasm.name}: {len(data):,} bytes (limit {limit:,}), {len(imports)} imports, {len(exports)} exports, {len(wrong)} wrong")
    for line in wrong:
        print(f"  {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
