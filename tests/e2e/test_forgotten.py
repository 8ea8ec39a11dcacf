"""Directories that close kept connections: a lookup is sent once more, a change never."""

import pytest

from harness.app import Answer
from harness.expect import refused, session_cookies, signed_in
from harness.hang_up import ForgetfulProxy

PASSWORD = {"password": {"mode": "enabled", "logins": [{"path": "/login", "username": {"form": "username"}, "success": {"redirect": "/home"}}]}}
LOGINS = 20


def checks_passwords(seen):
    return Answer(302, [("location", "/home"), ("set-cookie", "app=1; Path=/")]) if b"password=right" in seen.body else Answer(401)


@pytest.fixture(scope="module", params=[True, False], ids=["reset", "closed"])
def forgetful(make_world, stack, request):
    """A directory behind a proxy that ends each kept connection on its second request."""
    world = make_world(f"forgotten-{request.param}", concurrency=1)
    world.account("acme", PASSWORD)
    world.account("fresh", {"provisioning": {"mode": "automatic", "email_domains": ["acme.com"], "roles": ["member"]}})
    acme, fresh = world.directory("acme"), world.directory("fresh")
    acme.add("ada", email="ada@acme.com", roles=["account_admin"])
    assert fresh is not acme
    world.proxy = ForgetfulProxy(world.scim.port, abrupt=request.param)
    stack.callback(world.proxy.stop)
    world.clusters["scim"] = world.proxy.port
    world.app.routes["/login"] = checks_passwords
    world.directories = {"acme": acme, "fresh": fresh}
    world.start()
    return world


def test_sign_ins_over_connections_that_the_directory_closed(forgetful):
    account, before = forgetful.accounts["acme"], forgetful.proxy.resets
    for number in range(LOGINS):
        reply, _ = account.callback(client := account.client())
        assert (reply.status, reply.code) == (302, "redirect"), (number, reply)
        signed_in(client, account, "ada")
    assert forgetful.proxy.resets > LOGINS // 2, "connections were kept, and closed"
    assert forgetful.proxy.resets > before


def test_password_logins_over_connections_that_the_directory_closed(forgetful):
    account, before = forgetful.accounts["acme"], forgetful.proxy.resets
    for number in range(LOGINS):
        client = account.client()
        reply = client.post(account.url("/login"), body={"username": "ada", "password": "right"})
        assert reply.status == 302 and session_cookies(client), (number, reply)
        assert client.get(account.url("/admin/x")).status == 200, number
    assert forgetful.proxy.resets > before
    refused_client = account.client()
    assert refused_client.post(account.url("/login"), body={"username": "ada", "password": "wrong"}).status == 401
    assert not session_cookies(refused_client)


def test_a_user_is_created_once_however_often_connections_end(forgetful):
    """RFC 9110 section 9.2.2: a POST is not sent twice. Its failure is an answer, and the next try goes on from what there is."""
    account, directory = forgetful.accounts["fresh"], forgetful.directories["fresh"]
    for number in range(LOGINS):
        account.idp.person |= {"sub": f"new-{number}", "email": f"new{number}@acme.com"}
        reply, _ = account.callback(account.client())
        assert (reply.status, reply.code) in ((302, "redirect"), (503, "directory_unavailable")), reply
        if reply.status == 503:
            directory_posts = directory.methods().count("POST")
            forgetful.proxy.forgets = False
            reply, _ = account.callback(account.client())
            forgetful.proxy.forgets = True
            assert reply.status == 302 and directory.methods().count("POST") <= directory_posts + 1, reply
        assert len(directory.named(f"new{number}@acme.com")) == 1, directory.users
    account.idp.reset()


def test_a_directory_that_is_down_is_asked_twice_at_most(make_world):
    world = make_world("forgotten-down", concurrency=1)
    account = world.account("acme")
    directory = world.directory("acme")
    directory.add("ada", email="ada@acme.com")
    directory.fault("GET", drop=True)
    world.start()
    for _ in range(3):
        asked = directory.count()
        reply, _ = account.callback(client := account.client())
        refused(reply, "directory_unavailable")
        assert not session_cookies(client) and 1 <= directory.count() - asked <= 2, directory.methods()
    directory.faults.clear()
    signed_in(account.signed_in(), account, "ada")
