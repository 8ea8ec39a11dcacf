"""A configuration that is refused lets nobody through, at start and live; one that is right takes effect."""

import copy
import time

import pytest

from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.net import eventually


def changed(change):
    def make(config):
        config = copy.deepcopy(config)
        change(config)
        return config
    return make


def oidc(config):
    return config["accounts"][0]["identity_providers"][0]["oidc"]


REFUSED = {
    "nothing": lambda config: "",
    "no JSON": lambda config: "{",
    "an empty object": lambda config: {},
    "an unknown field": changed(lambda c: c.update(sesion={})),
    "a wrong type": changed(lambda c: c["accounts"][0].update(origins="https://acme.app.test")),
    "no key": changed(lambda c: c["session"].update(keys=[])),
    "a secret that is not set": changed(lambda c: oidc(c).update(client_secret={"env": "NOT_SET"})),
    "a parameter of the filter's own": changed(lambda c: oidc(c).update(authorization_params={"state": "x"})),
    "two accounts of one code": changed(lambda c: c["accounts"].append(copy.deepcopy(c["accounts"][0]))),
    "admins without a directory": changed(lambda c: c["accounts"][0].update(password={"mode": "admins", "admin_roles": ["a"]})),
}


# Every refusal costs a VM or two; the rest of the table is checked natively, these are the classes.
AT_START = ["nothing", "no JSON", "an unknown field", "a secret that is not set", "admins without a directory"]
LIVE = ["an empty object", "a wrong type", "no key", "a parameter of the filter's own", "two accounts of one code"]


def shut(world, account) -> bool:
    """Nothing gets through: no listener, or an answer that is not the application's."""
    mark = world.app.mark()
    for path in ("/reports", "/healthz", "/sso/session"):
        for method in ("GET", "POST"):
            try:
                reply = account.client().request(method, account.url(path), timeout=10)
            except OSError:
                continue
            assert reply.status in (500, 503), reply
    world.app.nothing_since(mark)
    return True


@pytest.fixture(scope="module")
def fresh(make_world):
    """One Envoy that starts with a refused configuration, and is given one after the other."""
    world = make_world("refused")
    world.may_be_harmed = True  # a refused configuration may count as a failure of its VM
    account = world.account("acme")
    world.start("{", ready=False)
    time.sleep(1)
    return world, account


@pytest.mark.parametrize("what", AT_START)
def test_refused_at_start_nothing_gets_through(fresh, what):
    world, account = fresh
    assert shut(world, account)
    world.update(REFUSED[what](world.config()))
    for _ in range(3):
        assert shut(world, account)
        time.sleep(0.1)
    assert world.envoy.alive


def test_and_a_right_one_opens_the_door_again(fresh):
    world, account = fresh
    world.update()

    def open_again():
        return account.client().login(account.url("/reports"))[-1].status == 200

    eventually(open_again, 60, every=0.3, what="service after a right configuration")
    signed_in(account.signed_in(), account)
    signed_out(account.client(), account)


@pytest.mark.parametrize("what", LIVE)
def test_refused_live_nobody_gets_in_unauthenticated(make_world, live, what):
    world, account = live
    client = account.signed_in()
    world.update(REFUSED[what](world.config()))
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        mark = world.app.mark()
        try:
            reply = account.client().get(account.url("/who"))
        except OSError:
            continue
        assert reply.status in (401, 503), reply
        world.app.nothing_since(mark)
        try:
            reply = client.get(account.url("/who"))  # may go on with the last good one, or wait for the next
        except OSError:
            continue
        assert reply.status in (200, 503), reply
    world.update()
    eventually(lambda: client.get(account.url("/who")).status == 200, 60, every=0.2, what="service")
    signed_in(client, account)


@pytest.fixture(scope="module")
def live(make_world):
    world = make_world("live")
    world.may_be_harmed = True
    account = world.account("acme")
    world.start()
    return world, account


def test_every_problem_is_told_at_once_with_its_path(make_world):
    world = make_world("problems")
    world.may_be_harmed = True
    account = world.account("acme")
    config = copy.deepcopy(world.config())
    config["session"]["idle"] = "soon"
    config["accounts"][0]["pasword"] = {}
    oidc(config)["client_secret"] = {"value": "a secret nobody may see", "env": "OIDC_SECRET"}
    oidc(config)["timeout"] = 5
    world.start(config, ready=False)
    log = eventually(lambda: "accounts[0].pasword" in world.envoy.log_text() and world.envoy.log_text(), what="the log")
    for path in ("session.idle", "accounts[0].pasword", "accounts[0].identity_providers[0].oidc.timeout"):
        assert path in log, log[-3000:]
    assert "a secret nobody may see" not in log
    assert shut(world, account)


def test_a_struct_is_as_good_as_json(make_world):
    world = make_world("struct")
    world.filter_options["struct"] = True
    account = world.account("acme", {"forward": {"headers": {"x-department": "/org/department"}}},
                            authorization_params={"prompt": "login"})
    world.start()
    signed_in(account.signed_in(), account)
    refused(account.client().get(account.url("/who")), "login_required")


def test_a_live_change_of_access_takes_effect_and_sessions_stay(make_world):
    world = make_world("change")
    account = world.account("acme")
    world.start()
    client = account.signed_in()
    refused(client.get(account.url("/owners/x")), "role_missing")
    account.config["access"] = [{"prefix": "/admin/", "allow": "users", "roles": ["nobody"]}]
    assert world.update()
    eventually(lambda: client.get(account.url("/owners/x")).status == 200, what="the new rules")
    refused(client.get(account.url("/admin/x")), "role_missing")
    refused(account.client().get(account.url("/healthz")), "login_required")
    account.config["sso"] = "disabled"
    assert world.update()
    eventually(lambda: account.client().get(account.url("/who")).status == 200, what="single sign-on to go off")
    account.config["sso"] = "enabled"
    assert world.update()
    eventually(lambda: account.client().get(account.url("/who")).status == 401, what="single sign-on to go on")
    signed_in(client, account)


def test_passwords_that_nothing_rules_on_are_told_in_the_log(make_world):
    """They load: the log names each account once."""
    world = make_world("nothing-rules")
    for code, password in {"disabled": {"mode": "disabled"}, "unset": {}, "enabled": {"mode": "enabled", "logins": []},
                           "twin": {"mode": "disabled", "logins": [{"path": "/login", "username": {"form": "u"}, "fields": ["u", "p"], "success": {"redirect": "/home"}}]}}.items():
        world.account(code, {"password": password})
    world.start()
    told = eventually(lambda: [warning for event in world.envoy.events() for warning in event.get("warnings", [])], what="the warnings")
    accounts = [account for account in range(4) if any(warning.startswith(f"accounts[{account}].password.logins: is empty") for warning in told)]
    assert accounts == [0, 1, 2], told
