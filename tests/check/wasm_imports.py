#!/usr/bin/env python3
"""Lists the imports of a wasm module and compares them with those allowed.

An import is what the filter may ask of the proxy. A new one (a file system, a clock that a library pulls
in) is a decision, not an accident: add it to tests/wasm_imports.txt, and say why in the commit.
"""

import pathlib
import sys


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


def imports(data: bytes) -> list[str]:
    assert data[:8] == b"\0asm\1\0\0\0", "not a wasm module"
    at, found = 8, []
    while at < len(data):
        section = data[at]
        size, at = leb(data, at + 1)
        end = at + size
        if section == 2:
            count, at = leb(data, at)
            for _ in range(count):
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
                found.append(f"{module}.{item}")
        at = end
    return sorted(found)


def main() -> int:
    wasm, allowed_file = map(pathlib.Path, sys.argv[1:3])
    limit = int(sys.argv[3])
    data = wasm.read_bytes()
    found = imports(data)
    allowed = {line.split("#")[0].strip() for line in allowed_file.read_text().splitlines()} - {""}
    new = [item for item in found if item not in allowed]
    print(f"{wasm.name}: {len(data):,} bytes (limit {limit:,}), {len(found)} imports, {len(new)} not allowed")
    for item in new:
        print(f"  not in {allowed_file}: {item}")
    if len(data) >= limit:
        print("  too large")
    return 1 if new or len(data) >= limit else 0


if __name__ == "__main__":
    sys.exit(main())
