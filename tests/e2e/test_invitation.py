"""An invited person accepts or declines before a user is made of them, on a real directory."""

import html
import re

import pytest

from harness.expect import refused, session_cookies, signed_in, signed_out

# An invitation is taken up once: each test has a person of its own.
PEOPLE = [f"ada{n}@acme.com" for n in range(40)]
INVITED = {"mode": "invited", "invitations": [{"email": email, "roles": ["editor"]} for email in ["ada@acme.com", *PEOPLE]]}
FORM = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("invitation", concurrency=4)
    world.account("acme", {"provisioning": INVITED})
    world.directory("acme")
    world.account("fixed", {"provisioning": INVITED, "directory": {"static": {"users": [
        {"username": "bob", "email": "bob@acme.com"}]}}})
    # Two accounts of one origin: the page says which one it answers for.
    nobody = {"static": {"users": []}}
    one = world.account("one", {"provisioning": INVITED, "directory": nobody})
    world.account("twin", {"provisioning": INVITED, "origins": [one.origin], "directory": nobody})
    return world.start()


@pytest.fixture
def acme(world):
    account = world.accounts["acme"]
    account.directory = world.scim.directory("acme.scim.test").reset()
    account.idp.reset()
    account.person = PEOPLE.pop()
    account.idp.person["email"] = account.person
    return account


def asked(account, client=None):
    """A login that ends at the question: client, URL of the form, its fields."""
    client = client or account.client()
    hops = client.login(account.url(f"/sso/login?u={account.code}&return_to=/reports"))
    page = hops[-1]
    assert page.status == 200 and page.code == "invitation", hops
    assert session_cookies(client) == {}, "a session before the answer"
    action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', page.text)[1])
    csrf = html.unescape(re.search(r'name="csrf" value="([^"]+)"', page.text)[1])
    return client, account.url(action), {"csrf": csrf}


def answer(client, url, fields, decision, **headers):
    account_origin = "/".join(url.split("/")[:3])
    return client.post(url, body=fields | {"decision": decision}, navigation=True,
                       headers=FORM | {"origin": account_origin} | headers)


def test_accepting_creates_the_user_once_and_signs_in(world, acme):
    client, url, fields = asked(acme)
    assert acme.directory.count("POST") == 0
    reply = answer(client, url, fields, "accept")
    assert reply.status == 302 and reply.location == acme.url("/reports"), reply
    signed_in(client, acme, acme.person)
    [made] = acme.directory.users
    assert made["userName"] == acme.person and [r["value"] for r in made["roles"]] == ["editor"], made
    assert made["externalId"] == f"{acme.idp.issuer}|248289761001"
    # The next login finds the user, without a question.
    signed_in(acme.signed_in(), acme, acme.person)
    assert acme.directory.count("POST") == 1


def test_accepting_again_makes_nobody_else(world, acme):
    client, url, fields = asked(acme)
    kept = dict(client.cookies)
    assert answer(client, url, fields, "accept").status == 302
    for _ in range(8):
        client.cookies = dict(kept)
        assert answer(client, url, fields, "accept").status == 302
    assert acme.directory.count("POST") == 1 and len(acme.directory.users) == 1


def test_declining_creates_nothing(world, acme):
    client, url, fields = asked(acme)
    mark = world.app.mark()
    reply = answer(client, url, fields, "decline")
    assert reply.status == 302 and reply.location.startswith(acme.url("/sso/logout-complete")), reply
    assert client.browse(reply.location).status == 200
    assert acme.directory.users == [] and acme.directory.count("POST") == 0
    signed_out(client, acme)
    world.app.nothing_since(mark)
    refused(answer(client, url, fields, "accept"), "state_unknown")


def test_the_question_can_be_reloaded(acme):
    client, url, fields = asked(acme)
    again = client.browse(url)
    assert again.code == "invitation" and fields["csrf"] in html.unescape(again.text), again
    refused(acme.client().browse(url), "state_unknown")
    refused(client.request("DELETE", url), "method_not_allowed")


@pytest.mark.parametrize("headers, csrf, code, status", [
    ({"sec-fetch-site": "cross-site"}, None, "request_invalid", 403),
    ({"origin": "https://evil.test"}, None, "request_invalid", 403),
    ({"origin": "null"}, None, "request_invalid", 403),
    ({}, "guessed", "request_invalid", 403),
    ({"content-type": "text/plain"}, None, "content_type_unsupported", 415),
])
def test_nobody_else_can_answer(world, acme, headers, csrf, code, status):
    client, url, fields = asked(acme)
    mark = world.app.mark()
    forged = fields | ({"csrf": csrf} if csrf else {})
    refused(answer(client, url, forged, "accept", **headers), code, status=status)
    assert acme.directory.users == []
    world.app.nothing_since(mark)
    assert answer(client, url, fields, "accept").status == 302


def test_a_directory_that_is_down_makes_nobody_and_the_answer_can_be_given_again(world, acme):
    client, url, fields = asked(acme)
    acme.directory.fault("GET", status=503, body=b"<html>")
    mark = world.app.mark()
    refused(answer(client, url, fields, "accept"), "directory_unavailable")
    signed_out(client, acme)
    world.app.nothing_since(mark)
    acme.directory.faults.clear()
    assert answer(client, url, fields, "accept").status == 302
    signed_in(client, acme, acme.person)


def test_over_a_static_list_it_lasts_as_long_as_the_session(world):
    account = world.accounts["fixed"]
    client, url, fields = asked(account)
    assert answer(client, url, fields, "accept").status == 302
    signed_in(client, account)
    asked(account)


def test_accounts_of_one_origin_do_not_answer_for_each_other(world):
    client, url, fields = asked(world.accounts["one"])
    assert url.endswith("u=one")
    refused(answer(client, url.replace("u=one", "u=twin"), fields, "accept"), "state_unknown")
    assert answer(client, url, fields, "accept").status == 302
