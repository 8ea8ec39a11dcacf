"""Starts oidc_provider.mjs, the certified provider with a real login form."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

from . import client as client_module
from . import jose, process
from .net import PROJECT, WORK, eventually, free_port

HERE = PROJECT / "tests" / "e2e"


def private_jwk(key: jose.Key, alg: str) -> dict:
    """A private JSON Web Key for the provider."""
    jwk = key.jwk(alg=alg)
    if jwk["kty"] == "RSA":
        numbers = key.private.private_numbers()
        for name, value in {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1,
                            "qi": numbers.iqmp}.items():
            jwk[name] = jose._number(value)
    elif jwk["kty"] == "OKP":
        jwk["d"] = jose.b64u(key.private.private_bytes_raw())
    else:
        size = (key.private.key_size + 7) // 8
        jwk["d"] = jose._number(key.private.private_numbers().private_value, size)
    return jwk


class OidcProvider:
    def __init__(self, clients: list[dict], accounts: dict[str, dict] | None = None, **settings):
        assert shutil.which("node"), "node is not on the PATH: it runs the certified provider"
        assert (HERE / "node_modules/oidc-provider").exists(), "tests/e2e/node_modules is missing: make test installs it"
        self.port = free_port()
        self.local = f"http://127.0.0.1:{self.port}"
        self.issuer = settings.get("issuer", self.local)
        keys = [(jose.new_key("RSA", "rs"), "RS256"), (jose.new_key("RSA", "ps"), "PS256"),
                (jose.new_key("P-256", "es"), "ES256"), (jose.new_key("Ed25519", "ed"), "EdDSA")]
        everything = {"port": self.port, "clients": clients, "accounts": accounts or {},
                      "jwks": {"keys": [private_jwk(key, alg) for key, alg in keys]}} | settings
        directory = WORK / f"provider-{self.port}-{time.monotonic_ns()}"
        directory.mkdir(parents=True)
        self.log = directory / "log"
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(["node", str(HERE / "oidc_provider.mjs"), json.dumps(everything)],
                                        stdout=self._output, stderr=subprocess.STDOUT, cwd=HERE)
        eventually(self._up, 60, what="oidc-provider")

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"oidc-provider ended: {self.log.read_text()}")
        with urllib.request.urlopen(f"{self.local}/.well-known/openid-configuration", timeout=5) as answer:
            return answer.status == 200

    def test(self, what: str) -> dict:
        """`hold` and `release` the token endpoint, `short` and `long` for the life of codes, or `seen`: refreshes by outcome, and token
        requests that are held."""
        with urllib.request.urlopen(f"{self.local}/test/{what}", timeout=30) as answer:
            return json.loads(answer.read())

    def login(self, client, url: str, login: str) -> list:
        """Walks the login and consent forms; every answer of the way."""
        hops = client.follow(client.browse(url))
        for _ in range(6):
            last = hops[-1]
            if not last.url.startswith(self.issuer) or b"<form" not in last.body:
                return hops
            form = client_module.form_of(last)
            fields = dict(form.fields) | ({"login": login, "password": "any"} if "login" in dict(form.fields) else {})
            action = urllib.parse.urljoin(last.url, form.action)
            hops += client.follow(client.request("POST", action, body=fields, navigation=True))
        return hops

    def stop(self) -> None:
        process.end(self.process, self._output)
