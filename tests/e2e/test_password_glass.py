"""Breaking the glass, by each condition alone and by all together: the provider is down, the directory is down, a stranger guesses.

An administrator of `administrators` gets in by a browser that has signed in before, by password or by single sign-on; a browser that
never has gets 429 while the stranger is at it.
"""

import itertools
import threading

import pytest

from harness.app import Answer
from harness.expect import refused, session_cookies, signed_in
from harness.net import eventually
from harness.readers import pairs

CONDITIONS = ("provider", "directory", "guesses")
SETS = [frozenset(one) for n in range(len(CONDITIONS) + 1) for one in itertools.combinations(CONDITIONS, n)]
NAMES = ["-".join(sorted(one)) or "none" for one in SETS]
LOGIN = {"path": "/login", "username": {"form": "username"}, "fields": ["username", "password"], "success": {"status": [303]}}


def sign_in(seen):
    right = dict(pairs(seen.body)).get("password") == "right"
    return Answer(303, [("location", "/")]) if right else Answer(401, [], b"wrong")


def people(directory):
    directory.reset()
    directory.add("root", email="root@acme.com", roles=["member"], id="1")
    directory.add("ada", email="ada@acme.com", roles=["account_admin"], id="2")
    directory.add("bob", email="bob@acme.com", roles=["member"], id="3")


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("password-glass")
    for name in NAMES:
        world.account(name, {"password": {"mode": "admins", "admin_roles": ["account_admin"], "administrators": ["root"], "logins": [LOGIN],
                                          "attempts": {"limit": 10, "window": "30m"}, "page": "/login"}})
        people(world.directory(name, timeout="1s"))
    world.app.routes["/login"] = sign_in
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    return world


def login(account, name, word="right", client=None):
    return (client or account.client()).post(account.url("/login"), body={"username": name, "password": word}, headers={"origin": account.origin})


def marked(account, name, by):
    """A browser that has signed in as this user, and out again."""
    client = account.client()
    if by == "password":
        assert login(account, name, client=client).status == 303
    else:
        account.idp.change("claims", sub=name, email=f"{name}@acme.com")
        assert client.login(account.url("/who"))[-1].status == 200
    signed_in(client, account, name)
    client.browse(account.url("/sso/logout"))
    assert not session_cookies(client)
    return client


class Stranger:
    """Guesses at each administrator, from the limit on and until the end."""

    def __init__(self, account):
        self.account, self._over = account, threading.Event()
        for name in ("root", "ada"):
            codes = [login(account, name, f"guess {n}").status for n in range(12)]
            assert codes == [401] * 10 + [429] * 2, codes
        self._thread = threading.Thread(target=self._guess, daemon=True)
        self._thread.start()

    def _guess(self):
        while not self._over.wait(0.01):
            for name in ("root", "ada"):
                login(self.account, name, "guess")

    def stop(self):
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_the_glass_can_be_broken(world, name):
    conditions, account, directory = SETS[NAMES.index(name)], world.accounts[name], world.dirs[name]
    by_password, by_sso = marked(account, "root", "password"), marked(account, "root", "sso")
    ada = marked(account, "ada", "password")
    stranger = Stranger(account) if "guesses" in conditions else None
    try:
        if "directory" in conditions:
            directory.fault("GET", drop=True)
        if "provider" in conditions:
            world.idps.down()
        for client in (by_password, by_sso):
            assert login(account, "root", "wrong", client).status == 401
            assert login(account, "root", client=client).status == 303
            signed_in(client, account, "root")
            assert client.get(account.url("/sso/session")).json()["method"] == "password"
            assert client.get(account.url("/sso/admin")).status == 200
        # A browser that never signed in.
        client = account.client()
        if "guesses" in conditions:
            refused(login(account, "root", client=client), "too_many_attempts")
        else:
            assert login(account, "root", client=client).status == 303
            signed_in(client, account, "root")
        # An administrator by role alone needs the directory; an ordinary user never gets in, and no application hears of it.
        if "directory" in conditions:
            refused(login(account, "ada", client=ada), "directory_unavailable")
        else:
            assert login(account, "ada", client=ada).status == 303
            signed_in(ada, account, "ada")
        mark = world.app.mark()
        for user in ("bob", "stranger", "Root"):
            refused(login(account, user), "directory_unavailable" if "directory" in conditions else "password_not_allowed")
        assert not [seen for seen in world.app.since(mark) if b"right" in seen.body]
        if "provider" in conditions:
            page = account.client().browse(account.url("/sso/login?show=all"))
            assert page.status == 200 and 'href="/login' in page.text, "the way to the password page"
            refused(follow(account), "idp_unavailable", "idp_timeout")
    finally:
        if "provider" in conditions:
            world.idps.up()
        directory.faults.clear()
        if stranger:
            stranger.stop()
    # Everything is there again: single sign-on signs in as ever.
    account.idp.change("claims", sub="bob", email="bob@acme.com")
    eventually(lambda: account.client().login(account.url("/who"))[-1].status == 200, 90, every=0.5, what="single sign-on")


def follow(account):
    """A login as far as it gets: the provider's documents are known, its endpoints are down."""
    client = account.client()
    start = client.browse(account.url("/who"))
    if start.code in ("idp_unavailable", "idp_timeout"):
        return start
    state = start.location.split("state=")[1].split("&")[0]
    return client.browse(account.url(f"/sso/oidc/consume?u={account.code}&code=c&state={state}"))
