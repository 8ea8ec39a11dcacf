"""NanoIDP, a provider of SAML and OpenID Connect with a login form that we did not write, in a virtual environment of its own."""

import json
import subprocess
import time
import urllib.parse
import urllib.request

from . import process
from .client import Client, Reply, form_of
from .net import PROJECT, WORK, eventually, free_port

PYTHON = PROJECT / ".venv-nanoidp/bin/python"


class NanoIdp:
    """It makes its own key and takes any service provider of SAML: what it says of itself is read from its metadata."""

    def __init__(self, users: dict[str, dict], clients: list[dict] = ()):
        assert PYTHON.exists(), f"{PYTHON} is missing: make .venv-nanoidp/.installed"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.entity, self.sso, self.metadata = f"{self.url}/saml", f"{self.url}/saml/sso", f"{self.url}/saml/metadata"
        self.directory = WORK / f"nanoidp-{self.port}-{time.monotonic_ns()}"
        (self.directory / "config").mkdir(parents=True)
        # YAML is a superset of JSON.
        (self.directory / "config/settings.yaml").write_text(json.dumps({
            "config_version": 1, "server": {"host": "127.0.0.1", "port": self.port}, "oauth": {"issuer": self.url, "clients": list(clients), "refresh_token_rotation": True},
            "saml": {"export_groups": True, "groups_attr_name": "groups"}}))
        (self.directory / "config/users.yaml").write_text(json.dumps({"config_version": 1, "users": users}))
        self._output = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            [PYTHON, "-m", "nanoidp", "--config", str(self.directory / "config"), "--port", str(self.port)],
            cwd=self.directory, stdout=self._output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        eventually(self._up, 60, every=0.2, what="NanoIDP")

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"NanoIDP ended: {(self.directory / 'log').read_text()[-3000:]}")
        with urllib.request.urlopen(self.metadata, timeout=5) as answer:
            return answer.status == 200

    @property
    def issuer(self) -> str:
        return self.url

    def go_on(self, browser: Client, hops: list[Reply], name: str = "ada", password: str = "lovelace") -> list[Reply]:
        """Through the form of its authorization endpoint."""
        fields = dict(form_of(hops[-1]).fields) if hops[-1].status == 200 and hops[-1].url.startswith(self.url) else {}
        if "password" not in fields:
            return hops
        where = urllib.parse.urljoin(hops[-1].url, form_of(hops[-1]).action or hops[-1].url)
        posted = browser.request("POST", where, body=fields | {"username": name, "password": password}, navigation=True)
        return hops + browser.follow(posted)

    def sign_in(self, client: Client, start: Reply, name: str, password: str) -> list[Reply]:
        """Through its form with a name and a password, as far as the browser comes."""
        hops = client.follow(start)
        page = form_of(hops[-1])
        fields = dict(page.fields)
        if "username" not in fields:
            return hops  # it knows the browser
        posted = client.request("POST", self.sso, body=fields | {"username": name, "password": password}, navigation=True)
        return hops + client.follow(posted)

    def stop(self) -> None:
        process.end(self.process, self._output)
