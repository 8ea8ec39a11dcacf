"""Ory Hydra before two Envoys that share an engine, beside another application in the same session."""

import html
import re

import pytest

from harness import jose
from harness.both_envoys import BothEnvoys
from harness.expect import is_session, refused, session_cookies, signed_out
from harness.hydra import Hydra
from harness.net import eventually
from harness.other_application import OtherApplication
from harness.own_errors import OwnErrors
from harness.pair import SECRET, Pair
from harness.provider import private_jwk

AUDIENCE = "reports-api"


@pytest.fixture(scope="module")
def pair(make_world, stack):
    pair = Pair(make_world, "hydra")
    stack.callback(pair.stop)
    hydra, theirs = Hydra(), OtherApplication()
    stack.callback(hydra.stop)
    stack.callback(theirs.stop)
    own = f"http://127.0.0.1:{pair.worlds[0].port}"
    back = {"backchannel_logout_session_required": True}
    hydra.add(back | {
        "client_id": "acme", "client_secret": SECRET, "redirect_uris": pair.redirect_uris,
        "post_logout_redirect_uris": [pair.account.url("/sso/logout-complete")],
        "backchannel_logout_uri": f"{own}/sso/backchannel-logout?u=acme"})
    hydra.add(back | {
        "client_id": "theirs", "client_secret": theirs.secret, "redirect_uris": [f"{theirs.origin}/callback"], "audience": [AUDIENCE],
        "post_logout_redirect_uris": [f"{theirs.origin}/bye"], "backchannel_logout_uri": f"http://127.0.0.1:{theirs.port}/back"})
    front = pair.front = pair.worlds[0].account("front")
    front.origin = f"http://front.localhost:{pair.worlds[0].port}"
    hydra.add({
        "client_id": "front", "client_secret": SECRET, "redirect_uris": [front.url("/sso/oidc/consume?u=front")],
        "frontchannel_logout_uri": front.url("/sso/frontchannel-logout?u=front"), "frontchannel_logout_session_required": True})
    oidc = pair.oidc(hydra.issuer)[0]["oidc"] | {"client_id": "front"}
    front.config |= {"origins": [front.origin], "identity_providers": [{"id": "corp", "oidc": oidc}]}
    theirs.use(hydra.discovery)
    theirs.asks = {"audience": AUDIENCE}
    pair.theirs = theirs
    pair.start(hydra, {"admin": hydra.admin}, mapping={"roles_claim": "groups", "role_map": {"staff": "reader"}}, bearer={"audiences": [AUDIENCE]},
               identity_providers=pair.oidc(hydra.issuer, scope=["openid", "email", "profile", "offline_access"],
                                            introspection=f"http://127.0.0.1:{hydra.admin}/admin/oauth2/introspect"))
    return pair


def beside(pair, **user):
    """A browser that is signed in to both applications by one session of Hydra's."""
    browser, _ = pair.sign_in(**user)
    browser.hosts["theirs.localhost"] = pair.theirs.port
    hops = browser.follow(browser.browse(f"{pair.theirs.origin}/"), limit=20)
    assert hops[-1].text.startswith("hello"), hops
    return browser


def test_a_user_signs_in_and_is_known_to_both_envoys(pair):
    browser, seen = pair.sign_in()
    assert (seen["x-sso-user"], seen["x-sso-name"], seen["x-sso-roles"]) == (["ada@acme.com"], ["Ada"], ["reader"])
    assert pair.ask(session_cookies(browser), 1).status == 200


def test_signing_out_here_signs_out_at_hydra_and_at_the_other_application(pair):
    browser, bystander = beside(pair), beside(pair)
    captured = session_cookies(browser)
    out = browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"})
    assert out.location.startswith(f"{pair.provider.issuer}/oauth2/sessions/logout?"), out
    hops = browser.follow(out, limit=20)
    assert hops[-1].code == "signed_out" and hops[-1].url.startswith(pair.account.url("/sso/logout-complete?")), hops
    signed_out(browser, pair.account)
    pair.ended_at_both(captured)
    eventually(lambda: "hello" not in browser.follow(browser.browse(f"{pair.theirs.origin}/"), limit=20)[-1].text, what="the end at the other")
    pair.passes_at_both(session_cookies(bystander))


