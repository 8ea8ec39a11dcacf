"""Responses that nobody asked for, responses that come twice, and what holds over workers and replicas."""

import concurrent.futures
import copy

import pytest

from harness.client import Client
from harness.envoy import Envoy
from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.saml import SamlAccount, form, message
from harness.saml_forge import SIGNED, at, restriction

MANY = 24


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-initiated", concurrency=4)
    for mode in ("off", "restart", "accept"):
        SamlAccount(world, mode, idp_initiated=mode)
    SamlAccount(world, "default")
    world.start()
    return world


@pytest.fixture(scope="module")
def replica(world):
    """A second Envoy with the same configuration and keys."""
    replica = Envoy("saml-replica", world.filters(), world.clusters).start()
    yield replica
    try:
        replica.assert_healthy()
    finally:
        replica.stop()


@pytest.fixture
def accept(world):
    return world.accounts["accept"]


def at_replica(client: Client, replica: Envoy) -> Client:
    """The same browser, its connections now balanced to the other Envoy."""
    client.hosts = client.hosts | {".app.test": replica.port}
    return client


def arrives(account, client, text, relay_state=None):
    """The unsolicited response as far as it gets: over the bounce, which brings the browser's own cookies."""
    return account.finish(client, account.post(client, text, relay_state))


# Off.


@pytest.mark.parametrize("style", SIGNED)
def test_off(world, style):
    account, mark = world.accounts["off"], world.app.mark()
    client = account.client()
    refused(arrives(account, client, account.answer(None, style=style)), "assertion_invalid")
    assert "idp_initiated is off" in account.refusals()[-1]["reason"]
    signed_out(client, account)
    world.app.nothing_since(mark)
    signed_in(account.signed_in(), account)


# Restart, the default.


@pytest.mark.parametrize("code", ["restart", "default"])
def test_restart_drops_the_response_and_begins_a_login_of_our_own(world, code):
    account, client = world.accounts[code], world.client()
    mark = world.app.mark()
    reply = arrives(account, client, account.answer(None), "/reports?q=7")
    assert not session_cookies(client)
    request = message(reply)
    assert request.name == "SAMLRequest" and request.url == account.saml.sso
    signed_out(client, account)
    world.app.nothing_since(mark)
    done = account.post(client, account.answer(request), request.relay_state)
    assert done.location == account.url("/reports?q=7"), done
    signed_in(client, account)


def test_restart_believes_nothing_of_what_it_drops(world):
    """Forged or not, the response only says which provider to ask; one of nobody's does not even that."""
    account, client = world.accounts["restart"], world.client()
    forged = account.answer(None, style="nothing", user="eve@evil.com")
    assert message(arrives(account, client, forged)).name == "SAMLRequest"
    signed_out(client, account)
    refused(arrives(account, client, forged.but(issuer="https://evil.com/")), "assertion_invalid")
    refused(arrives(account, client, forged.but(issuer=None)), "assertion_invalid")


@pytest.mark.parametrize("code", ["restart", "accept"])
@pytest.mark.parametrize("relay_state, target", [
    ("/reports?q=7", "/reports?q=7"), (None, "/"), ("", "/"), ("https://evil.com/", "/"), ("//evil.com/", "/"),
    ("/\\evil.com", "/"), ("https:evil.com", "/"), ("javascript:alert(1)", "/"), ("https://{code}.app.test.evil.com/", "/"),
    ("https://{code}.app.test@evil.com/", "/"), ("/%2f%2fevil.com", None), ("https://{code}.app.test/reports", "/reports"),
    ("\t//evil.com", "/"), ("/\t/evil.com", "/"), ("x" * 5000, "/"),
])
def test_relay_state_leads_nowhere_else(world, code, relay_state, target):
    account, client = world.accounts[code], world.client()
    where = relay_state and relay_state.replace("{code}", code)
    reply = arrives(account, client, account.answer(None), where)
    if code == "restart":
        request = message(reply)
        reply = account.post(client, account.answer(request), request.relay_state)
    assert reply.location.startswith(account.origin + "/"), reply
    if target is not None:
        assert reply.location == account.url(target), reply


# Accept.


@pytest.mark.parametrize("style", SIGNED)
def test_accept(world, accept, style):
    client, mark = world.client(), world.app.mark()
    bounce = accept.post(client, accept.answer(None, style=style), "/reports?q=7")
    assert bounce.status == 200 and form(bounce) and not session_cookies(client), bounce
    world.app.nothing_since(mark)
    reply = accept.finish(client, bounce)
    assert reply.location == accept.url("/reports?q=7"), reply
    signed_in(client, accept)


