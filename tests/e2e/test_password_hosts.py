"""A password login behind two slashes: servers on Node read what follows them as a host (`new URL(request.url, base)`), the
rest as the path. With and without Envoy's own normalisation of paths."""

import pytest

from harness.expect import refused

FORM = "application/x-www-form-urlencoded"
BODY = "username=bob&password=right"
# `new URL(target, "http://h").pathname` is /login for each.
TARGETS = ["//x/login", "///x/login", "/\\x/login", "/\\x\\login", "/\\/x/login", "//x:80/login", "/\\x:80/login", "/\\u@x/login",
           "//x;a/login", "/\\x/y/../login", "/\\x/login?a=b"]
PASSWORD = {"logins": [{"path": "/login", "username": {"form": "username"}, "success": {"status": [200], "cookie": "app"}}],
            "admin_roles": ["account_admin"]}
OPEN = [{"path": "/who", "allow": "users"}, {"prefix": "/", "allow": "anyone"}]


@pytest.fixture(scope="module", params=[True, False], ids=["normalised", "as-it-is"])
def world(make_world, request):
    world = make_world(f"password-hosts-{request.param}", normalize=request.param, concurrency=1)
    for mode in ("admins", "disabled"):
        told = {"password": PASSWORD | {"mode": mode}, "directory": {"static": {"users": [{"username": "bob", "email": "ada@acme.com"}]}}}
        world.account(mode, told)
        world.account(f"open-{mode}", told | {"access": OPEN})
    world.start()
    return world


def send(account, client, target: str):
    return client.request("POST", account.url("/"), target=target, body=BODY, headers={"origin": account.origin, "content-type": FORM})


@pytest.mark.parametrize("code", ["admins", "disabled", "open-admins", "open-disabled"])
def test_a_password_behind_a_host_reaches_no_login(world, code):
    """Where Envoy made another path of it, the application gets that path; what it gets is never read as the login's."""
    account = world.accounts[code]
    for client in (account.signed_in("/who"), account.client()):
        for target in TARGETS:
            mark = world.app.mark()
            reply = send(account, client, target)
            if reply.code is None:
                [seen] = world.app.since(mark)
                assert not seen.path.startswith(("//", "/\\", "/login")), (target, seen.path)
            else:
                refused(reply, "request_invalid", "login_required", "password_disabled", "password_not_allowed")
                world.app.nothing_since(mark)


@pytest.mark.parametrize("code", ["admins", "disabled"])
def test_other_paths_pass(world, code):
    account = world.accounts[code]
    client = account.signed_in("/who")
    for target in ("/x/login", "/x//login", "//x/logout", "/login/reset"):
        reply = send(account, client, target)
        assert reply.status == 200 and reply.code is None, (target, reply)
