"""A SAML 2.0 login in progress: which browser, which account and which provider an answer belongs to, and its cookies."""

import base64

import pytest

from harness.expect import refused, session_cookies, signed_in, signed_out
from harness.saml import SamlAccount, cases, form, key, message
from harness.saml_forge import Spec


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("saml-flow")
    SamlAccount(world, "acme")
    SamlAccount(world, "other")
    several = SamlAccount(world, "several")
    openid = several.config["identity_providers"] + [
        {"id": "second", "title": "Second company", "saml": several.settings | {
            "issuer": "https://second.idp.test/", "certificates": [key("second").pem]}},
        {"id": "openid", "title": "OpenID company", "oidc": {
            "discovery": f"{several.idp.issuer}/.well-known/openid-configuration", "client_id": "lakehouse",
            "client_secret": {"env": "OIDC_SECRET"}}}]
    several.config["identity_providers"] = openid
    for code in ("north", "south"):  # one origin for both
        account = SamlAccount(world, code)
        account.origin = "https://shared.app.test"
        account.config["origins"] = [account.origin]
        account.entity, account.acs = (account.url(f"/sso/saml/{what}?u={code}") for what in ("metadata", "consume"))
    world.start()
    return world


@pytest.fixture
def acme(world):
    return world.accounts["acme"]


# The login in progress.


def test_another_browsers_response_is_useless(acme, world):
    """A stolen response, or one planted on a victim: the flow cookie is not there."""
    mark = world.app.mark()
    thief, victim = acme.client(), acme.client()
    request = acme.begin(victim)
    text = acme.answer(request).write()
    refused(acme.finish(thief, acme.post(thief, text, request.relay_state)), "state_unknown")
    own = acme.begin(thief)  # with a login of the thief's own under way
    refused(acme.finish(thief, acme.post(thief, text, own.relay_state)), "assertion_invalid")
    refused(acme.finish(thief, acme.post(thief, text, request.relay_state)), "state_unknown")
    signed_out(thief, acme)
    world.app.nothing_since(mark)
    assert acme.post(victim, text, request.relay_state).status in (302, 303)
    signed_in(victim, acme)


@pytest.mark.parametrize("wrong", ["another", "", "https://evil.com/", "//evil.com", "/elsewhere", "\u00e9\u4e00", "x" * 4000])
def test_relay_state_is_a_handle_and_never_an_address(acme, world, wrong):
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client, "/reports?q=2")
    text = acme.answer(request).write()
    reply = acme.finish(client, acme.post(client, text, wrong))
    refused(reply, "state_unknown")
    assert reply.location is None
    world.app.nothing_since(mark)
    assert acme.post(client, text, request.relay_state).location == acme.url("/reports?q=2")


def test_without_relay_state_the_request_says_which_login_it_is(acme):
    client = acme.client()
    request = acme.begin(client)
    text = acme.answer(request).write()
    refused(acme.finish(acme.client(), acme.post(acme.client(), text)), "state_unknown")
    for there_and_wrong in ("", "x" * 32):
        refused(acme.finish(client, acme.post(client, text, there_and_wrong)), "state_unknown")
    assert acme.post(client, text).location == acme.url("/reports?q=1")


@pytest.mark.parametrize("changes", cases(
    of_nobody=({"request": "id-00000000000000000000000000000000"},),
    empty=({"request": ""},),
    none=({"request": None},),
    only_in_the_response=({"confirmation": {"InResponseTo": None}},),
    only_in_the_subject=({"response": {"InResponseTo": None}},),
    another_in_the_subject=({"confirmation": {"InResponseTo": "id-00000000000000000000000000000000"}},),
    another_in_the_response=({"response": {"InResponseTo": "id-00000000000000000000000000000000"}},),
))
def test_the_answer_names_the_request_of_this_login(acme, world, changes):
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client)
    refused(acme.finish(client, acme.post(client, acme.answer(request, **changes), request.relay_state)),
            "assertion_invalid", "state_unknown")
    signed_out(client, acme)
    world.app.nothing_since(mark)


