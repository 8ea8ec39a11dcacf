"""The password rule in front of logins as frameworks have them: right and wrong passwords, and every spelling.

docs/passwords.md has these logins as recipes. What counts is whom the application signed in, by its own session: under
`admins` an administrator or none, and the one for whom the filter opened a session.
"""

import json

import pytest

from harness.applications import Application
from harness.expect import refused, session_cookies
from test_password import ALIASES, FORM, JSON, USERS, hostile_forms, hostile_json
from test_password_fields import aliases

FORM_FIELDS = ["username", "password", "csrfmiddlewaretoken", "next"]
LOGINS = {
    "django": {"path": "/login", "username": {"form": "username"}, "fields": FORM_FIELDS, "success": {"redirect_not": "/login*"}},
    "flask": {"path": "/login", "username": {"form": "username"}, "fields": FORM_FIELDS, "success": {"redirect_not": "/login*"}},
    "fastapi": {"path": "/api/login", "username": {"json": "/username"}, "fields": ["username", "password"], "success": {"json": {"pointer": "/access_token"}}},
    "express": {"path": "/login", "username": {"form": "username"}, "fields": FORM_FIELDS, "success": {"redirect_not": "/login*"}},
    "php": {"path": "/login.php", "username": {"form": "username"}, "fields": FORM_FIELDS, "success": {"redirect": "/me.php"}},
}


@pytest.fixture(scope="module", params=LOGINS)
def account(make_world, request):
    name, world = request.param, make_world(f"application-{request.param}")
    application = Application(name)
    world.clusters["app"] = application.port
    # `fields` hides what the rule does without it: both are driven.
    for code, login in (("listed", LOGINS[name]), ("plain", {key: value for key, value in LOGINS[name].items() if key != "fields"})):
        world.account(code, {"password": {"mode": "admins", "admin_roles": ["account_admin"], "logins": [login], "attempts": {"limit": 1000, "window": "5m"}},
                             "directory": {"static": {"users": USERS}}, "access": [{"path": "/who", "allow": "users"}, {"prefix": "/", "allow": "anyone"}]})
    world.start()
    account = world.accounts["listed"]
    account.login, account.me = LOGINS[name], "/me.php" if name == "php" else "/me"
    yield account
    application.stop()


def post(account, body, path=None, client=None, kind=None, method="POST"):
    kind = kind or (JSON if "json" in account.login["username"] else FORM)
    return (client or account.client()).request(method, account.url("/"), target=(path or account.login["path"]).encode().decode("latin-1"), body=body,
                                                headers={"origin": account.origin, "content-type": kind})


def body_of(account, username, word):
    return json.dumps({"username": username, "password": word}) if "json" in account.login["username"] else f"username={username}&password={word}"


def asked(account):
    return account.world.envoy.stats("cluster.app.upstream_rq_total")["cluster.app.upstream_rq_total"]


def whom_it_knows(account, client):
    reply = client.get(account.url(account.me))
    assert reply.status == 200, reply
    return reply.text


def test_right_and_wrong_passwords(account):
    client = account.client()
    reply = post(account, body_of(account, "root", "right"), client=client)
    assert reply.code is None and reply.status in (200, 302), reply
    assert whom_it_knows(account, client) == "root"
    assert client.get(account.url("/sso/session")).json()["user"] == "root"
    for word in ("wrong", "", "Right"):
        client = account.client()
        reply = post(account, body_of(account, "root", word), client=client)
        assert reply.code is None and not session_cookies(client), reply
        assert whom_it_knows(account, client) == ""
        refused(client.get(account.url("/who")), "login_required")
    before = asked(account)
    refused(post(account, body_of(account, "ada", "right")), "password_not_allowed")
    assert asked(account) == before, "the application was asked"


@pytest.mark.parametrize("code", ["listed", "plain"])
def test_no_body_signs_another_user_in(account, code):
    own = account.world.accounts[code]
    own.login, own.me = account.login, account.me
    problems, passed = [], 0
    for body in hostile_json() if "json" in account.login["username"] else hostile_forms():
        client = own.client()
        reply = post(own, body, client=client)
        if reply.code:
            refused(reply, "username_unreadable", "password_not_allowed")
            if session_cookies(client) or len(client.cookies):
                problems.append((body, reply))
            continue
        passed += 1
        user = whom_it_knows(own, client)
        session = client.get(own.url("/sso/session"))
        ruled = session.json()["user"] if session.code is None else ""
        if user not in ("", "root", "renée") or ruled not in ("", user):
            problems.append((body, user, ruled))
    assert problems == [] and passed


def test_no_path_signs_another_user_in(account):
    problems = []
    path = account.login["path"]
    spellings = [alias.replace("login", path.strip("/")) for alias in ALIASES] + [alias for alias, _ in aliases()]
    spellings += ["/index.php" + path, "/index.php/login", "/login", "/login/", "/login/x", "/login.php/x", "/me.php/../login.php"]
    for spelling in dict.fromkeys(spellings):
        if spelling == path:
            continue
        for method in ("POST", "PUT", "OPTIONS"):
            client = account.client()
            reply = post(account, body_of(account, "ada", "right"), path=spelling, client=client, method=method)
            if whom_it_knows(account, client) != "":
                problems.append((method, spelling, reply))
    assert problems == []


def test_no_method_signs_another_user_in(account):
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "QUERY", "DELETE"):
        client, before = account.client(), asked(account)
        reply = post(account, body_of(account, "ada", "right"), client=client, method=method)
        assert reply.status in (400, 405) and asked(account) == before, (method, reply)
