"""A session is asked about again at the directory: who was deactivated, is gone, has other roles, or cannot be asked about."""

import time

import pytest

from harness.expect import refused
from harness.net import eventually
from test_directory import attempt


@pytest.fixture(scope="module")
def later(make_world):
    world = make_world("recheck", session={"recheck": "2s", "recheck_grace": "3s"})
    for code in ("out", "roles", "down", "count", "gone", "swapped"):
        world.account(code)
        world.directory(code, timeout="1s")
    world.start()
    world.dirs = {host.split(".")[0]: directory for host, directory in world.scim.directories.items()}
    for directory in world.dirs.values():
        directory.reset().add("ada", email="ada@acme.com", roles=["owner"], id="ada-1")
    return world


def ends_everywhere(later, account, client, copy):
    """The session ends at its recheck, and so does a captured copy of its cookie."""
    def out():
        reply = client.get(account.url("/who"))
        return reply if reply.status != 200 else None

    refused(eventually(out, what="the end of the session"), "user_inactive", "session_expired")
    mark = later.app.mark()
    for who in (client, copy):
        refused(who.get(account.url("/who")), "login_required", "session_expired", "user_inactive")
    later.app.nothing_since(mark)


def test_a_deactivated_user_is_out(later):
    account, directory = later.accounts["out"], later.dirs["out"]
    client, copy = account.signed_in("/who"), account.client()
    copy.cookies = dict(client.cookies)
    assert client.get(account.url("/owners/x")).status == 200
    directory.users[0]["active"] = False
    ends_everywhere(later, account, client, copy)
    refused(attempt(account)[1], "user_inactive")


@pytest.mark.parametrize("code, change", [
    ("gone", lambda directory: directory.users.clear()),
    ("swapped", lambda directory: directory.users[0].update(id="another person of that name")),
], ids=["gone", "swapped"])
def test_a_user_who_is_gone_is_out(later, code, change):
    account, directory = later.accounts[code], later.dirs[code]
    client = account.signed_in("/who")
    copy = account.client()
    copy.cookies = dict(client.cookies)
    change(directory)
    ends_everywhere(later, account, client, copy)


def test_changed_roles_apply(later):
    account, directory = later.accounts["roles"], later.dirs["roles"]
    client = account.signed_in("/who")
    assert client.get(account.url("/owners/x")).status == 200
    directory.users[0]["roles"] = [{"value": "reader"}]
    reply = eventually(lambda: (r := client.get(account.url("/owners/x"))).status != 200 and r, what="the new roles")
    assert (reply.status, reply.code) == (403, "role_missing"), reply
    told = client.get(account.url("/who")).seen()["x-sso-roles"][0].split(",")
    assert "reader" in told and "owner" not in told
    directory.users[0]["roles"] = [{"value": "owner"}]
    eventually(lambda: client.get(account.url("/owners/x")).status == 200, what="the role again")


def test_one_request_for_a_recheck_whatever_arrives_beside_it(later):
    account, directory = later.accounts["count"], later.dirs["count"]
    client = account.signed_in("/who")
    started, before = time.monotonic(), directory.count()
    while time.monotonic() - started < 5:
        assert client.get(account.url("/who")).status == 200
    asked = directory.count() - before
    # Two rechecks fit into that time; each worker may make its own.
    assert 1 <= asked <= 2 * (1 + int((time.monotonic() - started) / 2)), directory.methods(before)
    assert set(directory.methods(before)) == {"GET"}


@pytest.mark.parametrize("fault", [dict(status=500, body=b"")], ids=["500"])
def test_while_it_is_down_a_session_goes_on_for_the_grace_and_no_longer(later, fault):
    account, directory = later.accounts["down"], later.dirs["down"]
    client = account.signed_in("/who")
    signed_in_at = time.monotonic()
    directory.users[0]["roles"] = [{"value": "owner"}, {"value": "more"}]
    directory.fault("GET", **fault)
    seen_during_grace = False
    while True:
        reply = client.get(account.url("/who"))
        now = time.monotonic() - signed_in_at
        if reply.status != 200:
            refused(reply, "directory_unavailable")
            break
        assert "more" not in reply.seen()["x-sso-roles"][0]
        seen_during_grace |= directory.count("GET") > 1
        assert now < 20, "it goes on for ever"
        time.sleep(0.1)
    assert seen_during_grace and now > 4, f"out after {now} s: there was no grace"
    mark = later.app.mark()
    for _ in range(12):  # by whatever worker, and however soon after the last
        refused(client.get(account.url("/who")), "directory_unavailable")
    later.app.nothing_since(mark)
    directory.faults.clear()
    # The session was not thrown away: the directory is back, and so is the person.
    assert eventually(lambda: (r := client.get(account.url("/who"))).status == 200 and r).seen()["x-sso-user"] == ["ada"]