@pytest.mark.parametrize("name, changes", [
    ("too old", {"assertion": {"IssueInstant": at(-310)}}),
    ("an old response", {"response": {"IssueInstant": at(-310)}}),
    ("another audience", {"restrictions": restriction("https://other.test")}),
    ("another recipient", {"confirmation": {"Recipient": "https://other.test"}}),
    ("another destination", {"response": {"Destination": "https://other.test"}}),
    ("over", {"conditions": {"NotOnOrAfter": at(-70)}}),
    ("unsigned", {"style": "nothing"}),
], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_what_is_accepted_is_fresh_and_ours(world, accept, name, changes):
    client, mark = world.client(), world.app.mark()
    refused(arrives(accept, client, accept.answer(None, **changes)), "assertion_invalid")
    signed_out(client, accept)
    world.app.nothing_since(mark)


def test_almost_too_old_is_accepted(world, accept):
    client = world.client()
    old = at(-280)
    answer = accept.answer(None, assertion={"IssueInstant": old}, response={"IssueInstant": old})
    assert arrives(accept, client, answer).status in (302, 303)
    signed_in(client, accept)


@pytest.mark.parametrize("code", ["off", "restart", "accept"])
@pytest.mark.parametrize("changes", [
    {"request": "id-00000000000000000000000000000000"},
    {"response": {"InResponseTo": "id-00000000000000000000000000000000"}},
    {"confirmation": {"InResponseTo": "id-00000000000000000000000000000000"}},
], ids=["both", "response", "subject"])
def test_what_names_a_request_is_never_unsolicited(world, code, changes):
    account, client = world.accounts[code], world.client()
    mark = world.app.mark()
    refused(arrives(account, client, account.answer(None, **changes), "/reports"), "state_unknown", "assertion_invalid")
    signed_out(client, account)
    world.app.nothing_since(mark)


def test_another_users_session_is_never_replaced(world, accept):
    """Login CSRF: a response made for the attacker, sent by the victim's browser."""
    client = accept.signed_in(user="bob@acme.com")
    before = session_cookies(client)
    refused(arrives(accept, client, accept.answer(None)), "identity_conflict")
    assert session_cookies(client) == before
    signed_in(client, accept, "bob@acme.com")
    reply = arrives(accept, client, accept.answer(None, user="bob@acme.com"))
    assert reply.status in (302, 303), reply
    signed_in(client, accept, "bob@acme.com")


def test_without_the_bounce_nobody_is_signed_in(world, accept):
    """A cross-site post does not say who is signed in here; nobody skips the page that asks."""
    client = world.client()
    text = accept.answer(None).write()
    page = accept.post(client, text)
    action, fields = form(page)
    refused(client.request("POST", action, body=fields, navigation=True, cross_site=True,
                           headers={"origin": "https://evil.com"}), "request_invalid")
    signed_out(client, accept)
    assert accept.finish(client, page).status in (302, 303)


# Twice.


def at_once(jobs):
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def test_an_unsolicited_response_counts_once_over_all_workers(world, accept):
    for _ in range(4):
        text = accept.answer(None).write()
        clients = [world.client() for _ in range(MANY)]
        pages = [accept.post(client, text) for client in clients]
        replies = at_once([lambda c=c, p=p: accept.finish(c, p) for c, p in zip(clients, pages)])
        winners = [reply for reply in replies if reply.status in (302, 303)]
        assert len(winners) == 1, replies
        for reply in replies:
            if reply is not winners[0]:
                refused(reply, "assertion_invalid")
        # And later.
        refused(arrives(accept, world.client(), text), "assertion_invalid")
    assert "used already" in accept.refusals()[-1]["reason"]


def test_a_solicited_response_counts_once_over_all_workers(world):
    account = world.accounts["default"]
    for _ in range(4):
        client = world.client()
        request = account.begin(client)
        text = account.answer(request).write()
        copies = [world.client() for _ in range(MANY)]
        for one in copies:
            one.cookies = copy.deepcopy(client.cookies)
        replies = at_once([lambda c=c: account.post(c, text, request.relay_state) for c in copies])
        assert sum(reply.status in (302, 303) for reply in replies) == 1, replies
        assert sum(bool(session_cookies(one)) for one in copies) == 1
        for reply in replies:
            if reply.status not in (302, 303):
                refused(reply, "state_unknown", "assertion_invalid")


# Replicas.


def test_a_login_begun_at_one_replica_ends_at_the_other(world, replica):
    account, client = world.accounts["default"], world.client()
    request = account.begin(client)
    at_replica(client, replica)
    reply = account.post(client, account.answer(request), request.relay_state)
    assert reply.location == account.url("/reports?q=1"), reply
    signed_in(client, account)
    client.hosts = world.client().hosts
    signed_in(client, account)


def test_over_replicas_a_solicited_response_still_needs_its_browser(world, replica):
    """The record of used answers is one Envoy's (documented). What holds everywhere: the flow cookie."""
    account, client = world.accounts["default"], world.client()
    request = account.begin(client)
    copied = copy.deepcopy(client.cookies)
    text = account.answer(request).write()
    assert account.post(client, text, request.relay_state).status in (302, 303)
    thief = at_replica(world.client(), replica)
    refused(arrives(account, thief, text, request.relay_state), "state_unknown")
    signed_out(thief, account)
    # Whoever has the cookie too has the browser; here, and only here, the second Envoy takes it a second time.
    twin = at_replica(world.client(), replica)
    twin.cookies = copy.deepcopy(copied)
    assert account.post(twin, text, request.relay_state).status in (302, 303)
    again = at_replica(world.client(), replica)
    again.cookies = copy.deepcopy(copied)
    refused(account.post(again, text, request.relay_state), "state_unknown", "assertion_invalid")


def test_over_replicas_an_accepted_response_counts_once_each(world, accept, replica):
    """As documented: with `accept`, each Envoy remembers for itself; that is why `restart` is the default."""
    text = accept.answer(None).write()
    assert arrives(accept, world.client(), text).status in (302, 303)
    refused(arrives(accept, world.client(), text), "assertion_invalid")
    assert arrives(accept, at_replica(world.client(), replica), text).status in (302, 303)
    refused(arrives(accept, at_replica(world.client(), replica), text), "assertion_invalid")
    # With `restart` there is nothing to replay anywhere.
    restart = world.accounts["restart"]
    dropped = restart.answer(None).write()
    for client in (world.client(), at_replica(world.client(), replica)):
        assert message(arrives(restart, client, dropped)).name == "SAMLRequest"
        assert not session_cookies(client)
