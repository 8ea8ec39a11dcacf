"""Two Envoys that share an etcd, before one application and one provider with users in browsers."""

import concurrent.futures
import copy
import urllib.parse

from . import keycloak
from .client import Client
from .etcd import Etcd
from .expect import session_cookies
from .net import Never, eventually
from .road import Road
from .saml import key

SECRET = "the secret of the client"


class Browser(keycloak.Browser):
    """It finds every server of 127.0.0.1 by the port of the URL. What it is about to ask for goes through `meddle`."""

    meddle = staticmethod(lambda url: url)

    def request(self, method: str, url: str, **options):
        url = self.meddle(url)
        self.hosts["127.0.0.1"] = urllib.parse.urlsplit(url).port
        return super().request(method, url, **options)


class Pair:
    """`provider` has `issuer`, `port` and `go_on(browser, hops, …)`, which fills in the forms on the way to `hops[-1]`."""

    def __init__(self, make_world, name: str, recheck: str = "1s"):
        self.etcd = Etcd(name)
        self.worlds = [make_world(f"{name}-{n}", concurrency=2, cookies={"secure": False}, session={"recheck": recheck})
                       for n in range(2)]
        first, second = self.worlds
        second.app.stop()
        second.app, second.accounts = first.app, first.accounts
        second.clusters["app"] = first.app.port
        self.account = first.account("acme")
        self.account.origin = f"http://acme.localhost:{first.port}"
        self.account.config["origins"] = [self.account.origin, f"http://127.0.0.1:{first.port}"]
        # The same client with a wrong secret, or an account that knows another provider's certificate.
        self.wrong = first.account("wrong")
        self.wrong.origin = f"http://wrong.localhost:{first.port}"
        self.wrong.config["origins"] = [self.wrong.origin]
        self.provider, self.secret = None, SECRET

    def start(self, provider, clusters: dict[str, int] | None = None, **changes) -> "Pair":
        """`clusters` are further ports of the provider's host, by name."""
        self.provider, self.road = provider, Road(provider.port)
        clusters = {"provider": provider.port} | (clusters or {})
        self.account.config |= changes
        if "identity_providers" in changes:
            providers = copy.deepcopy(changes["identity_providers"])
            if "oidc" in providers[0]:
                providers[0]["oidc"]["client_secret"] = {"value": "a wrong secret"}
            else:
                providers[0]["saml"]["certificates"] = [key("another provider").pem]
            self.wrong.config["identity_providers"] = providers
        for world in self.worlds:
            world.clusters |= clusters | {"provider": self.road.port}
            world.cluster_table = {f"127.0.0.1:{port}": name for name, port in clusters.items()}
            world.engines, world.shared = {"etcd": self.etcd.ports}, {"engine": "etcd", "cluster": "etcd"}
            world.start()
        return self

    def stop(self) -> None:
        self.etcd.stop()

    @property
    def redirect_uris(self) -> list[str]:
        """To register at the provider."""
        return [account.url(f"/sso/oidc/consume?u={account.code}") for account in (self.account, self.wrong)]

    def oidc(self, issuer: str, **more) -> list[dict]:
        return [{"id": "corp", "oidc": {"discovery": f"{issuer}/.well-known/openid-configuration", "client_id": "acme",
                                        "client_secret": {"env": "OIDC_SECRET"}} | more}]

    def saml(self, **settings) -> list[dict]:
        """`settings` as the configuration has them; the accounts get their addresses for a service provider's registration."""
        for account in (self.account, self.wrong):
            for name, path in (("acs", "consume"), ("slo", "logout"), ("entity", "metadata")):
                setattr(account, name, account.url(f"/sso/saml/{path}?u={account.code}"))
        return [{"id": "corp", "saml": settings}]

    def browser(self, replica: int = 0) -> Browser:
        return Browser({f"{code}.localhost": self.worlds[replica].port for code in self.worlds[0].accounts})

    @property
    def token_endpoint(self) -> str:
        return self.browser().get(f"{self.provider.issuer}/.well-known/openid-configuration").json()["token_endpoint"]

    def login(self, browser: Client, path: str = "/reports?q=1", account=None, **user):
        """Every answer on the way in."""
        return self.provider.go_on(browser, browser.login((account or self.account).url(path)), **user)

    def sign_in(self, browser: Client | None = None, path: str = "/reports?q=1", **user):
        """A browser with a session, and what the application saw of it."""
        browser = browser or self.browser()
        hops = self.login(browser, path, **user)
        assert hops[-1].status == 200 and hops[-1].url == self.account.url(path), (hops, self.refusals())
        return browser, hops[-1].seen()

    def sign_in_across(self, path: str = "/reports?q=1", **user):
        """A login that begins at one Envoy and ends at the other. Gives its answers, the browser, and a copy of the browser from before
        it came back."""
        browser, held = self.browser(), self.browser()
        start = browser.browse(self.account.url(path))
        held.cookies |= browser.cookies
        browser.hosts["acme.localhost"] = self.worlds[1].port
        hops = self.provider.go_on(browser, browser.follow(start), **user)
        assert hops[-1].status == 200 and hops[-1].url == self.account.url(path), (hops, self.refusals())
        self.passes_at_both(session_cookies(browser))
        return hops, browser, held

    def sign_out(self, browser: Client):
        """The way that begins at `/sso/logout`, as far as it leads without a form."""
        return browser.follow(browser.browse(self.account.url("/sso/logout"), headers={"sec-fetch-site": "same-origin"}), limit=20)

    def ended_at_both(self, cookies: dict[str, str], account=None) -> None:
        for replica in (0, 1):
            eventually(lambda: self.ask(cookies, replica, account).code == "session_expired", 60, what=f"the end at {replica}")

    def passes_at_both(self, cookies: dict[str, str], account=None) -> None:
        for replica in (0, 1):
            reply = self.ask(cookies, replica, account)
            assert reply.status == 200, (reply, self.refusals())

    def ask(self, cookies: dict[str, str], replica: int, account=None):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.browser(replica).get((account or self.account).url("/who"), headers={"cookie": header})

    def renewals(self, outcome: str = "ok") -> int:
        return sum(sum(world.envoy.stats(rf"sso_renewals.*outcome\.{outcome}").values()) for world in self.worlds)

    def renewed(self, browser, times: int = 2):
        """A condition: uses the session at both Envoys at once, until it has been renewed so often."""
        cookies, goal = session_cookies(browser), self.renewals() + times

        def done() -> bool:
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                replies = list(pool.map(lambda n: self.ask(cookies, n % 2), range(4)))
            if any(reply.status != 200 for reply in replies):
                raise Never(replies, self.refusals())
            for reply in replies:
                cookies.update({cookie.name: cookie.value for cookie in reply.set})
            return self.renewals() >= goal

        return done

    def events(self) -> list[dict]:
        return [event for world in self.worlds for event in world.envoy.events()]

    def refusals(self) -> list[dict]:
        return [event for event in self.events() if event.get("code")][-2:]

    def reasons(self, code: str, replica: int) -> list[str]:
        """What an Envoy says of its refusals with this code."""
        events = self.worlds[replica].envoy.events()
        return [event["reason"] for event in events if event.get("code") == code and event.get("event") == "refusal"]
