"""The password rule in front of logins as frameworks have them, through every spelling that the generators know.

docs/passwords.md has these logins as recipes. What counts is whom the application signed in, by its own session: under
`admins` an administrator or none, under `disabled` none, and always the one for whom the filter opened a session.
"""

import dataclasses
import json
import re
import urllib.parse

import pytest
import yaml

from harness import spellings
from harness.applications import LOGINS, Applications
from harness.client import Client, exchange
from harness.expect import refused, session_cookies
from harness.net import PROJECT
from harness.password_rule import USERS
from harness.spellings import FORM, JSON
from test_password import ALIASES
from test_password_bodies import hostile_forms, hostile_json
from test_password_fields import aliases

ADMINS = ("root", "renée")
# `fields` hides what the rule does without it: `plain` has none.
MODES = {"enabled": "enabled", "listed": "admins", "plain": "admins", "disabled": "disabled", "counted": "admins"}
RULED = ("username_unreadable", "password_not_allowed", "password_disabled", "request_invalid", "method_not_allowed", "content_type_unsupported", "body_too_large")


class Site:
    """One login, behind an account of each mode."""

    def __init__(self, world, name: str, application):
        self.world, self.name, self.application = world, name, application
        self.login = LOGINS[name]
        self.path, self.kind = self.login.path, JSON if self.login.is_json else FORM

    def account(self, mode: str):
        return self.world.accounts[f"{self.name}--{mode}"]

    def client(self, mode: str | None) -> Client:
        """Without a mode: past the filter."""
        client = self.account(mode).client() if mode else Client({".app.test": self.application.port}, self.application.port)
        if self.login.first:
            assert client.get(self.url(mode, self.login.first)).code is None
        return client

    def url(self, mode: str | None, path: str) -> str:
        return self.account(mode or "enabled").url(path)

    def body(self, name: str, word: str = "right") -> str:
        return spellings.json_of(name, word) if self.login.is_json else spellings.form_of(name, word, self.login.name_field)

    def named(self, body):
        """A body of the generators, in this login's names."""
        if self.login.name_field == "username" or isinstance(body, bytes):
            return body
        return body.replace("username", "j_username").replace("password", "j_password")

    def send(self, client: Client, mode: str | None, body, *, path=None, method="POST", kind="own", headers=None):
        sent = {"origin": self.account(mode or "enabled").origin} | self.login.headers | (headers or {})
        sent["content-type"] = self.kind if kind == "own" else kind
        return client.request(method, self.url(mode, "/"), target=(path or self.path).encode().decode("latin-1"), body=body, headers=sent)

    def who_is_in(self, client: Client, mode: str | None) -> str:
        """Whom the application signed in."""
        reply = client.get(self.url(mode, self.login.me))
        assert reply.status == 200 and reply.code is None, reply
        return "" if reply.text.startswith("<form") else reply.text

    def opened(self, client: Client, mode: str) -> str:
        """For whom the filter opened a session."""
        reply = client.get(self.url(mode, "/sso/session"))
        assert reply.code in ("ok", "login_required", "session_expired"), reply
        return reply.json()["user"] if reply.code == "ok" else ""

    def asked(self) -> int:
        return self.world.envoy.stats(rf"^cluster\.{self.login.runs}\.upstream_rq_total$")[f"cluster.{self.login.runs}.upstream_rq_total"]

    def bodies(self):
        hostile, choosing = (hostile_json, spellings.choosing_json) if self.login.is_json else (hostile_forms, spellings.choosing_forms)
        for body in (*hostile(), *choosing("ada")):
            yield self.named(body)


@pytest.fixture(scope="module")
def corpus(make_world):
    applications = Applications()
    try:
        routes = [{"match": {"prefix": "", "headers": [{"name": ":authority", "string_match": {"prefix": f"{name}--"}}]}, "route": {"cluster": login.runs, "timeout": "60s"}}
                  for name, login in LOGINS.items()]
        world = make_world("applications", routes=routes)
        world.clusters |= {name: one.port for name, one in applications.running.items()}
        for name, login in LOGINS.items():
            world.clusters.setdefault(login.runs, world.clusters["dead"])
            for code, mode in MODES.items():
                told = {key: value for key, value in login.login.items() if key != "fields" or code in ("listed", "counted")}
                world.account(f"{name}--{code}", {
                    "password": {"mode": mode, "admin_roles": ["account_admin"], "logins": [told], "attempts": {"limit": 3 if code == "counted" else 1000, "window": "5m"}},
                    "directory": {"static": {"users": USERS}}, "access": [{"path": "/who", "allow": "users"}, {"prefix": "/", "allow": "anyone"}]})
        by_email = LOGINS["dj-rest-auth"].login | {"username": {"json": "/email", "attribute": "email"}, "fields": ["email", "password"]}
        world.account("dj-rest-auth--email", {"password": {"mode": "admins", "admin_roles": ["account_admin"], "logins": [by_email]},
                                              "directory": {"static": {"users": USERS}}, "access": [{"prefix": "/", "allow": "anyone"}]})
        world.start()
        yield world, applications
    finally:
        applications.stop()