def test_another_accounts_response(acme, world):
    """`u=a` answered at `u=b`: neither account lets anybody in."""
    other = world.accounts["other"]
    mark = world.app.mark()
    for first, second in ((acme, other), (other, acme)):
        client = first.client()
        request = first.begin(client)
        text = first.answer(request).write()
        refused(second.finish(client, second.post(client, text, request.relay_state)), "state_unknown")
        wrong_u = first.acs.replace(f"u={first.code}", f"u={second.code}")
        refused(first.finish(client, first.post(client, text, request.relay_state, where=wrong_u)),
                "state_unknown", "account_unknown", "assertion_invalid", "callback_invalid", "request_invalid")
        # The other account's login under way, the first one's answer.
        own = second.begin(client)
        refused(second.finish(client, second.post(client, text, own.relay_state)), "assertion_invalid")
        signed_out(client, second)
        world.app.nothing_since(mark)
        assert first.post(client, text, request.relay_state).status in (302, 303)
        signed_in(client, first)
        mark = world.app.mark()


def test_accounts_that_share_an_origin(world):
    """A login names its account; the answer to it counts there and nowhere else."""
    north, south = world.accounts["north"], world.accounts["south"]
    client, mark = north.client(), world.app.mark()

    def begun(account):
        return message(client.browse(account.url(f"/sso/login?u={account.code}&return_to=/reports")))

    request = begun(north)
    assert request.issuer == north.entity and request.acs == north.acs
    text = north.answer(request).write()
    for relay_state in (request.relay_state, begun(south).relay_state):
        refused(south.finish(client, south.post(client, text, relay_state)), "state_unknown", "assertion_invalid")
    # Made out for the other account by this one's provider, or by the other's for this one.
    for issuer, account in ((north, south), (south, north)):
        request = begun(account)
        forged = account.answer(request, spec=Spec(key("stranger")), issuer=issuer.saml.entity)
        refused(account.finish(client, account.post(client, forged, request.relay_state)), "assertion_invalid")
    world.app.nothing_since(mark)
    request = begun(north)
    assert north.post(client, north.answer(request), request.relay_state).location == north.url("/reports")
    assert client.get(north.url("/who")).seen()["x-sso-account"] == ["north"]


def test_several_providers_of_one_account_are_not_mixed_up(world):
    """A login at one is answered by that one: with the other's key, the other's name, or both, nobody is signed in."""
    account = world.accounts["several"]
    client = account.client()
    page = client.follow(client.browse(account.url("/reports")))[-1]
    assert all(title in page.text for title in ("Acme staff", "Second company", "OpenID company")), page

    def begun(provider):
        return message(client.browse(account.url(f"/sso/login?idp={provider}&return_to=/reports")))

    second = {"spec": Spec(key("second")), "issuer": "https://second.idp.test/"}
    mark = world.app.mark()
    for changes in (second, {"spec": second["spec"]}, {"issuer": second["issuer"]}, {"assertion_issuer": second["issuer"]}):
        request = begun("corp")
        refused(account.post(client, account.answer(request, **changes), request.relay_state), "assertion_invalid")
    world.app.nothing_since(mark)
    for provider, changes in (("second", second), ("corp", {})):
        request = begun(provider)
        assert account.post(client, account.answer(request, **changes), request.relay_state).status in (302, 303)
        assert client.get(account.url("/who")).seen()["x-sso-idp"] == [provider]
    # And by OpenID Connect in the same browser: one session, one set of headers.
    hops = client.follow(client.browse(account.url("/sso/login?idp=openid&return_to=/who")))
    assert hops[-1].seen()["x-sso-idp"] == ["openid"], hops


def test_parallel_logins_of_one_browser_all_arrive(acme):
    client = acme.client()
    requests = [acme.begin(client, f"/reports?tab={number}") for number in range(3)]
    for number in (2, 0, 1):
        reply = acme.post(client, acme.answer(requests[number]), requests[number].relay_state)
        assert reply.location == acme.url(f"/reports?tab={number}"), reply