def test_signing_out_at_the_other_application_signs_out_here(pair):
    browser, bystander = beside(pair), beside(pair)
    hops = browser.follow(browser.browse(f"{pair.theirs.origin}/logout"), limit=20)
    assert hops[-1].text == "goodbye", hops
    pair.ended_at_both(session_cookies(browser))
    assert pair.ask(session_cookies(bystander), 1).status == 200


def test_the_front_channel_at_one_envoy_ends_the_session_at_both(pair):
    """Hydra's page has a frame for each application that registered one."""
    def both_accounts():
        browser, _ = pair.sign_in()
        hops = browser.follow(browser.browse(pair.front.url("/reports")), limit=20)
        assert hops[-1].url == pair.front.url("/reports") and hops[-1].status == 200, hops
        own = [one for one in browser.cookies_for(pair.front.url("/")) if is_session(one.name)]
        return browser, {one.name: one.value for one in own}

    browser, cookies = both_accounts()
    _, others = both_accounts()
    page = browser.follow(browser.browse(pair.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}), limit=20)[-1]
    [frame] = [html.unescape(src) for src in re.findall(r'<iframe[^>]*src="([^"]+)"', page.text) if "frontchannel" in src]
    assert frame.startswith(pair.front.url("/sso/frontchannel-logout?")) and "sid=" in frame and "iss=" in frame, frame
    assert all(pair.ask(cookies, replica, pair.front).status == 200 for replica in (0, 1))
    reply = pair.browser(1).get(frame, headers={"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"})
    assert reply.status == 200, reply
    pair.ended_at_both(cookies, pair.front)
    pair.passes_at_both(others, pair.front)


def test_a_wrong_password_stays_at_the_login_page(pair):
    browser = pair.browser()
    hops = pair.provider.go_on(browser, browser.login(pair.account.url("/reports")), password="wrong")
    assert "Wrong password" in hops[-1].text, hops
    signed_out(browser, pair.account)


def test_a_user_who_does_not_consent_is_told_so(pair):
    browser = pair.browser()
    mark = pair.worlds[0].app.mark()
    hops = pair.provider.go_on(browser, browser.login(pair.account.url("/reports")), login="bob", consent="no")
    refused(hops[-1], "idp_denied")
    pair.worlds[0].app.nothing_since(mark)
    pair.sign_in(login="bob")


def test_an_opaque_access_token_counts_by_introspection(pair):
    """Hydra's introspection endpoint is at its administrators' port, so that its URL is given by hand."""
    beside(pair)
    token = pair.theirs.access_token
    assert token.startswith("ory_at_"), "it is opaque"

    def ask(value: str, replica: int = 0):
        return pair.browser(replica).get(pair.account.url("/who"), headers={"authorization": f"Bearer {value}"})

    for replica in (0, 1):
        reply = ask(token, replica)
        assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], (reply, pair.refusals())
    refused(ask(token[:-4] + "AAAA"), "token_invalid")


def test_after_a_new_key_logins_go_on_and_older_sessions_sign_in_again_unseen(pair):
    """Hydra 2.3 signs refreshed ID tokens with the new key under the old key's `kid`: they cannot be verified."""
    before, _ = pair.sign_in()
    # Made here: Hydra makes keys of 4096 bits, and answers nothing if that takes longer than its time for a request.
    new = private_jwk(jose.new_key("RSA", "new"), "RS256") | {"use": "sig"}
    pair.provider.ask("PUT", "/keys/hydra.openid.id-token/new", new)
    for _ in range(3):
        after, _ = pair.sign_in()
    eventually(pair.renewed(after), 60, every=0.1, what="renewals of a session from after the change")
    eventually(lambda: before.get(pair.account.url("/who")).status != 200, 60, every=0.1, what="the end of the older session")
    assert any(event.get("event") == "renewal" and event["code"] == "id_token_invalid" for event in pair.worlds[0].envoy.events())
    hops = before.follow(before.browse(pair.account.url("/reports")), limit=20)
    assert hops[-1].url == pair.account.url("/reports") and hops[-1].status == 200, hops


class TestHydraAtBothEnvoys(BothEnvoys):
    pass


class TestHydrasOwnErrors(OwnErrors):
    pass