@pytest.fixture(scope="module", params=LOGINS)
def site(corpus, request):
    world, applications = corpus
    return Site(world, request.param, applications.need(LOGINS[request.param].runs))


def test_right_and_wrong_passwords(site):
    client = site.client("listed")
    reply = site.send(client, "listed", site.body("root"))
    assert reply.code is None and reply.status in (200, 302, 303), reply
    assert site.opened(client, "listed") == "root"
    if site.login.first:
        client.get(site.url("listed", site.login.first))
    assert site.who_is_in(client, "listed") == "root" and client.get(site.url("listed", "/who")).text == "root"
    before = site.asked()
    for mode, code in (("listed", "password_not_allowed"), ("plain", "password_not_allowed"), ("disabled", "password_disabled")):
        client = site.account(mode).client()
        refused(site.send(client, mode, site.body("ada")), code)
        assert not client.cookies
    assert site.asked() == before, "the application was asked"


def natural(site):
    """What a browser or a program of the application sends: method, path, body, content type, further headers."""
    for name, word in (("root", "right"), ("ada", "right"), ("renée", "right"), ("ada", "wrong"), ("ada", ""), ("ada", "p&s +%=;ß✓"), ("stranger", "right"), ("ada", "x" * 500)):
        yield "POST", site.path, site.body(name, word), site.kind, {}
    good = site.body("ada")
    for kind in (f"{site.kind}; charset=UTF-8", site.kind.title()):
        yield "POST", site.path, good, kind, {}
    yield "POST", f"{site.path}?lang=de", good, site.kind, {}
    yield "POST", site.path, good, site.kind, {"x-requested-with": "XMLHttpRequest", "accept-language": "de", "user-agent": "x"}
    yield "POST", site.path, good.replace("}", ', "remember": true, "otp": ""}') if site.login.is_json else f"{good}&remember=on&csrf=x&otp=", site.kind, {}
    for method, path in (("GET", site.path), ("HEAD", site.path), ("OPTIONS", site.path), ("GET", site.login.me), ("GET", "/nowhere"), ("GET", f"{site.path}?error=1")):
        yield method, path, None, None, {}
    for method, path in (("POST", "/nowhere"), ("PUT", "/nowhere"), ("DELETE", "/nowhere")):
        yield method, path, "a=1&username=ada", FORM, {}


def test_what_worked_without_the_filter_works_under_enabled(site):
    def answer(mode, method, path, body, kind, headers):
        client = site.client(mode)
        reply = site.send(client, mode, body, path=path, method=method, kind=kind, headers=headers)
        assert reply.code is None, (path, body, reply)
        if site.login.first:
            client.get(site.url(mode, site.login.first))
        names = sorted(name for name in client.values() if "sso" not in name)
        to = urllib.parse.urlsplit(reply.location or "")
        text = reply.text if (reply.get("content-type") or "").startswith("application/json") else ""
        user = site.who_is_in(client, mode)
        if mode:
            assert site.opened(client, mode) == user, (path, body, reply)
        return reply.status, to.path.split(";")[0], to.query, names, user, site.login.runs == "dj-rest-auth" or text

    for one in natural(site):
        assert answer("enabled", *one) == answer(None, *one), one


def test_no_body_signs_another_user_in(site):
    """Nor one for whom the filter opened no session: the application and the filter always mean the same user."""
    problems, passed = [], dict.fromkeys(("enabled", "listed", "plain", "disabled"), 0)
    allowed = {"enabled": (*ADMINS, "ada"), "listed": ADMINS, "plain": ADMINS, "disabled": ()}
    for mode in passed:
        for body in site.bodies():
            client = site.client(mode) if site.login.first else site.account(mode).client()
            cookies = set(client.values())
            reply = site.send(client, mode, body)
            if reply.code:
                if reply.code not in RULED or set(client.values()) != cookies:
                    problems.append((mode, body, reply))
                continue
            passed[mode] += 1
            if site.login.first:
                client.get(site.url(mode, site.login.first))
            user = site.who_is_in(client, mode)
            if user not in ("", *allowed[mode]) or site.opened(client, mode) != user:
                problems.append((mode, body, user, site.opened(client, mode)))
    assert problems == []
    assert passed["enabled"] and passed["listed"] and passed["plain"] and not passed["disabled"], passed


