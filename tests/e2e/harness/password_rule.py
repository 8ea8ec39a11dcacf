"""The password rule: the users of one account, an application that takes the word `right`, and the two ways to post a login."""

import json

import pytest

from .app import Answer
from .expect import refused
from .readers import pairs

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
USERS = [
    {"username": "root", "email": "root@acme.com", "roles": ["account_admin"]},
    {"username": "ada", "email": "ada@acme.com", "roles": ["editor"]},
    {"username": "ina", "email": "ina@acme.com", "roles": ["account_admin"], "active": False},
    {"username": "tom", "email": "tom@acme.com", "roles": ["not_account_admin", "account_admin2", "Account_Admin", "account", "admin"]},
    {"username": "renée", "email": "renee@acme.com", "roles": ["account_admin"]},
    {"username": "two", "email": "a@acme.com", "roles": ["account_admin"]},
    {"username": "TWO", "email": "b@acme.com", "roles": []},
]
LOGINS = [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200]}}, {"path": "/api/login", "username": {"json": "/username"}, "success": {"status": [200]}}]


def password(mode, **changes):
    return {"password": {"mode": mode, "admin_roles": ["account_admin"], "logins": LOGINS, "page": "/login",
                         "attempts": {"limit": 1000, "window": "5m"}} | changes,
            "directory": {"static": {"users": USERS}}}


def modes(world) -> None:
    """An account for each mode, behind one application."""
    for mode in ("enabled", "admins", "disabled"):
        world.account(mode, password(mode))
    world.app.routes |= {"/login": sign_in, "/api/login": sign_in}


def sign_in(seen) -> Answer:
    """The application: the word `right` opens it to any name."""
    try:
        fields = json.loads(seen.body) if seen.path.startswith("/api") else dict(pairs(seen.body))
    except ValueError:
        fields = {}
    if fields.get("password") == "right":
        return Answer(200, [("set-cookie", "app_session=1; Path=/")], b"welcome")
    return Answer(401, [], b"wrong")


def form(account, username="root", word="right", client=None, **options):
    options = {"body": {"username": username, "password": word}} | options
    options["headers"] = {"origin": account.origin} | options.get("headers", {})
    return (client or account.client()).post(account.url(options.pop("path", "/login")), **options)


def as_json(account, username="root", word="right", client=None, **options):
    options = {"body": json.dumps({"username": username, "password": word})} | options
    options["headers"] = {"origin": account.origin, "content-type": JSON} | options.get("headers", {})
    return (client or account.client()).post(account.url(options.pop("path", "/api/login")), **options)


WAYS = [form, as_json]
ways = pytest.mark.parametrize("way", WAYS, ids=["form", "json"])


def untouched(account, send, *codes, status=None):
    mark = account.world.app.mark()
    reply = refused(send(), *codes, status=status)
    account.world.app.nothing_since(mark)
    return reply


def passes(account, send, user="root"):
    """Reaches the application, and opens a session for this user."""
    mark, client = account.world.app.mark(), account.client()
    reply = send(client)
    assert reply.status in (200, 204, 302) and reply.code is None, reply
    assert len(account.world.app.since(mark)) == 1
    if user:
        seen = client.get(account.url("/who")).seen()
        assert seen["x-sso-user"] == [user.encode().decode("latin-1") if user.isascii() else "ren%C3%A9e"], seen
        assert seen["x-sso-method"] == ["password"]
    return client
