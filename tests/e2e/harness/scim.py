"""A scriptable SCIM 2.0 server (RFC 7644): one port, any number of directories told apart by their host.

It is strict where a directory is (bearer token, filters, pages, 409) and every answer can be replaced:

    directory.fault("GET", status=500, body=b"<html>")
    directory.ignore_filter = True            # as Canaille and others do
    directory.resources = lambda found: found + found
"""

import json
import re
import secrets
import socket
import threading
import urllib.parse
from dataclasses import dataclass

from .idp import Fault
from .serving import serve

TOKEN = "the token of the directory"
CLAUSE = re.compile(r'\s*([A-Za-z.]+)\s+(eq|ew|sw|co)\s+("(?:[^"\\]|\\.)*")\s*', re.I)


@dataclass
class Asked:
    """A request that the directory received."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def filter(self) -> str | None:
        return self.query.get("filter")

    def json(self):
        return json.loads(self.body)


class BadFilter(ValueError):
    pass


def user(username: str, **attributes) -> dict:
    """A user as SCIM has it. email, phone, roles and active are written short."""
    emails = attributes.pop("emails", [attributes.pop("email", None)])
    phones = attributes.pop("phones", [attributes.pop("phone", None)])
    roles = attributes.pop("roles", [])
    made = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": attributes.pop("id", secrets.token_hex(8)),
            "userName": username, "active": attributes.pop("active", True),
            "emails": [{"value": value, "type": "work"} for value in emails if value],
            "phoneNumbers": [{"value": value, "type": "work"} for value in phones if value],
            "roles": [{"value": value} for value in roles]}
    return made | attributes


class Directory:
    """The users of one host."""

    def __init__(self, host: str):
        self.host = host
        self.url = f"http://{host}/scim/v2"
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.users: list[dict] = []
        self.asked: list[Asked] = []
        self.faults: dict[str, Fault] = {}
        self.ignore_filter = False
        self.no_ends_with = False  # 400 invalidFilter to `ew`, as servers answer that lack it
        self.page = 100  # the most users of one page
        self.unique = True  # 409 for a userName that is there
        self.resources = None  # list of users -> list of users, of every answer
        self.before_create = None  # called before a user is made
        self.create_answer = None  # made -> (status, body)
        return self

    def add(self, username: str, **attributes) -> dict:
        made = user(username, **attributes)
        self.users.append(made)
        return made

    def named(self, username: str) -> list[dict]:
        return [one for one in self.users if one["userName"] == username]

    def fault(self, method: str, **values):
        self.faults[method] = Fault(**values)
        return self

    def count(self, method: str | None = None) -> int:
        return sum(1 for asked in self.asked if method in (None, asked.method))

    def methods(self, since: int = 0) -> list[str]:
        return [asked.method for asked in self.asked[since:]]

    # The protocol: Asked -> (status, body).

    def answer(self, asked: Asked) -> tuple[int, object]:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, error(401, "no token of mine")
        match asked.method, asked.path.removeprefix("/scim/v2"):
            case "GET", "/Users":
                return self.search(asked)
            case "POST", "/Users":
                return self.create(asked)
            case "PATCH", path if path.startswith("/Users/"):
                return self.patch(urllib.parse.unquote(path.removeprefix("/Users/")), asked)
        return 404, error(404, "no such resource")

    def search(self, asked: Asked):
        try:
            found = [one for one in self.users if self.ignore_filter or asked.filter is None or self.matches(one, asked.filter)]
        except BadFilter as bad:
            return 400, error(400, str(bad), "invalidFilter")
        if self.resources:
            found = self.resources(found)
        start = max(1, int(asked.query.get("startIndex", 1)))
        count = min(self.page, int(asked.query.get("count", self.page)))
        shown = found[start - 1:start - 1 + count]
        return 200, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": len(found),
                     "startIndex": start, "itemsPerPage": len(shown), "Resources": shown}

    def matches(self, one: dict, text: str) -> bool:
        at, results = 0, []
        while True:
            clause = CLAUSE.match(text, at)
            if not clause:
                raise BadFilter(f"cannot read {text[at:at + 60]!r}")
            attribute, operator, value = clause[1].lower(), clause[2].lower(), json.loads(clause[3]).lower()
            if operator == "ew" and self.no_ends_with:
                raise BadFilter("no such operator")
            values = self.values(one, attribute)
            results.append(any({"eq": v == value, "ew": v.endswith(value), "sw": v.startswith(value),
                                "co": value in v}[operator] for v in values))
            at = clause.end()
            if at == len(text):
                return any(results)
            if text[at:at + 3].lower() != "or ":
                raise BadFilter(f"cannot read {text[at:at + 60]!r}")
            at += 3

    @staticmethod
    def values(one: dict, attribute: str) -> list[str]:
        if attribute in ("emails.value", "emails", "phonenumbers.value", "phonenumbers"):
            name = "emails" if attribute.startswith("emails") else "phoneNumbers"
            return [item["value"].lower() for item in one.get(name) or []]
        for name in ("userName", "externalId", "id"):
            if attribute == name.lower():
                return [one[name].lower()] if one.get(name) else []
        raise BadFilter(f"no attribute {attribute}")

    def create(self, asked: Asked):
        if self.before_create:
            self.before_create()
        wanted = asked.json()
        with self.lock:
            if self.unique and any(one["userName"].lower() == wanted["userName"].lower() for one in self.users):
                return 409, error(409, "userName is taken", "uniqueness")
            made = wanted | {"id": secrets.token_hex(8)}
            self.users.append(made)
        return self.create_answer(made) if self.create_answer else (201, made)

    def patch(self, identifier: str, asked: Asked):
        found = next((one for one in self.users if one["id"] == identifier), None)
        if found is None:
            return 404, error(404, "no such user")
        document = asked.json()
        assert document["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], document
        for operation in document["Operations"]:
            if operation["op"].lower() not in ("add", "replace") or "path" not in operation:
                return 400, error(400, "only add and replace of a path", "invalidSyntax")
            found[operation["path"]] = operation["value"]
        return 200, found


def error(status: int, detail: str, kind: str | None = None) -> dict:
    said = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
    return said | ({"scimType": kind} if kind else {})


class ScimServer:
    """Serves every directory on one port."""

    def __init__(self):
        self.directories: dict[str, Directory] = {}
        self.closing = threading.Event()
        self.server = serve(0, self._serve, ("GET", "POST", "PATCH", "PUT", "DELETE"))
        self.port = self.server.server_address[1]

    def directory(self, host: str) -> Directory:
        return self.directories.setdefault(host, Directory(host))

    def stop(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def _serve(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        directory = self.directories.get((handler.headers.get("host") or "").split(":")[0].lower())
        if directory is None:
            return self._answer(handler, 404, {}, b"")
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, url.path, query, headers, body)
        directory.asked.append(asked)
        fault = directory.faults.get(asked.method)
        if fault and fault.times == 0:
            fault = None
        if fault:
            fault.times -= 1 if fault.times > 0 else 0
            if fault.delay:
                self.closing.wait(fault.delay)
            if fault.drop:
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return None
        if fault and (fault.body is not None or fault.status != 200):
            status, said = fault.status, fault.body or b""
        else:
            status, said = directory.answer(asked)
            said = said if isinstance(said, bytes) else json.dumps(said).encode()
        headers = {"content-type": "application/scim+json"} | (fault.headers if fault else {})
        self._answer(handler, status, headers, said, bool(fault and fault.truncate))

    @staticmethod
    def _answer(handler, status, headers, body, truncate=False):
        lines = [f"HTTP/1.1 {status} X"] + [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"content-length: {len(body) + (100 if truncate else 0)}")
        try:
            handler.wfile.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            handler.wfile.flush()
            if truncate:
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            handler.close_connection = True