def test_a_wrong_password_opens_no_session(site):
    problems, passed = [], 0
    for body in site.bodies():
        body = body.replace(b"right", b"wrong") if isinstance(body, bytes) else body.replace("right", "wrong")
        client = site.client("enabled") if site.login.first else site.account("enabled").client()
        reply = site.send(client, "enabled", body)
        passed += reply.code is None
        if session_cookies(client) or reply.code is None and site.who_is_in(client, "enabled") != "":
            problems.append((body, reply))
    assert problems == [] and passed > 5


def not_in(site, mode, client, reply, what):
    """A problem, where somebody got in; the application answers the rest as it likes."""
    if site.login.first and reply.code is None:
        client.get(site.url(mode, site.login.first))
    user = site.who_is_in(client, mode)
    return [(mode, what, user, reply)] if user or session_cookies(client) else []


@pytest.mark.parametrize("mode", ["plain", "disabled"])
def test_no_content_type_or_encoding_signs_in(site, mode):
    problems, name = [], "ada" if mode == "plain" else "root"
    client = site.client(mode)
    sent = [(body, kind, {}) for kind in spellings.kinds() for body in spellings.kind_bodies(name, site.login.name_field)]
    sent += [(body, kind, headers) for kind in (FORM, JSON) for headers, body in spellings.encodings(spellings.form_of(name, "right") if kind == FORM else spellings.json_of(name, "right"))]
    before = site.asked()
    for body, kind, headers in sent:
        reply = site.send(client, mode, body, kind=kind, headers=headers)
        if reply.code not in RULED and not (reply.status in (400, 501) and "transfer-encoding" in headers):
            problems.append((body, kind, headers, reply))
    assert problems == [] and site.asked() == before


@pytest.mark.parametrize("mode", ["plain", "disabled"])
def test_no_path_signs_another_user_in(site, mode):
    name = "ada" if mode == "plain" else "root"
    known = [alias.replace("login", site.path.strip("/")) for alias in ALIASES] + [alias for alias, _ in aliases()]
    problems, spelt = [], dict.fromkeys([*spellings.paths(site.path), *known])
    client = site.client(mode)
    for path in spelt:
        replies = [site.send(client, mode, site.body(name), path=path, method=method) for method in ("POST", "PUT", "OPTIONS")]
        query = spellings.form_of(name, "right", site.login.name_field)
        replies.append(site.send(client, mode, None, path=f"{path}{'&' if '?' in path else '?'}{query}", kind=FORM))
        if found := [reply for reply in replies if reply.code is None]:
            problems += not_in(site, mode, client, found[0], path)
    assert problems == []
    refused(client.get(site.url(mode, "/who")), "login_required")


@pytest.mark.parametrize("mode", ["plain", "disabled"])
def test_no_method_or_framing_signs_in(site, mode):
    """The login's own path, with every method, each way to tell where a body ends, and the credentials in the query."""
    name, account, problems = "ada" if mode == "plain" else "root", site.account(mode), []
    bodies = [(FORM, spellings.form_of(name, "right", site.login.name_field)), (JSON, spellings.json_of(name, "right"))]
    cookies = "; ".join(f"{key}={value}" for key, value in site.client(mode).values().items())
    before = site.asked()
    for method in ["POST", *spellings.METHODS]:
        for kind, body in bodies:
            for query in ("", f"?{bodies[0][1]}"):
                for more, sent in spellings.framings(body.encode()):
                    head = f"{method} {site.path}{query} HTTP/1.1\r\nhost: {account.origin[8:]}\r\ncontent-type: {kind}\r\ncookie: {cookies}\r\nconnection: close\r\n{more}\r\n"
                    reply = exchange(site.world.port, head.encode() + sent, method=method)
                    if reply.code not in RULED and not (reply.status in (100, 400, 403, 405, 501) and reply.code is None):
                        problems.append((method, kind, query, more, reply))
    assert problems == [] and site.asked() == before


@pytest.mark.parametrize("mode", ["plain", "disabled"])
def test_no_header_signs_in(site, mode):
    name, problems = "ada" if mode == "plain" else "root", []
    client = site.client(mode)
    for headers in spellings.headers_that_change_a_request(site.path, site.account(mode).origin):
        for method, path in (("POST", site.path), ("GET", site.path), ("PUT", site.path), ("POST", "/who"), ("POST", "/nowhere"), ("GET", "/nowhere"), ("POST", "/")):
            reply = site.send(client, mode, site.body(name), path=path, method=method, headers=headers)
            problems += not_in(site, mode, client, reply, (method, path, headers)) if reply.code is None else []
    assert problems == []