def test_a_replayed_answer_is_refused_even_with_the_flow_cookie(acme, world):
    client = acme.client()
    request = acme.begin(client)
    copied = dict(client.cookies)
    text = acme.answer(request).write()
    assert acme.post(client, text, request.relay_state).status in (302, 303)
    mark = world.app.mark()
    refused(acme.finish(client, acme.post(client, text, request.relay_state)), "state_unknown", "assertion_invalid")
    thief = acme.client()
    thief.cookies = copied
    refused(acme.post(thief, text, request.relay_state), "assertion_invalid", "state_unknown")
    signed_out(thief, acme)
    world.app.nothing_since(mark)


# Cookies.


def test_the_flow_cookie_crosses_sites_and_the_sessions_does_not(acme):
    client = acme.client()
    start = client.browse(acme.url("/reports"))
    crossing = [cookie for cookie in start.set if cookie.same_site == "None"]
    assert len(crossing) == 1 and {c.same_site for c in start.set} == {"None", "Lax"}, start.set
    assert all(c.secure and c.http_only and c.name.startswith("__Host-") for c in crossing), start.set
    assert all(c.secure and c.http_only and c.expires for c in start.set if "flow" in c.name), start.set
    request = message(start)
    done = acme.post(client, acme.answer(request), request.relay_state)
    sessions = [c for c in done.set if c.name == "__Host-sso"]
    assert sessions and all(c.same_site.lower() == "lax" and c.secure and c.http_only for c in sessions), done.set


@pytest.mark.parametrize("kind", ["takes it for Strict", "does not keep it"])
def test_a_browser_whose_cookie_does_not_cross_is_bounced_once(acme, world, kind):
    """Old Safari takes `SameSite=None` for `Strict`, older Chromes drop it: one post of the page to its own origin brings it
    or its `Lax` twin."""
    client, mark = acme.client(), world.app.mark()
    request = acme.begin(client)
    for key, cookie in list(client.cookies.items()):
        if cookie.same_site == "None" and kind == "does not keep it":
            del client.cookies[key]
        elif cookie.same_site == "None":
            cookie.same_site = "Strict"
    assert client.cookies
    bounce = acme.post(client, acme.answer(request), request.relay_state)
    assert bounce.status == 200 and form(bounce), bounce
    assert form(bounce)[0].startswith(acme.origin + "/"), form(bounce)
    assert "no-store" in bounce.get("cache-control") and not session_cookies(client)
    world.app.nothing_since(mark)
    reply = acme.finish(client, bounce)
    assert reply.status in (302, 303) and reply.location == acme.url("/reports?q=1"), reply
    signed_in(client, acme)


@pytest.mark.parametrize("bounced", [False, True], ids=["at-once", "bounced"])
def test_base64_in_lines(acme, bounced):
    """As some providers write it into their form; the page of a bounce writes it anew."""
    client = acme.client()
    request = acme.begin(client)
    lines = base64.encodebytes(acme.answer(request).write().encode()).decode().replace("\n", "\r\n")
    if bounced:
        for cookie in client.cookies.values():
            cookie.same_site = "Strict"
    reply = client.request("POST", acme.acs, body={"SAMLResponse": lines, "RelayState": request.relay_state}, navigation=True,
                           cross_site=True, headers={"origin": f"https://{acme.saml.host}"})
    assert (reply.status == 200) == bounced, reply
    assert acme.finish(client, reply).status in (302, 303), acme.refusals()[-1:]
    signed_in(client, acme)


def test_a_login_ends_the_session_that_it_replaces(acme):
    """Though the cross-site post does not bring its cookie."""
    client = acme.signed_in(user="bob@acme.com")
    before = "; ".join(f"{k}={v}" for k, v in session_cookies(client).items())
    request = message(client.browse(acme.url("/sso/login?return_to=/reports")))
    assert acme.client().get(acme.url("/who"), headers={"cookie": before}).status == 200
    assert acme.post(client, acme.answer(request), request.relay_state).status in (302, 303)
    signed_in(client, acme)
    for _ in range(8):
        refused(acme.client().get(acme.url("/who"), headers={"cookie": before}), "login_required", "session_expired")


def test_the_bounce_has_an_end(acme):
    client = acme.client()
    request = acme.begin(client)
    client.drop_cookies()
    bounce = acme.post(client, acme.answer(request), request.relay_state)
    refused(acme.finish(client, bounce), "state_unknown")
