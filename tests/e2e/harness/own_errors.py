"""What a provider refuses, as it answers itself, at two Envoys that share an engine: the same for each provider of OpenID Connect.

A module that has a fixture `pair` makes a class of this one, and pytest collects its tests there.
"""

import base64
import time
import urllib.parse

from .expect import refused, session_cookies, signed_out
from .net import Never, eventually
from .seal import Ring
from .world import SESSION_KEY


def at_callback(do):
    """For `Browser.meddle`: what `do` makes of the URL by which the provider sends the browser back to us with a code."""
    def meddle(url: str) -> str:
        parts = urllib.parse.urlsplit(url)
        return do(url) if "/sso/oidc/consume" in parts.path and "code=" in parts.query else url
    return meddle


def with_another_code(url: str) -> str:
    """Providers give the same answer to a code that they never gave, that was used, or that they have forgotten."""
    parts = urllib.parse.urlsplit(url)
    query = [(name, value[:-8] + value[:-9:-1] if name == "code" else value) for name, value in urllib.parse.parse_qsl(parts.query)]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))


class OwnErrors:
    wrong_secret = "invalid_client"
    wrong_code = "invalid_grant"
    used_token = "invalid_grant"
    bystander = {}  # who signs in beside

    def test_a_wrong_client_secret_is_said_in_the_providers_words(self, pair):
        for replica in (0, 1):
            browser, mark = pair.browser(replica), pair.worlds[0].app.mark()
            refused(pair.login(browser, account=pair.wrong)[-1], "idp_invalid_answer")
            pair.worlds[0].app.nothing_since(mark)
            assert f"error {self.wrong_secret}" in pair.reasons("idp_invalid_answer", replica)[-1], pair.refusals()
            pair.sign_in(browser)

    def test_a_code_that_is_not_good_is_refused(self, pair):
        for replica in (0, 1):
            browser = pair.browser(replica)
            browser.meddle = at_callback(with_another_code)
            mark = pair.worlds[0].app.mark()
            refused(pair.login(browser)[-1], "idp_invalid_answer")
            assert f"error {self.wrong_code}" in pair.reasons("idp_invalid_answer", replica)[-1], pair.refusals()
            pair.worlds[0].app.nothing_since(mark)
            browser.meddle = lambda url: url
            pair.sign_in(browser)

    def test_a_provider_that_is_down_when_the_user_comes_back(self, pair):
        for replica in (0, 1):
            browser = pair.browser(replica)

            def close(url):
                pair.road.close()
                return url

            browser.meddle = at_callback(close)
            try:
                refused(pair.login(browser)[-1], "idp_unavailable")
            finally:
                pair.road.open()
            signed_out(browser, pair.account)
            browser.meddle = lambda url: url
            pair.sign_in(browser)

    def test_a_provider_that_is_down_ends_no_session(self, pair):
        browser, _ = pair.sign_in()
        cookies, before = session_cookies(browser), len(self.failed(pair))

        def used() -> bool:
            for replica in (0, 1):
                reply = pair.ask(cookies, replica)
                if reply.status != 200:
                    raise Never(reply, pair.refusals())
                cookies.update({cookie.name: cookie.value for cookie in reply.set})
            return len(self.failed(pair)) > before

        pair.road.close()
        try:
            eventually(used, 60, every=0.1, what="a renewal that failed")
        finally:
            pair.road.open()
        assert {event["code"] for event in self.failed(pair)[before:]} == {"idp_unavailable"}, self.failed(pair)
        goal = pair.renewals() + 1
        eventually(lambda: used() and pair.renewals() >= goal, 120, every=0.2, what="a renewal once the provider is back")

    @staticmethod
    def late(pair):
        """A browser that comes back three seconds after it was sent."""
        def held(url):
            came = time.monotonic()
            eventually(lambda: time.monotonic() > came + 3, what="the end of the code")
            return url

        browser = pair.browser()
        browser.meddle = at_callback(held)
        return browser

    @staticmethod
    def failed(pair) -> list[dict]:
        return [event for event in pair.events() if event.get("event") == "renewal" and event.get("outcome") == "failed"]

    def test_a_refresh_token_that_another_has_used_ends_the_session_at_both(self, pair):
        browser, _ = pair.sign_in()
        cookies = session_cookies(browser)
        basic = base64.b64encode(f"acme:{urllib.parse.quote(pair.secret)}".encode()).decode()
        said = pair.browser().post(pair.token_endpoint, headers={"authorization": f"Basic {basic}"}, body={
            "grant_type": "refresh_token", "refresh_token": Ring(SESSION_KEY).refresh_token(cookies)})
        assert said.status == 200 and said.json()["refresh_token"], said
        bystander, _ = pair.sign_in(**self.bystander)
        self.ended(pair, cookies)
        assert pair.ask(session_cookies(bystander), 1).status == 200
        hops = pair.login(browser)
        assert hops[-1].status == 200 and hops[-1].url == pair.account.url("/reports?q=1"), (hops, pair.refusals())

    def ended(self, pair, cookies: dict[str, str], reason: str | None = None) -> None:
        """The session ends at its next renewal, by the provider's own error."""
        pair.ended_at_both(cookies)
        assert any(event.get("event") == "logout" and event["reason"] == (reason or self.used_token) for event in pair.events()), pair.refusals()