@pytest.mark.parametrize("mode", ["enabled", "listed", "disabled"])
def test_single_sign_on_is_unharmed(site, mode):
    """Users of single sign-on are told to the application, under every header its server would take for ours, and stay."""
    account = site.account(mode)
    client = account.signed_in("/who")
    spoof = {"x-sso-user": "root", "x_sso_user": "root", "X.SSO.User": "root", "x-sso_user": "root"}
    assert client.get(account.url("/who")).text == client.get(account.url("/who"), headers=spoof).text == "ada"
    for method, path in (("POST", "/nowhere"), ("PUT", "/nowhere"), ("GET", site.path)):
        reply = site.send(client, mode, None if method == "GET" else "username=ada&password=right", method=method, path=path, kind=FORM)
        assert reply.code is None, reply
    if mode != "enabled":
        refused(site.send(client, mode, site.body("ada")), "password_not_allowed", "password_disabled")
    if mode != "disabled":
        assert site.send(client, mode, site.body("root", "wrong")).code is None
    said = client.get(account.url("/sso/session")).json()
    assert (said["user"], said["method"]) == ("ada", "sso") and client.get(account.url("/who")).text == "ada"
    assert site.who_is_in(client, mode) == "", "the application's own session"


def test_the_applications_own_session_outlives_the_mode_on_open_paths(site):
    """What the documents say that the rule cannot see; where a user is demanded, it opens nothing."""
    before = site.client("enabled")
    assert site.send(before, "enabled", site.body("ada")).code is None
    if site.login.first:
        before.get(site.url("enabled", site.login.first))
    assert site.who_is_in(before, "enabled") == "ada"
    account = site.account("disabled")
    client, host = account.client(), account.origin.removeprefix("https://")
    for (_, path, name), cookie in before.cookies.items():
        client.cookies[(host, path, name)] = dataclasses.replace(cookie, host=host)
    assert site.who_is_in(client, "disabled") == "ada"
    refused(client.get(account.url("/who")), "login_required", "session_expired")


def test_guesses_are_counted_and_do_not_lock_a_known_browser_out(site):
    home = site.client("counted")
    assert site.send(home, "counted", site.body("root")).code is None and site.opened(home, "counted") == "root"
    for word in ("wrong", "", "Right"):
        client = site.client("counted")
        reply = site.send(client, "counted", site.body("root", word))
        assert reply.code is None and not session_cookies(client), reply
    before = site.asked()
    for word in ("wrong", "right"):
        refused(site.send(site.account("counted").client(), "counted", site.body("root", word)), "too_many_attempts")
    assert site.asked() == before, "the application was asked"
    if site.login.first:
        home.cookies = {key: cookie for key, cookie in home.cookies.items() if "sso" in cookie.name}
        home.get(site.url("counted", site.login.first))
    assert site.send(home, "counted", site.body("root")).code is None and site.opened(home, "counted") == "root"


def test_a_login_by_address_that_takes_usernames_too(corpus):
    """dj-rest-auth, told to the filter by its email field: who is named in both fields is refused unread."""
    world, applications = corpus
    applications.need("dj-rest-auth")
    account, site = world.accounts["dj-rest-auth--email"], Site(world, "dj-rest-auth", None)

    def send(client, **body):
        return site.send(client, "email", json.dumps({"password": "right"} | body))

    for address in ("root@acme.com", "Root@ACME.com"):
        client = account.client()
        assert send(client, email=address).status == 200
        assert site.who_is_in(client, "email") == site.opened(client, "email") == "root"
    before = site.asked()
    for body, code in (({"email": "ada@acme.com"}, "password_not_allowed"), ({"email": "stranger@acme.com"}, "password_not_allowed"),
                       ({"email": "root@acme.com", "username": "ada"}, "username_unreadable"), ({"username": "ada"}, "username_unreadable"),
                       ({"email": "root@acme.com", "Email": "ada@acme.com"}, "username_unreadable")):
        refused(send(account.client(), **body), code)
    assert site.asked() == before
    client = account.client()
    assert send(client, email="root@acme.com", password="wrong").status == 400 and not session_cookies(client)


def test_the_recipes_of_the_documents_are_these():
    text = (PROJECT / "docs/passwords.md").read_text().split("## Recipes")[1].split("documents; no test")[0]
    rows = [re.findall(r"`({[^`]*})`", row) for row in text.splitlines() if row.startswith("|") and "`{" in row]
    told = [yaml.safe_load(login) | {"success": yaml.safe_load(success)} for login, success, *_ in rows]
    assert told == [one.login for one in LOGINS.values()]
