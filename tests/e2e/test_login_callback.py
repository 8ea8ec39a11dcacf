"""What comes back from an OpenID provider: callbacks that are refused, answers of another login, form_post, and what a refusal tells."""

import urllib.parse

import pytest

from harness.expect import is_session, refused, session_cookies, signed_in, signed_out
from harness.idp import DROP


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("callback")
    world.account("attacks")
    world.account("form", response_mode="form_post")
    world.account("iss").idp.change("discovery", authorization_response_iss_parameter_supported=True)
    world.start()
    return world


@pytest.fixture
def attacks(world):
    account = world.accounts["attacks"]
    account.idp.reset()
    return account


def start_of(account, path="/reports?q=1"):
    """A login as far as the provider's answer: the client and the callback URL that is still to be asked for."""
    client = account.client()
    start = client.browse(account.url(path))
    at_idp = client.browse(start.location)
    assert at_idp.status == 302, at_idp
    return client, at_idp.location


def with_query(url: str, change) -> str:
    parts = urllib.parse.urlsplit(url)
    pairs = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(change(pairs))))


def without(name):
    return lambda pairs: [pair for pair in pairs if pair[0] != name]


def twice(name, value=None):
    return lambda pairs: pairs + [(name, value or dict(pairs)[name])]


def instead(name, value):
    return lambda pairs: [(k, value if k == name else v) for k, v in pairs]


CALLBACKS = [
    ("a state nobody made", instead("state", "A" * 43), {"state_unknown"}),
    ("an empty state", instead("state", ""), {"state_unknown", "callback_invalid"}),
    ("no state", without("state"), {"state_unknown", "callback_invalid"}),
    ("no code", without("code"), {"callback_invalid"}),
    ("an empty code", instead("code", ""), {"callback_invalid"}),
    ("two codes", twice("code", "other"), {"callback_invalid"}),
    ("the same code twice", twice("code"), {"callback_invalid"}),
    ("two states", twice("state", "B" * 43), {"callback_invalid"}),
    ("code and error", twice("error", "access_denied"), {"callback_invalid", "idp_denied"}),
    ("another issuer's answer (RFC 9207)", twice("iss", "https://evil.test"), {"callback_invalid"}),
    ("another account's u", instead("u", "tabs"), {"account_unknown", "state_unknown", "callback_invalid"}),
]


@pytest.mark.parametrize("what, change, codes", CALLBACKS, ids=[row[0] for row in CALLBACKS])
def test_a_callback_is_refused_with(world, attacks, what, change, codes):
    client, url = start_of(attacks)
    before = attacks.idp.count("token")
    mark = world.app.mark()
    refused(client.browse(with_query(url, change)), *codes)
    assert attacks.idp.count("token") == before, "a code was exchanged for a bad callback"
    assert session_cookies(client) == {}
    signed_out(client, attacks)
    world.app.nothing_since(mark)
    # Its twin: the same login with nothing changed.
    client, url = start_of(attacks)
    assert client.browse(with_query(url, lambda pairs: pairs)).status in (302, 303)
    signed_in(client, attacks)


def test_a_callback_in_another_persons_browser_is_refused(world, attacks):
    _, url = start_of(attacks)
    victim, _ = start_of(attacks)
    refused(victim.browse(url), "state_unknown")
    refused(attacks.client().browse(url), "state_unknown")
    signed_out(victim, attacks)


def test_a_login_in_progress_is_used_once(world, attacks):
    client, url = start_of(attacks)
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["code"][0]
    asks = dict(attacks.idp.codes[code])
    captured = dict(client.values())
    assert client.browse(url).status in (302, 303)
    # The same flow cookie and state again, with a fresh code for the same challenge and nonce.
    attacks.idp.codes["fresh"] = asks
    other = attacks.client()
    cookies = "; ".join(f"{k}={v}" for k, v in captured.items())
    reply = other.browse(with_query(url, instead("code", "fresh")), headers={"cookie": cookies})
    refused(reply, "state_unknown")
    assert session_cookies(other) == {}


def test_the_back_button_after_a_login_shows_no_error_to_who_is_signed_in(world, attacks):
    client, url = start_of(attacks)
    assert client.browse(url).status in (302, 303)
    again = client.browse(url)
    if again.status not in (302, 303):
        refused(again, "state_unknown")
    signed_in(client, attacks)


