"""`login_origin` beyond one Envoy and OpenID Connect: SAML with a provider that we did not write, and two Envoys that share
an engine. What a ticket must not do in each."""

import urllib.parse

import pytest

from harness.expect import flow_cookies, refused, session_cookies
from harness.pysaml import PySaml
from harness.saml import SamlAccount, key, message
from harness.shared import Setting

APP = "https://acme.app.test"
LOGIN = "https://login.app.test"
ONE = "https://one.preview.app.test"
TWO = "https://two.preview.app.test"
ORIGINS = {"origins": [APP, "https://*.preview.app.test"], "login_origin": LOGIN}
ADA = {"email": ["ada@acme.com"], "groups": ["lakehouse-admins"]}


def somebody(client, origin: str) -> None:
    reply = client.get(f"{origin}/who")
    assert reply.status == 200 and reply.seen()["x-sso-user"] == ["ada@acme.com"], reply


def nobody(app, client, origin: str) -> None:
    mark = app.mark()
    refused(client.get(f"{origin}/who"), "login_required", "session_expired")
    app.nothing_since(mark)


def ticket_in(reply, to: str) -> str:
    assert reply.status == 302 and (reply.location or "").startswith(f"{to}/sso/login?ticket="), reply
    return reply.location


# SAML.


@pytest.fixture(scope="module")
def saml(make_world):
    world = make_world("login-origin-saml")
    sp = key("sp")
    world.environment |= {"SAML_KEY": sp.private_pem}
    account = SamlAccount(world, "acme", ORIGINS, signing={"private_key": {"env": "SAML_KEY"}, "certificate": sp.pem})
    account.settings["slo_url"] = account.saml.slo
    account.entity, account.acs, account.slo = (f"{LOGIN}/sso/saml/{what}?u=acme" for what in ("metadata", "consume", "logout"))
    world.start()
    return account


@pytest.fixture(scope="module")
def idp(saml):
    """pysaml2, from the metadata that the filter publishes at the login origin."""
    ours = saml.client().get(saml.entity)
    assert ours.status == 200, ours
    return PySaml(saml.saml.entity, saml.saml.sso, saml.saml.slo, saml.saml.key, [ours.text], want_signed=True)


def asked(saml, client, url: str):
    """A page that needs a session, up to the request at the provider; and the ticket that went to the login origin."""
    out = ticket_in(client.browse(url), LOGIN)
    return message(client.browse(out)), out


def answered(saml, idp, client, url: str) -> str:
    """The ticket that brings the session of a login that began at this URL."""
    request, _ = asked(saml, client, url)
    assert request.acs == saml.acs and request.issuer == saml.entity
    reply = saml.post(client, idp.answer(idp.read(request), ADA), request.relay_state)
    return ticket_in(saml.finish(client, reply), urllib.parse.urljoin(url, "/")[:-1])


@pytest.mark.parametrize("origin", [APP, ONE])
def test_a_saml_login_runs_at_the_login_origin_and_opens_its_session_where_it_began(saml, idp, origin):
    client = saml.client()
    back = client.browse(answered(saml, idp, client, f"{origin}/who?q=1"))
    assert back.status == 302 and back.location == f"{origin}/who?q=1", back
    somebody(client, origin)
    assert {cookie.host for cookie in client.cookies.values()} == {origin[8:]} and not flow_cookies(client)
    nobody(saml.world.app, client, TWO)


def test_a_saml_ticket_counts_once_in_one_browser_at_one_origin(saml, idp):
    client, other = saml.client(), saml.client()
    out = asked(saml, client, f"{ONE}/who")[1]
    refused(client.browse(out), "state_unknown")
    back = answered(saml, idp, client, f"{ONE}/who")
    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in flow_cookies(client).items())}
    for origin in (APP, TWO, LOGIN):
        refused(client.browse(back.replace(ONE, origin), headers=cookies), "state_unknown")
    waiting = dict(client.cookies)
    assert client.browse(back).location == f"{ONE}/who"
    somebody(client, ONE)
    client.drop_cookies()
    client.cookies.update(waiting)
    refused(client.browse(back), "state_unknown")
    nobody(saml.world.app, client, ONE)
    # In another browser it opens nothing, and is lost.
    back = answered(saml, idp, client, f"{ONE}/who")
    refused(other.browse(back), "state_unknown")
    refused(client.browse(back), "state_unknown")
    nobody(saml.world.app, other, ONE)
    nobody(saml.world.app, client, ONE)


def test_a_saml_response_counts_at_the_login_origin_alone_and_once(saml, idp):
    client = saml.client()
    request, _ = asked(saml, client, f"{ONE}/who")
    text = idp.answer(idp.read(request), ADA)
    refused(saml.post(client, text, request.relay_state, where=saml.acs.replace(LOGIN, ONE)), "callback_invalid")
    back = ticket_in(saml.finish(client, saml.post(client, text, request.relay_state)), ONE)
    reply = saml.finish(client, saml.post(client, text, request.relay_state))
    refused(reply, "state_unknown", "assertion_invalid")
    assert client.browse(back).location == f"{ONE}/who"
    somebody(client, ONE)


