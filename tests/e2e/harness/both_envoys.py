"""A provider before two Envoys that share an engine: what is the same for each.

A module that has a fixture `pair` makes a class of `BothEnvoys`, and pytest collects its tests there.
"""

from .client import form_of, origin
from .expect import refused
from .net import eventually


class BothEnvoys:
    def test_a_login_that_begins_at_one_envoy_ends_at_the_other_and_its_state_is_good_once(self, pair):
        hops, _, held = pair.sign_in_across()
        callback = next(hop.url for hop in hops if hop.url.startswith(pair.account.url("/sso/oidc/consume")))
        for replica in (1, 0):
            held.hosts["acme.localhost"] = pair.worlds[replica].port
            refused(held.get(callback), "state_unknown")
            assert "used already" in pair.reasons("state_unknown", replica)[-1], pair.refusals()

    def test_a_session_is_renewed_by_one_of_two_envoys_with_tokens_that_are_good_once(self, pair):
        browser, _ = pair.sign_in()
        before = pair.renewals("refused")
        eventually(pair.renewed(browser, 3), 60, every=0.1, what="renewals")
        assert pair.renewals("refused") == before


def answer_is_good_once(pair) -> tuple[dict, dict]:
    """By SAML: a login across both, whose answer neither takes again. Gives what the application saw, and the answer's form."""
    hops, _, held = pair.sign_in_across()
    page = next(hop for hop in hops if hop.url.startswith(pair.provider.url) and "SAMLResponse" in dict(form_of(hop).fields))
    fields = dict(form_of(page).fields)
    for replica in (1, 0):
        held.hosts["acme.localhost"] = pair.worlds[replica].port
        reply = held.follow(held.request("POST", pair.account.acs, body=fields, navigation=True, cross_site=True,
                                         headers={"origin": origin(page.url)}))[-1]
        refused(reply, "state_unknown")
        assert "used already" in pair.reasons("state_unknown", replica)[-1], pair.refusals()
    return hops[-1].seen(), fields


def another_key_is_refused(pair) -> None:
    for replica in (0, 1):
        browser, mark = pair.browser(replica), pair.worlds[0].app.mark()
        refused(pair.login(browser, account=pair.wrong)[-1], "assertion_invalid")
        pair.worlds[0].app.nothing_since(mark)
        pair.sign_in(browser)
