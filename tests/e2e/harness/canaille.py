"""Canaille, an identity provider with a SCIM server that we did not write, in a virtual environment of its own."""

import base64
import json
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from . import jose, process
from .client import form_of
from .net import PROJECT, WORK, eventually, free_port
from .provider import private_jwk

COMMAND = PROJECT / ".venv-canaille/bin/canaille"


class Canaille:
    """`users` as SCIM has them, `clients` as options of `canaille create client`."""

    def __init__(self, users: list[dict], clients: list[dict] = ()):
        assert COMMAND.exists(), f"{COMMAND} is missing: make .venv-canaille/.installed"
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}/scim/v2"
        self.directory = WORK / f"canaille-{self.port}-{time.monotonic_ns()}"
        self.directory.mkdir(parents=True)
        self.secret = secrets.token_hex(16)
        keys = [private_jwk(jose.new_key("RSA", "rsa"), "RS256"), private_jwk(jose.new_key("P-256", "ec"), "ES256")]
        jwks = ", ".join("{%s}" % ", ".join(f"{name} = {json.dumps(value)}" for name, value in key.items()) for key in keys)
        (self.directory / "config.toml").write_text(f"""
SECRET_KEY = "{secrets.token_hex(16)}"
SERVER_NAME = "{self.host}"
PREFERRED_URL_SCHEME = "http"
SESSION_COOKIE_SECURE = false
[CANAILLE]
DATABASE = "sql"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{self.directory}/canaille.db"
[CANAILLE_OIDC]
ACTIVE_JWKS = [{jwks}]
[CANAILLE_SCIM]
ENABLE_SERVER = true
""")
        self._run("install")
        self._run("create", "client", "--client-id", "gw", "--client-secret", self.secret, "--client-name", "gateway",
                  "--client-uri", "http://app.test", "--redirect-uris", "http://app.test/callback", "--grant-types",
                  "client_credentials", "--response-types", "code", "--scope", "openid",
                  "--token-endpoint-auth-method", "client_secret_basic")
        self._run("set", "client", "gw", "--audience", "gw")
        for client in clients:
            options = [(f"--{name.replace('_', '-')}", one) for name, value in client.items()
                       for one in ([value] if isinstance(value, str) else value)]
            self._run("create", "client", *(word for option in options for word in option))
            self._run("set", "client", client["client_id"], "--audience", client["client_id"])
        self._output = (self.directory / "log").open("wb")
        self.process = subprocess.Popen([COMMAND, "run", "--bind", self.host], env=self._environment, cwd=self.directory,
                                        stdout=self._output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        eventually(self._up, 90, every=0.2, what="Canaille")
        basic = base64.b64encode(f"gw:{self.secret}".encode()).decode()
        asks = urllib.request.Request(f"http://{self.host}/oauth/token", b"grant_type=client_credentials",
                                      {"authorization": f"Basic {basic}"})
        with urllib.request.urlopen(asks, timeout=30) as answer:
            self.token = json.load(answer)["access_token"]
        for user in users:
            status, said = self.ask("POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]} | user)
            assert status == 201, said

    @property
    def _environment(self):
        return os.environ | {"CANAILLE_CONFIG": str(self.directory / "config.toml"), "PYTHONWARNINGS": "ignore"}

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([COMMAND, *arguments], env=self._environment, cwd=self.directory, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, f"canaille {arguments}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Canaille ended: {(self.directory / 'log').read_text()[-3000:]}")
        with urllib.request.urlopen(f"http://{self.host}/.well-known/openid-configuration", timeout=5) as answer:
            return answer.status == 200

    @property
    def issuer(self) -> str:
        return f"http://{self.host}"

    def go_on(self, browser, hops, login: str = "ada", password: str = "lovelace", consent: str = "accept"):
        """Through its forms for the name, the password and the consent."""
        for _ in range(4):
            page = hops[-1]
            fields = dict(form_of(page).fields) if page.status == 200 and page.url.startswith(self.issuer) else {}
            if "password" in fields:
                fields |= {"password": password}
            elif "login" in fields:
                fields |= {"login": login}
            elif 'value="deny"' in page.text:
                fields |= {"answer": consent}
            else:
                break
            hops = hops + browser.follow(self.submit(browser, page, fields))
            if "Login failed" in hops[-1].text:
                break
        return hops

    @staticmethod
    def submit(browser, page, fields: dict):
        where = urllib.parse.urljoin(page.url, form_of(page).action or page.url)
        return browser.request("POST", where, body=fields, navigation=True)

    def ask(self, method: str, path: str, document=None):
        """Asks it directly, past the filter."""
        request = urllib.request.Request(f"{self.url}{path}", method=method, data=document and json.dumps(document).encode(),
                                         headers={"authorization": f"Bearer {self.token}", "content-type": "application/scim+json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def users(self) -> dict[str, dict]:
        return {one["userName"]: one for one in self.ask("GET", "/Users")[1]["Resources"]}

    def stop(self) -> None:
        process.end(self.process, self._output)
