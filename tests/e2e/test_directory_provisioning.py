"""Users that the first sign-in creates in the directory (`provisioning: { mode: automatic }`): who, once, and what if it fails."""

import threading
import time

import pytest

from harness.scim import user
from test_directory import BOB, attempt, check


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("provisioning")
    auto = {"provisioning": {"mode": "automatic", "email_domains": ["acme.com"], "roles": ["member"]}}
    for code in ("auto", "auto-race", "auto-race-loose", "auto-faults"):
        world.account(code, auto)
        world.directory(code)
    static_auto = world.account("auto-static", auto)
    static_auto.config["directory"] = {"static": {"users": [BOB]}}
    world.account("auto-all", {"provisioning": {"mode": "automatic", "email_domains": ["*"], "roles": []}})
    world.directory("auto-all")
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    return world


def test_somebody_unknown_of_the_right_domain_is_created(world):
    account, directory = world.accounts["auto"], world.dirs["auto"]
    directory.reset().add("bob", email="bob@acme.com")
    client, reply = attempt(account)
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply
    assert set(reply.seen()["x-sso-roles"][0].split(",")) == {"member", "account_admin"}
    [made] = [one for one in directory.users if one["userName"] == "ada@acme.com"]
    assert made["externalId"] == f"{account.idp.issuer}|248289761001" and made["active"] is True
    assert [one["value"] for one in made["emails"]] == ["ada@acme.com"]
    assert [one["value"] for one in made["roles"]] == ["member"], "what the IdP says of roles is not stored"
    _, reply = attempt(account)
    assert reply.status == 200 and directory.count("POST") == 1


@pytest.mark.parametrize("person, code", [
    ({"email": "eve@evil.test"}, "identity_unknown"),
    ({"email": "eve@acme.com.evil.test"}, "identity_unknown"),
    ({"email": "eve@sub.acme.com"}, "identity_unknown"),
    ({"email": "eve@evil.test@acme.com"}, "identity_missing"),
    ({"email": "eve@acme.com", "email_verified": False}, "email_unverified"),
], ids=str)
def test_and_nobody_else(world, person, code):
    account, directory = world.accounts["auto"], world.dirs["auto"]
    directory.reset().add("bob", email="bob@acme.com")
    account.idp.reset()
    account.idp.person |= person
    try:
        check(account, code)
        assert directory.count("POST") == 0 and len(directory.users) == 1
    finally:
        account.idp.reset()


def test_over_a_static_list_it_lasts_as_long_as_the_session(world):
    account = world.accounts["auto-static"]
    client, reply = attempt(account)
    assert reply.seen()["x-sso-user"] == ["ada@acme.com"] and "member" in reply.seen()["x-sso-roles"][0]
    assert client.get(account.url("/who")).status == 200


def test_a_star_says_all_domains(world):
    account = world.accounts["auto-all"]
    account.idp.person["email"] = "eve@elsewhere.test"
    world.dirs["auto-all"].reset()
    assert attempt(account)[1].status == 200


def test_a_name_that_somebody_else_has_is_not_taken_over(world):
    account, directory = world.accounts["auto"], world.dirs["auto"]
    directory.reset().add("ada@acme.com", email="another@acme.com")
    check(account, "identity_conflict")
    assert directory.count("POST") == 0


@pytest.mark.parametrize("code, unique", [("auto-race", True), ("auto-race-loose", False)])
def test_ten_logins_at_once_create_one_user(world, code, unique):
    """Over two workers; also where the directory itself does not enforce unique names."""
    account, directory = world.accounts[code], world.dirs[code]
    directory.reset().unique = unique
    warm, _ = attempt(account)  # discovery and keys are there
    directory.reset().unique = unique
    directory.before_create = lambda: time.sleep(0.3)
    clients, callbacks = [account.client() for _ in range(10)], []
    for client in clients:
        start = client.browse(account.url("/who"))
        callbacks.append(client.browse(start.location).location)
    gate, replies = threading.Barrier(10), [None] * 10

    def run(number):
        gate.wait()
        replies[number] = clients[number].follow(clients[number].browse(callbacks[number]))[-1]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(directory.named("ada@acme.com")) == len(directory.users) == 1, directory.users
    assert [reply.status for reply in replies] == [200] * 10, replies
    assert {reply.seen()["x-sso-user"][0] for reply in replies} == {"ada@acme.com"}
    if not unique:
        assert directory.count("POST") == 1


@pytest.mark.parametrize("fault", [dict(status=500, body=b""), dict(status=403, body=b"{}"), dict(drop=True), dict(delay=8),
                                   dict(status=400, body=b"<html>")], ids=str)
def test_a_creation_that_fails_signs_nobody_in(world, fault):
    account, directory = world.accounts["auto-faults"], world.dirs["auto-faults"]
    directory.reset().fault("POST", **fault)
    check(account, "directory_unavailable")
    directory.faults.clear()


def test_somebody_faster_is_found_and_not_made_twice(world):
    account, directory = world.accounts["auto-faults"], world.dirs["auto-faults"]
    directory.reset()
    def elsewhere():
        if not directory.users:
            directory.add("ada@acme.com", email="ada@acme.com")
    directory.before_create = elsewhere
    _, reply = attempt(account)
    assert reply.status == 200 and len(directory.users) == 1, reply


def test_an_answer_that_shows_another_user_than_was_made_signs_nobody_in(world):
    account, directory = world.accounts["auto-faults"], world.dirs["auto-faults"]
    directory.reset()
    directory.create_answer = lambda made: (directory.users.clear(), (201, user("root", email="root@acme.com")))[1]
    check(account, "directory_unavailable")
