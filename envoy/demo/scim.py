"""A small SCIM 2.0 server (RFC 7643, RFC 7644) over the application's users: `/scim/v2/Users` with
filter, paging, create, replace, patch and delete. Enough for a demo, and honest about the rest."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
TOKEN = re.compile(r'\s*(\(|\)|"(?:[^"\\]|\\.)*"|[A-Za-z][\w.:$-]*|true|false)')


class Directory:
    """The users, in memory."""

    def __init__(self, people):
        self.lock = threading.Lock()
        self.users = {}
        self.last = 0
        for person in people:
            user = {"userName": person["userName"], "displayName": person["displayName"], "active": person.get("active", True)}
            if person["email"]:
                user["emails"] = [{"value": person["email"], "type": "work", "primary": True}]
            if person["phone"]:
                user["phoneNumbers"] = [{"value": person["phone"], "type": "work"}]
            user["roles"] = [{"value": role} for role in person["roles"]]
            self.add(user)

    def all(self):
        with self.lock:
            return [dict(user) for user in self.users.values()]

    def by_name(self, name):
        return next((user for user in self.all() if user["userName"] == name), None)

    def add(self, user):
        """The new user, or None where the name is taken (RFC 7644 section 3.3: 409)."""
        with self.lock:
            if any(other["userName"].lower() == user["userName"].lower() for other in self.users.values()):
                return None
            self.last += 1
            key = str(self.last)
            self.users[key] = {**user, "schemas": [USER], "id": key}
            return dict(self.users[key])

    def put(self, key, user):
        with self.lock:
            if key not in self.users:
                return None
            self.users[key] = {**user, "schemas": [USER], "id": key}
            return dict(self.users[key])


def values(user, attribute):
    """The values a filter's attribute names, as text."""
    attribute = attribute.removeprefix(USER + ":").lower()
    head, _, sub = attribute.partition(".")
    found = next((value for key, value in user.items() if key.lower() == head), None)
    if isinstance(found, list):
        found = [item.get(sub or "value") for item in found]
    else:
        found = [found.get(sub) if isinstance(found, dict) else found]
    return [str(value).lower() if isinstance(value, bool) else value for value in found if value is not None]


def matches(user, text):
    """RFC 7644 section 3.4.2.2: eq, co, sw, pr, joined by and, or, not and parentheses."""
    tokens, rest = [], text.strip()
    while rest:
        if not (found := TOKEN.match(rest)):
            raise ValueError("filter")
        tokens.append(found[1])
        rest = rest[found.end() :].strip()

    def either():
        result = both()
        while tokens and tokens[0].lower() == "or":
            tokens.pop(0)
            other = both()
            result = result or other
        return result

    def both():
        result = one()
        while tokens and tokens[0].lower() == "and":
            tokens.pop(0)
            other = one()
            result = result and other
        return result

    def one():
        token = tokens.pop(0)
        if token == "(":
            result = either()
            if tokens.pop(0) != ")":
                raise ValueError("filter")
            return result
        if token.lower() == "not":
            return not one()
        operator = tokens.pop(0).lower()
        found = values(user, token)
        if operator == "pr":
            return bool(found)
        wanted = tokens.pop(0)
        wanted = str(json.loads(wanted) if wanted.startswith('"') else wanted).lower()
        test = {"eq": str.__eq__, "co": str.__contains__, "sw": str.startswith}[operator]
        return any(test(str(value).lower(), wanted) for value in found)

    result = either()
    if tokens:
        raise ValueError("filter")
    return result


def patched(user, operations):
    """RFC 7644 section 3.5.2, for top-level attributes."""
    user = dict(user)
    for operation in operations:
        kind, path, value = operation["op"].lower(), operation.get("path"), operation.get("value")
        changes = {path: value} if path else value
        for key, value in changes.items():
            key = key.removeprefix(USER + ":")
            if kind == "remove":
                user.pop(key, None)
            elif kind == "add" and isinstance(user.get(key), list) and isinstance(value, list):
                user[key] = user[key] + value
            else:
                user[key] = value
    return user


def scim_handler(directory, token):
    """The handler class of one directory."""

    class Scim(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "acme-directory"

        def log_message(self, *_):
            pass

        def answer(self, status, body=None):
            data = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/scim+json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def refuse(self, status, detail, kind=None):
            error = {"schemas": [ERROR], "status": str(status), "detail": detail}
            self.answer(status, {**error, "scimType": kind} if kind else error)

        def handle_scim(self):
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(min(length, 1 << 20))
            if self.headers.get("authorization") != f"Bearer {token}":
                return self.refuse(401, "a bearer token is needed")
            url = urlsplit(self.path)
            match = re.fullmatch(r"/scim/v2/Users(?:/([^/]+))?/?", url.path)
            if not match:
                return self.refuse(404, "only /scim/v2/Users is served")
            try:
                self.users(match[1] and unquote(match[1]), parse_qs(url.query), json.loads(body) if body else None)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                self.refuse(400, "the request could not be read", "invalidSyntax")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_scim

        def users(self, key, query, body):
            if key is None and self.command == "POST":
                user = directory.add({**body, "userName": str(body["userName"])})
                return self.answer(201, user) if user else self.refuse(409, "that userName is taken", "uniqueness")
            if key is None and self.command == "GET":
                text = query.get("filter", [None])[0]
                found = [user for user in directory.all() if text is None or matches(user, text)]
                start = max(1, int(query.get("startIndex", ["1"])[0]))
                count = min(100, max(0, int(query.get("count", ["100"])[0])))
                shown = found[start - 1 : start - 1 + count]
                listing = {"totalResults": len(found), "startIndex": start, "itemsPerPage": len(shown)}
                return self.answer(200, {"schemas": [LIST], **listing, "Resources": shown})
            user = next((user for user in directory.all() if user["id"] == key), None)
            if user is None:
                return self.refuse(404, "no such user")
            if self.command == "GET":
                return self.answer(200, user)
            if self.command == "DELETE":
                with directory.lock:
                    directory.users.pop(key, None)
                return self.answer(204)
            if self.command in ("PUT", "PATCH"):
                changed = patched(user, body["Operations"]) if self.command == "PATCH" else body
                return self.answer(200, directory.put(key, changed))
            self.refuse(405, "not here")

    return Scim