def test_a_code_for_another_login_fails_at_the_provider(world, attacks):
    """PKCE: a code injected from somebody else's login does not fit our verifier."""
    _, foreign = start_of(attacks)
    client, url = start_of(attacks)
    code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(foreign).query))["code"]
    reply = client.browse(with_query(url, instead("code", code)))
    refused(reply, "idp_denied", "idp_invalid_answer", "callback_invalid")
    assert attacks.idp.last("token").form["code"] == code
    signed_out(client, attacks)


def test_an_id_token_for_another_login_is_refused(world, attacks):
    attacks.idp.change("claims", nonce="B" * 43)
    client, url = start_of(attacks)
    refused(client.browse(url), "id_token_invalid")
    signed_out(client, attacks)


def test_a_denied_login_says_so_and_echoes_nothing(world, attacks):
    attacks.idp.deny = "access_denied"
    attacks.idp.change("callback", error_description="<script>alert(1)</script>")
    client, url = start_of(attacks)
    reply = refused(client.browse(url), "idp_denied")
    assert "<script>alert" not in reply.text
    signed_out(client, attacks)


def test_form_post_works_from_another_site(world):
    form = world.accounts["form"]
    client = form.client()
    start = client.browse(form.url("/reports?q=1"))
    assert start.query()["response_mode"] == "form_post"
    flow = [cookie for cookie in start.set if not is_session(cookie.name) and cookie.value]
    assert flow and all(c.same_site.lower() == "none" and c.secure and c.http_only for c in flow), flow
    hops = client.follow(start)
    assert hops[-1].status == 200 and hops[-1].url == form.url("/reports?q=1"), hops
    session = [c for c in client.cookies.values() if is_session(c.name)]
    assert session and all(cookie.same_site.lower() == "lax" for cookie in session)
    signed_in(client, form)


def test_a_form_post_that_is_garbage_is_refused(world):
    form = world.accounts["form"]
    client = form.client()
    client.browse(form.url("/reports"))
    for body in (b"", b"state", b"\xff\xfe=1&code", b"code=a&code=b&state=c", b"state=x&code=" + b"y" * 200000):
        reply = client.post(form.url("/sso/oidc/consume?u=form"), body=body,
                            headers={"content-type": "application/x-www-form-urlencoded"})
        refused(reply, "callback_invalid", "state_unknown", "body_too_large")
    signed_in(form.signed_in(), form)


def test_an_issuer_that_the_provider_promised_is_required(world):
    account = world.accounts["iss"]
    account.idp.changes.pop("callback", None)
    for change, good in (({}, True), ({"iss": DROP}, False), ({"iss": "https://evil.test"}, False), ({}, True)):
        account.idp.changes["callback"] = change
        client, url = start_of(account)
        reply = client.browse(url)
        if good:
            assert reply.status in (302, 303), reply
            signed_in(client, account)
        else:
            refused(reply, "callback_invalid")
            signed_out(client, account)


def test_a_person_without_the_mapped_claim_is_refused(world, attacks):
    attacks.idp.person.pop("email")
    callback, _ = attacks.callback(client := attacks.client())
    reply = refused(callback, "identity_missing")
    assert "email" in reply.text
    signed_out(client, attacks)


def test_an_unverified_email_is_refused(world, attacks):
    attacks.idp.person["email_verified"] = False
    callback, _ = attacks.callback(client := attacks.client())
    refused(callback, "email_unverified")
    signed_out(client, attacks)


def test_pages_show_no_secret_and_are_not_kept(world, attacks):
    attacks.idp.change("claims", aud="somebody-else")
    client, url = start_of(attacks)
    reply = refused(client.browse(url), "id_token_invalid")
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["code"][0]
    for secret in (code, "the secret of the client", "somebody-else", attacks.idp.issuer):
        assert secret not in reply.text, "an internal name or secret on the page"
    assert reply.get("referrer-policy") in ("no-referrer", "same-origin", "strict-origin"), reply.headers
    for secret in (code, "the secret of the client", world.environment["SSO_SESSION_KEY"]):
        assert secret not in world.envoy.log_text()
