"""Accounts that sign users in with a realm of Keycloak, and the browsers of these users."""

from . import keycloak
from .client import Client
from .expect import session_cookies
from .keycloak import Browser, Realm, oidc_client

SECRET = "the secret of the client"
ROLES = {"roles_claim": ["/realm_access/roles", "/resource_access/reports/roles", "groups"],
         "role_map": {"app-admin": "account_admin", "publish": "publisher", "view": "viewer", "reader": "reader",
                      "/staff/platform/admins": "platform"}}


class Setting:
    """`codes` has an account's changes by its code; `clients` those of the client that it is at Keycloak."""

    def __init__(self, world, realm: str, codes: dict[str, dict], clients: dict[str, dict] | None = None,
                 more: list[dict] = (), **changes):
        self.world = world
        own = f"http://127.0.0.1:{world.port}"
        issuer = f"{keycloak.url()}/realms/{realm}"
        for code, settings in codes.items():
            account = world.account(code)
            account.origin = f"http://{code}.localhost:{world.port}"
            oidc = {"discovery": f"{issuer}/.well-known/openid-configuration", "client_id": code,
                    "client_secret": {"env": "OIDC_SECRET"}} | settings.get("oidc", {})
            account.config |= {"origins": [account.origin, own], "mapping": ROLES,
                               "identity_providers": [{"id": "corp", "oidc": oidc}]}
            account.config |= {name: value for name, value in settings.items() if name != "oidc"}
        self.realm = Realm(realm, [oidc_client(account, SECRET, **(clients or {}).get(code, {}))
                                   for code, account in world.accounts.items()] + list(more), **changes)
        world.clusters["keycloak"] = self.realm.port
        world.cluster_table = {f"127.0.0.1:{self.realm.port}": "keycloak"}
        self.hosts = {"127.0.0.1": self.realm.port}

    def account(self, code: str = "acme"):
        return self.world.accounts[code]

    def browser(self, world=None) -> Browser:
        port = (world or self.world).port
        return Browser({f"{code}.localhost": port for code in self.world.accounts} | self.hosts)

    def sign_in(self, code: str = "acme", browser: Client | None = None, path: str = "/reports?q=1", **user):
        """A browser with a session, and what the application saw of it."""
        account, browser = self.account(code), browser or self.browser()
        hops = self.realm.sign_in(browser, browser.browse(account.url(path)), **user)
        assert hops[-1].status == 200 and hops[-1].url == account.url(path), (hops, self.refusals())
        assert session_cookies(browser)
        return browser, hops[-1].seen()

    def refusals(self) -> list[dict]:
        """The last ones of the log, for messages of failed tests."""
        return [event for event in self.world.envoy.events() if event.get("code")][-2:]

    def renewals(self, outcome: str = "ok") -> int:
        return sum(self.world.envoy.stats(rf"sso_renewals.*outcome\.{outcome}").values())
