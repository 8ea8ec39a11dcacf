"""Dex, built from its Go module, with local passwords and a connector to another provider."""

import json
import subprocess
import time
import urllib.parse
import urllib.request

from . import process
from .client import Client, Reply, form_of
from .net import PROJECT, WORK, eventually, free_port
from .provider import OidcProvider
from .tools import leave_out

COMMAND = PROJECT / ".dex/dex"
# bcrypt of "lovelace"
HASH = "$2y$10$9OkDRHfloaFKzV.KJKpdq.JyGDrcFvw0rIXsr7Lq5V/Okvmd6wCJi"


def missing() -> str | None:
    return None if COMMAND.exists() else f"{COMMAND} is not there: make .dex/dex, which needs Go 1.21 or newer"


class Dex:
    def __init__(self, clients: list[dict]):
        if missing():
            leave_out(missing())
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}/dex"
        self.upstream = OidcProvider([{"client_id": "dex", "client_secret": "of dex", "redirect_uris": [f"{self.issuer}/callback"]}],
                                     {"grace": {"email": "grace@acme.com", "email_verified": True, "name": "Grace", "groups": ["admirals"]}})
        directory = WORK / f"dex-{self.port}-{time.monotonic_ns()}"
        directory.mkdir(parents=True)
        # YAML reads JSON.
        (directory / "config.yaml").write_text(json.dumps({
            "issuer": self.issuer, "storage": {"type": "memory"}, "web": {"http": f"127.0.0.1:{self.port}"},
            "oauth2": {"skipApprovalScreen": False, "passwordConnector": "local", "grantTypes": [
                "authorization_code", "refresh_token", "password", "urn:ietf:params:oauth:grant-type:device_code"]},
            "expiry": {"idTokens": "5m", "refreshTokens": {"reuseInterval": "0s"}},
            "staticClients": clients, "enablePasswordDB": True,
            "staticPasswords": [{"email": "ada@acme.com", "username": "ada", "name": "Ada", "userID": "1", "hash": HASH,
                                 "emailVerified": True, "groups": ["staff"]}],
            "connectors": [{"type": "oidc", "id": "upstream", "name": "Upstream", "config": {
                "issuer": f"http://127.0.0.1:{self.upstream.port}", "clientID": "dex", "clientSecret": "of dex",
                "redirectURI": f"{self.issuer}/callback", "insecureEnableGroups": True, "scopes": ["profile", "email"]}}],
        }))
        self.log = directory / "log"
        self._output = self.log.open("wb")
        self.process = subprocess.Popen([COMMAND, "serve", str(directory / "config.yaml")], cwd=directory, stdout=self._output,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        eventually(self._up, 60, every=0.1, what="Dex")

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Dex ended: {self.log.read_text()[-3000:]}")
        return "jwks_uri" in self.discovery() and self.asked("/keys")["keys"]

    def asked(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.issuer}{path}", timeout=10) as answer:
            return json.load(answer)

    def discovery(self) -> dict:
        return self.asked("/.well-known/openid-configuration")

    def go_on(self, browser: Client, hops: list[Reply], *, connector: str = "local", login: str = "ada@acme.com",
              password: str = "lovelace", approval: str = "approve") -> list[Reply]:
        """Through the choice of a connector, the password and the approval."""
        for _ in range(8):
            page = hops[-1]
            fields = dict(form_of(page).fields) if page.status == 200 else {}
            if page.url.startswith(f"{self.issuer}/auth?") or page.url.startswith(f"{self.issuer}/auth/?"):
                hops = hops + browser.follow(browser.browse(page.url.replace("/auth?", f"/auth/{connector}?", 1)))
            elif "password" in fields and page.url.startswith(self.issuer):
                if any("Invalid" in hop.text for hop in hops if hop.status in (200, 401)):
                    return hops
                hops = hops + browser.follow(self._post(browser, page, login=login, password=password))
            elif "approval" in fields:
                hops = hops + browser.follow(self._post(browser, page, req=fields["req"], approval=approval))
            elif "/interaction/" in page.url:
                sent = fields | ({"login": login, "password": "any"} if "login" in fields else {})
                where = urllib.parse.urljoin(page.url, form_of(page).action)
                hops = hops + browser.follow(browser.request("POST", where, body=sent, navigation=True))
            else:
                return hops
        return hops

    @staticmethod
    def _post(browser: Client, page: Reply, **fields) -> Reply:
        where = urllib.parse.urljoin(page.url, form_of(page).action or page.url)
        return browser.request("POST", where, body=fields, navigation=True)

    def stop(self) -> None:
        process.end(self.process, self._output)
        self.upstream.stop()
