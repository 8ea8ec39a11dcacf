"""Two Envoys that share an etcd, before one application and one provider with users in browsers."""

import urllib.parse

from .client import Client
from .etcd import Etcd
from .expect import session_cookies

SECRET = "the secret of the client"


class Browser(Client):
    """It finds every server of 127.0.0.1 by the port of the URL."""

    def request(self, method: str, url: str, **options):
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
        self.provider = None

    def start(self, provider, clusters: dict[str, int] | None = None, **changes) -> "Pair":
        """`clusters` are further ports of the provider's host, by name."""
        self.provider = provider
        clusters = {"provider": provider.port} | (clusters or {})
        self.account.config |= changes
        for world in self.worlds:
            world.clusters |= clusters
            world.cluster_table = {f"127.0.0.1:{port}": name for name, port in clusters.items()}
            world.engines, world.shared = {"etcd": self.etcd.ports}, {"engine": "etcd", "cluster": "etcd"}
            world.start()
        return self

    def stop(self) -> None:
        self.etcd.stop()

    def oidc(self, issuer: str, **more) -> list[dict]:
        return [{"id": "corp", "oidc": {"discovery": f"{issuer}/.well-known/openid-configuration", "client_id": "acme",
                                        "client_secret": {"env": "OIDC_SECRET"}} | more}]

    def browser(self, replica: int = 0) -> Browser:
        return Browser({"acme.localhost": self.worlds[replica].port})

    def sign_in(self, browser: Client | None = None, path: str = "/reports?q=1", **user):
        """A browser with a session, and what the application saw of it."""
        browser = browser or self.browser()
        hops = self.provider.go_on(browser, browser.login(self.account.url(path)), **user)
        assert hops[-1].status == 200 and hops[-1].url == self.account.url(path), (hops, self.refusals())
        return browser, hops[-1].seen()

    def ask(self, cookies: dict[str, str], replica: int):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return self.browser(replica).get(self.account.url("/who"), headers={"cookie": header})

    def renewals(self, outcome: str = "ok") -> int:
        return sum(sum(world.envoy.stats(rf"sso_renewals.*outcome\.{outcome}").values()) for world in self.worlds)

    def renewed(self, browser, times: int = 2):
        """A condition: uses the session at both Envoys, until it has been renewed so often."""
        cookies, goal = session_cookies(browser), self.renewals() + times

        def done() -> bool:
            for replica in (0, 1):
                reply = self.ask(cookies, replica)
                assert reply.status == 200, (reply, self.refusals())
                cookies.update({cookie.name: cookie.value for cookie in reply.set})
            return self.renewals() >= goal

        return done

    def refusals(self) -> list[dict]:
        return [event for world in self.worlds for event in world.envoy.events() if event.get("code")][-2:]
