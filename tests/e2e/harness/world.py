"""Everything one test module needs: an application, identity providers and an Envoy with the filter.

Accounts stand for isolated worlds within one Envoy: each has an origin and a provider of its own, so that
what one test does to its provider's keys or discovery is nothing to the next.
"""

import base64
import copy
import os
import secrets

from .app import App
from .client import Client, Reply
from .envoy import WASM, Envoy, wasm_filter
from .expect import session_cookies
from .idp import IdpServer
from .net import free_port
from .scim import TOKEN, Directory, ScimServer

SESSION_KEY = base64.b64encode(secrets.token_bytes(32)).decode()
OTHER_KEY = base64.b64encode(secrets.token_bytes(32)).decode()
ENVIRONMENT = {"SSO_SESSION_KEY": SESSION_KEY, "SSO_SESSION_KEY_2": OTHER_KEY, "OIDC_SECRET": "the secret of the client",
               "SCIM_TOKEN": TOKEN}


def merge(base, changes):
    """Dicts merged member by member; None removes; everything else is replaced."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return copy.deepcopy(changes)
    merged = copy.deepcopy(base)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


class Account:
    """One account with its own origin and provider."""

    def __init__(self, world: "World", code: str, changes: dict, oidc: dict):
        self.world = world
        self.code = code
        self.origin = f"https://{code}.app.test"
        self.idp = world.idps.issuer(f"{code}.idp.test")
        provider = merge({"discovery": f"{self.idp.issuer}/.well-known/openid-configuration", "client_id": "lakehouse",
                          "client_secret": {"env": "OIDC_SECRET"}, "timeout": "2s"}, oidc)
        self.config = merge({
            "code": code,
            "origins": [self.origin],
            "sso": "enabled",
            "identity_providers": [{"id": "corp", "title": "Acme staff", "oidc": provider}],
            "mapping": {"roles_claim": "groups", "role_map": {"lakehouse-admins": "account_admin"}},
            "access": [
                {"path": "/healthz", "allow": "anyone"},
                {"prefix": "/static/", "allow": "anyone"},
                {"prefix": "/api/sql/", "allow": "programs"},
                {"prefix": "/admin/", "allow": "users", "roles": ["account_admin"]},
                {"prefix": "/owners/", "allow": "users", "roles": ["owner"]},
            ],
        }, changes)

    def url(self, path: str = "/") -> str:
        return self.origin + path

    def client(self) -> Client:
        return self.world.client()

    def signed_in(self, path: str = "/reports?q=1") -> Client:
        """A client with a session."""
        client = self.client()
        hops = client.login(self.url(path))
        assert hops[-1].status == 200 and hops[-1].code is None, hops
        assert session_cookies(client), "the application answered, but nobody signed in"
        return client

    def callback(self, client: Client, path: str = "/reports?q=1") -> tuple[Reply, list[Reply]]:
        """Walks a login; the answer of the callback, and all answers."""
        hops = client.login(self.url(path))
        answers = [hop for hop in hops if "/sso/oidc/consume" in hop.url]
        assert answers, f"the browser never came to the callback: {hops}"
        return answers[0], hops


class World:
    def __init__(self, name: str, *, session: dict | None = None, cookies: dict | None = None, **envoy):
        self.name = name
        self.app = App()
        self.idps = IdpServer()
        self.scim: ScimServer | None = None
        self.envoy_options = envoy
        self.environment = dict(ENVIRONMENT)
        self.clusters = {"app": self.app.port, "idp": self.idps.port, "dead": free_port()}
        self.accounts: dict[str, Account] = {}
        self.session = {"keys": [{"id": "k1", "env": "SSO_SESSION_KEY"}]} | (session or {})
        self.cookies = cookies or {}
        self.pages = {}
        self.cluster_table = {"*": "idp"}
        self.shared: dict | None = None  # the engine that several Envoys share
        self.engines: dict[str, list[int]] = {}  # its cluster and the ports of its members
        self.filter_options = {}
        self.port = free_port()
        self.envoy: Envoy | None = None

    def account(self, code: str, changes: dict | None = None, **oidc) -> Account:
        account = Account(self, code, changes or {}, oidc)
        self.accounts[code] = account
        return account

    def directory(self, code: str, **scim) -> Directory:
        """A SCIM directory, and the account's configuration to ask it."""
        if self.scim is None:
            self.scim = ScimServer()
            self.clusters["scim"] = self.scim.port
        directory = self.scim.directory(f"{code}.scim.test")
        self.cluster_table[directory.host] = "scim"
        self.accounts[code].config["directory"] = {
            "scim": {"url": directory.url, "token": {"env": "SCIM_TOKEN"}, "timeout": "2s", "cache": "0s"} | scim}
        return directory

    def config(self) -> dict:
        shared = {"shared": self.shared} if self.shared else {}
        return {"session": self.session, "cookies": self.cookies, "clusters": self.cluster_table, **shared,
                "pages": self.pages, "accounts": [account.config for account in self.accounts.values()]}

    def filters(self, config=None) -> list[dict]:
        if os.environ.get("ENVOY_SSO_E2E_WITHOUT_FILTER"):
            return []  # to try the harness itself
        return [wasm_filter(self.config() if config is None else config, self.environment, **self.filter_options)]

    def start(self, config=None, ready: bool = True) -> "World":
        assert WASM.exists() or not self.filters(), f"{WASM} is not there: make wasm"
        self.envoy = Envoy(self.name, self.filters(config), self.clusters, port=self.port, engines=self.engines,
                           **self.envoy_options)
        self.envoy.start(ready)
        return self

    def update(self, config=None) -> bool:
        """Gives the running Envoy this configuration."""
        return self.envoy.update(self.filters(config))

    def client(self) -> Client:
        return Client({".app.test": self.port, ".idp.test": self.idps.port}, self.port)

    def stop(self) -> None:
        if self.envoy:
            self.envoy.stop()
        self.idps.stop()
        if self.scim:
            self.scim.stop()
        self.app.stop()
