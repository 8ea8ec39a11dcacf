#!/usr/bin/env python3
"""Who may name what: every house of src imports only houses on floors below its own, no two files of a house import
each other unless one is the other's parent, proxy_wasm stands only under src/proxy, no unsafe, no clock."""

import pathlib
import re
import sys

# From the top down. Houses on one floor do not know each other. `flows/login` is a room with a floor of its own.
FLOORS = [
    ["proxy"],
    ["gate"],
    ["flows/admin"],
    ["flows/bearer"],
    ["flows/logout", "flows/recheck"],
    ["flows/login"],
    ["exchange"],
    ["state"],
    ["password", "session"],
    ["settings"],
    ["directory"],
    ["identity"],
    ["proto/oidc", "proto/saml"],
    ["proto/fetch"],
    ["replicas"],
    ["config"],
    ["crypto"],
    ["host", "pages", "access"],
    ["http"],
    ["fault", "values"],
]
FLOOR = {room: len(FLOORS) - number for number, rooms in enumerate(FLOORS) for room in rooms}
SPLIT = {room.split("/")[0] for room in FLOOR if "/" in room}
TESTS = re.compile(r"(^|/)(tests?|testing)(/|\.rs$)|_tests\.rs$|test_keys\.rs$|attacks\.rs$|seeds\.rs$|^bin/|^lib\.rs$|^proxy/wasm/")

RULES = [
    (r"\bproxy_wasm\b", "src/proxy/", "proxy_wasm is named only under src/proxy"),
    (r"\bunsafe\s*(\{|fn|impl)", None, "unsafe code"),
    (r"\b(SystemTime|Instant)::now\b", "src/bin/", "time comes in through Host"),
]

ROOT = pathlib.Path("src")


def code_of(text: str) -> str:
    """The text without comments and without the tests at its end, line for line."""
    text = re.split(r"#\[cfg\(test\)\]\s*(?:pub(?:\(crate\))? )?mod \w+ \{", text)[0]
    return "\n".join(line.split("//")[0] for line in text.splitlines())


def module_of(file: pathlib.Path) -> tuple[str, ...]:
    """`src/flows/login/mod.rs` is `flows::login`."""
    parts = list(file.relative_to(ROOT).with_suffix("").parts)
    return tuple(parts[:-1] if parts[-1] == "mod" else parts)


def room_of(module: tuple[str, ...]) -> str | None:
    """The house, or the room of a house that is split into floors; None for the face of such a house."""
    if not module:
        return None
    if module[0] in SPLIT:
        return "/".join(module[:2]) if len(module) > 1 else None
    return module[0]


def expand(tree: str, prefix: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The paths of a use tree: `a::{b, c::d}` has two."""
    tree = tree.strip()
    found = re.match(r"^([\w:]*?)(?:::)?\{(.*)\}$", tree, re.S)
    if not found:
        return [prefix + tuple(part for part in re.split(r"::|\s+as\s+\w+", tree) if part)]
    base = prefix + tuple(part for part in found[1].split("::") if part)
    parts, depth, at = [], 0, ""
    for letter in found[2]:
        depth += (letter == "{") - (letter == "}")
        if letter == "," and not depth:
            parts.append(at)
            at = ""
        else:
            at += letter
    parts.append(at)
    return [path for part in parts if part.strip() for path in expand(part, base)]


def imports(text: str, module: tuple[str, ...], is_face: bool) -> list[tuple[int, tuple[str, ...]]]:
    """Every path that begins with `crate` or `super`, absolute, with its line."""
    found = []
    used = r"(?:use\s+)(?P<use>(?:crate|super|self)\b[^;]*);"
    named = r"(?P<path>\b(?:crate|super)(?:::\w+)+)"
    for match in re.finditer(f"{used}|{named}", text):
        line = text.count("\n", 0, match.start()) + 1
        for path in expand(match["use"] or match["path"], ()):
            if path[0] == "crate":
                found.append((line, path[1:]))
                continue
            at = module
            while path and path[0] in ("super", "self"):
                if path[0] == "super":
                    at = at[:-1]
                path = path[1:]
            found.append((line, at + path))
    return found


def owner(path: tuple[str, ...], modules: dict[tuple[str, ...], pathlib.Path]) -> tuple[str, ...] | None:
    """The module that a path leads into, without following what it re-exports."""
    while path and path not in modules:
        path = path[:-1]
    return path or None


def reexports(module: tuple[str, ...], name: str, texts: dict, modules: dict) -> tuple[str, ...] | None:
    """Where a name that a module hands on really stands."""
    for line, path in imports("\n".join(re.findall(r"pub(?:\([a-z]+\))? (use [^;]*;)", texts[module])), module, True):
        if path and path[-1] == name:
            return path
    inner = "\n".join(re.findall(r"pub(?:\([a-z]+\))? use (?!crate|super|self)([^;]*);", texts[module]))
    for tree in re.findall(r"[^\n]+", inner):
        for path in expand(tree, module):
            if path[-1] == name and owner(path, modules):
                return path
    return None


def cycles(edges: dict) -> list[list]:
    """Strongly connected groups of more than one module (Tarjan)."""
    index, low, stack, on, groups = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        for other in edges.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while True:
                other = stack.pop()
                on.discard(other)
                group.append(other)
                if other == node:
                    break
            if len(group) > 1:
                groups.append(group)

    for node in list(edges):
        if node not in index:
            visit(node)
    return groups


def main() -> int:
    wrong = 0

    def complain(text: str) -> None:
        nonlocal wrong
        print(text)
        wrong += 1

    files = [file for file in sorted(ROOT.rglob("*.rs")) if not TESTS.search(file.relative_to(ROOT).as_posix())]
    modules = {module_of(file): file for file in files}
    texts = {module: code_of(file.read_text()) for module, file in modules.items()}
    rooms, edges = set(), {}
    for module, file in modules.items():
        room = room_of(module)
        if room:
            rooms.add(room)
        for line, path in imports(texts[module], module, file.name == "mod.rs"):
            there, seen = owner(path, modules), 0
            while there and len(path) > len(there) and seen < 8:
                onward = reexports(there, path[len(there)], texts, modules)
                if not onward or onward == path:
                    break
                path, seen = onward + path[len(there) + 1 :], seen + 1
                there = owner(path, modules)
            if not there or there == module:
                continue
            other = room_of(there)
            if other and room and other != room and FLOOR.get(other, 99) >= FLOOR.get(room, 0):
                complain(f"{file}:{line}: {room} imports {other}, which does not stand below it")
            is_family = there == module[: len(there)] or module == there[: len(module)]
            if other == room and not is_family:
                edges.setdefault(module, set()).add(there)
    for group in cycles(edges):
        complain("a circle inside a house: " + ", ".join(sorted("::".join(module) for module in group)))
    for room in sorted(rooms ^ set(FLOOR)):
        complain(f"src/{room}: a room without a floor in tests/check/rooms.py, or a floor without a room")
    for file in sorted(ROOT.rglob("*.rs")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            code = line.split("//")[0]
            for pattern, home, why in RULES:
                if re.search(pattern, code) and not (home and file.as_posix().startswith(home)):
                    complain(f"{file}:{number}: {why}: {line.strip()}")
    if "#![forbid(unsafe_code)]" not in (ROOT / "lib.rs").read_text():
        complain("src/lib.rs: #![forbid(unsafe_code)] is missing")
    print(f"rooms: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
