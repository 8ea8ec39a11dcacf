"""How applications read the username of a login: the behaviours of real body parsers.

`readings(seen, field)` gives, for each behaviour, the name that such an application would authenticate, where it finds
one at all. A password login may pass only if all of them agree with the name that was ruled on.
"""

import json
import re
import unicodedata
import urllib.parse


def _decode(text: bytes, charset: str) -> str:
    text = text.replace(b"+", b" ")
    return urllib.parse.unquote_to_bytes(text).decode(charset, "replace")


def pairs(body: bytes, separators: bytes = b"&", charset: str = "utf-8") -> list[tuple[str, str]]:
    found = []
    for pair in re.split(b"[" + re.escape(separators) + b"]", body.removeprefix(b"\xef\xbb\xbf")):
        name, _, value = pair.partition(b"=")
        if pair:
            found.append((_decode(name, charset), _decode(value, charset)))
    return found


def php_name(name: str) -> str:
    """PHP: cut at NUL, leading spaces gone, space and dot are underscores, brackets nest."""
    name = name.split("\0")[0].lstrip(" ")
    return re.sub(r"[ .]", "_", name.split("[")[0])


def members(text: str, field: str, keep) -> list:
    """The values of a JSON member, at the top, in order; `keep` says which names count."""
    found = []

    def hook(items):
        hook.last = items
        return dict(items)

    try:
        value, _ = json.JSONDecoder(object_pairs_hook=hook, strict=False).raw_decode(text.lstrip("\ufeff \t\r\n\0"))
    except ValueError:
        return found
    if not isinstance(value, dict):
        return found
    for name, inner in hook.last:
        if keep(name):
            found.append(inner)
    return found


def _flat(value):
    """What loosely typed applications make of a value."""
    while isinstance(value, (list, dict)) and value:
        value = value[-1] if isinstance(value, list) else list(value.values())[-1]
    return value if isinstance(value, str) else None if isinstance(value, (list, dict)) or value is None else str(value)


def readings(seen, field: str = "username") -> dict[str, str]:
    """Every behaviour's name, for those that find one."""
    query = urllib.parse.urlsplit(seen.target).query.encode("latin-1")
    body = seen.body
    names = {
        "exact": lambda n: n == field,
        "any case (.NET, Go)": lambda n: n.lower() == field,
        "brackets (PHP, Rails, qs)": lambda n: php_name(n) == field,
        "trimmed": lambda n: n.strip() == field,
        "to NUL (C)": lambda n: n.split("\0")[0] == field,
        "compatibility forms": lambda n: unicodedata.normalize("NFKC", n).casefold() == field,
    }
    found = {}

    def note(behaviour, values):
        values = [value for value in (_flat(value) for value in values) if value is not None]
        if values:
            found[f"{behaviour}, first"] = values[0]
            found[f"{behaviour}, last"] = values[-1]
            found[f"{behaviour}, all"] = ",".join(values) if len(set(values)) > 1 else values[0]

    is_json = body.lstrip(b"\xef\xbb\xbf \t\r\n\0")[:1] == b"{"
    for source, data in {"body": body, "query and body": query + b"&" + body, "body and query": body + b"&" + query,
                         "query": query}.items():
        if is_json:
            data = data.replace(body, b"")
        for separators in (b"&", b"&;"):
            for charset in ("utf-8", "latin-1"):
                if charset == "latin-1" and data.isascii() and b"%" not in data:
                    continue
                for name, keep in names.items():
                    note(f"form of {source}, {separators.decode()}, {charset}, {name}",
                         [value for key, value in pairs(data, separators, charset) if keep(key)])
    if is_json:
        for charset in ("utf-8", "latin-1"):
            text = body.decode(charset, "replace")
            for name, keep in names.items():
                note(f"JSON, {charset}, {name}", members(text, field, keep))
    return found


def agree(seen, ruled: str, field: str = "username") -> list[str]:
    """The behaviours that would authenticate somebody else than the one ruled on."""
    # Who reads UTF-8 as Latin-1 reads every name that is not ASCII so, and knows nobody by it.
    mistaken = ruled.encode().decode("latin-1")
    return [f"{behaviour}: {name!r}" for behaviour, name in readings(seen, field).items() if name not in (ruled, mistaken)]