@pytest.mark.parametrize("to, leads", [
    (f"{ONE}/who", ONE), ("/who", APP), ("https://evil.test/", APP), ("https://a.b.preview.app.test/", APP), (None, APP)])
def test_a_saml_login_that_begins_at_the_provider_begins_anew_at_the_origin_it_is_for(saml, to, leads):
    client = saml.client()
    reply = saml.finish(client, saml.post(client, saml.answer(None), to))
    assert reply.status in (302, 303) and reply.location.startswith(f"{leads}/sso/login"), reply
    assert not session_cookies(client)


def test_a_saml_sign_out_goes_by_the_login_origin_and_comes_back(saml, idp):
    client = saml.client()
    client.browse(answered(saml, idp, client, f"{ONE}/who"))
    copy = {"cookie": "; ".join(f"{name}={value}" for name, value in session_cookies(client).items())}
    out = client.browse(f"{ONE}/sso/logout")
    assert (out.location or "").startswith(f"{LOGIN}/sso/logout?ticket="), out
    request = message(client.browse(out.location))
    assert request.name == "SAMLRequest" and request.url == saml.saml.slo
    refused(saml.client().browse(out.location), "state_unknown")
    refused(saml.client().get(f"{ONE}/who", headers=copy), "session_expired")
    reply = saml.send(client, "SAMLResponse", saml.logout_response(request.id), "redirect", relay_state=request.relay_state)
    hops = client.follow(reply)
    assert hops[-1].url == f"{ONE}/sso/logout-complete" and hops[-1].code == "signed_out", hops
    nobody(saml.world.app, client, ONE)


# Two Envoys that share an engine.


@pytest.fixture(scope="module")
def two(make_world):
    setting = Setting(make_world, "login-origin", changes=ORIGINS)
    yield setting
    setting.etcd.stop()


class Browser:
    """A browser whose requests go to the replica that a test names."""

    def __init__(self, setting):
        self.setting, self.client = setting, setting.client(0)

    def at(self, replica: int):
        self.client.hosts[".app.test"] = self.setting.worlds[replica].port
        return self.client

    def ticket(self, url: str) -> str:
        """The ticket that brings the session, by way of both replicas."""
        out = ticket_in(self.at(0).browse(url), LOGIN)
        callback = self.at(1).follow(self.client.browse(out), until=lambda hop: "code=" in (hop.location or ""))[-1].location
        return ticket_in(self.at(0).browse(callback), ONE)


def test_a_login_goes_by_whichever_envoy_is_asked(two):
    browser = Browser(two)
    back = browser.ticket(f"{ONE}/who")
    assert browser.at(1).browse(back).location == f"{ONE}/who"
    for replica in (0, 1):
        somebody(browser.at(replica), ONE)
    out = browser.at(0).browse(f"{ONE}/sso/logout").location
    hops = browser.at(1).follow(browser.client.browse(out))
    assert hops[-1].url == f"{ONE}/sso/logout-complete" and hops[-1].code == "signed_out", hops


@pytest.mark.parametrize("first", [0, 1])
def test_a_ticket_counts_once_over_both(two, first):
    browser, other = Browser(two), 1 - first
    out = ticket_in(browser.at(first).browse(f"{ONE}/who"), LOGIN)
    assert browser.at(first).browse(out).status == 302
    refused(browser.at(other).browse(out), "state_unknown")
    back = browser.ticket(f"{ONE}/who")
    waiting = dict(browser.client.cookies)
    assert browser.at(first).browse(back).location == f"{ONE}/who"
    browser.client.drop_cookies()
    browser.client.cookies.update(waiting)
    refused(browser.at(other).browse(back), "state_unknown")
    nobody(two.worlds[other].app, browser.client, ONE)


def test_a_ticket_opens_nothing_elsewhere_at_the_other_envoy_and_is_lost(two):
    eve, ada = Browser(two), Browser(two)
    back = eve.ticket(f"{ONE}/who")
    refused(eve.at(1).browse(back.replace(ONE, TWO)), "state_unknown")
    refused(ada.at(1).browse(back), "state_unknown")
    refused(eve.at(0).browse(back), "state_unknown")
    for browser in (eve, ada):
        for replica in (0, 1):
            nobody(two.worlds[replica].app, browser.at(replica), ONE)


def test_with_the_engine_away_logins_go_on_and_a_ticket_still_counts_once_here(two):
    """`on_outage: open`: each Envoy is on its own then, and remembers what it has seen."""
    [member] = two.etcd.members
    member.freeze()
    try:
        browser = Browser(two)
        back = browser.ticket(f"{ONE}/who")
        waiting = dict(browser.client.cookies)
        assert browser.at(1).browse(back).location == f"{ONE}/who"
        somebody(browser.at(1), ONE)
        browser.client.drop_cookies()
        browser.client.cookies.update(waiting)
        refused(browser.at(1).browse(back), "state_unknown")
        nobody(two.worlds[1].app, browser.client, ONE)
    finally:
        member.thaw()
    two.etcd.healthy()
