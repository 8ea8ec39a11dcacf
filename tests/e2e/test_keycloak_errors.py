"""Keycloak's own errors, at two Envoys that share an engine."""


import pytest

from harness import keycloak
from harness.expect import refused, signed_out
from harness.keycloak import Realm, asks_for, oidc_client, submit
from harness.net import eventually
from harness.own_errors import OwnErrors
from harness.pair import SECRET, Pair


class Issuer(Realm):
    """A realm as the provider of a pair."""

    @property
    def issuer(self) -> str:
        return self.url

    def go_on(self, browser, hops, consent: str = "Yes", **user):
        if asks_for(hops[-1], "password"):
            hops = hops + self.sign_in(browser, hops[-1], **user)
        if "Grant Access" in hops[-1].text:
            hops = hops + browser.follow(submit(browser, hops[-1], **{"accept" if consent == "Yes" else "cancel": consent}))
        return hops


@pytest.fixture(scope="module")
def pair(make_world, stack):
    if keycloak.missing():
        keycloak.leave_out(keycloak.missing())
    pair = Pair(make_world, "keycloak-errors")
    stack.callback(pair.stop)
    realm = Issuer("errors", [oidc_client(pair.account, SECRET, redirectUris=pair.redirect_uris, consentRequired=True)])
    pair.start(realm, identity_providers=pair.oidc(realm.issuer))
    return pair


class TestKeycloaksOwnErrors(OwnErrors):
    wrong_secret = "unauthorized_client"

    def test_a_code_that_has_expired_is_refused(self, pair):
        browser = self.late(pair)
        pair.provider.change(accessCodeLifespan=1)
        try:
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser)[-1], "idp_invalid_answer")
        finally:
            pair.provider.change(accessCodeLifespan=60)
        assert "error invalid_grant (Code not valid)" in pair.reasons("idp_invalid_answer", 0)[-1], pair.refusals()
        pair.worlds[0].app.nothing_since(mark)
        browser.meddle = lambda url: url
        pair.sign_in(browser)

    def test_a_user_who_does_not_consent_is_told_so_at_both(self, pair):
        for replica in (0, 1):
            browser = pair.browser(replica)
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser, name="bob", consent="No")[-1], "idp_denied")
            pair.worlds[0].app.nothing_since(mark)
            signed_out(browser, pair.account)
            pair.sign_in(browser)
