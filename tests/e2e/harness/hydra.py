"""Ory Hydra, built from its Go module, with the small login and consent application that it leaves to others."""

import html
import json
import os
import secrets
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import process
from .client import Client, Reply, form_of
from .net import PROJECT, WORK, eventually, free_port
from .tools import leave_out

COMMAND = PROJECT / ".hydra/hydra"
PEOPLE = {"ada": {"email": "ada@acme.com", "email_verified": True, "name": "Ada", "groups": ["staff"]},
          "bob": {"email": "bob@acme.com", "email_verified": True, "name": "Bob", "groups": []}}


def missing() -> str | None:
    return None if COMMAND.exists() else f"{COMMAND} is not there: make .hydra/hydra, which needs Go 1.21 or newer and a C compiler"


class Hydra:
    def __init__(self):
        if missing():
            leave_out(missing())
        self.port, self.admin = free_port(), free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.discovery = f"{self.issuer}/.well-known/openid-configuration"
        self.pages = Pages(self)
        self.directory = WORK / f"hydra-{self.port}-{time.monotonic_ns()}"
        self.directory.mkdir(parents=True)
        own = f"http://127.0.0.1:{self.pages.port}"
        self._output = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            [COMMAND, "serve", "all", "--dev"], cwd=self.directory, stdout=self._output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=os.environ | {
                "DSN": "memory", "SECRETS_SYSTEM": secrets.token_hex(16), "SQA_OPT_OUT": "true", "LOG_LEVEL": "warn",
                "SERVE_PUBLIC_HOST": "127.0.0.1", "SERVE_PUBLIC_PORT": str(self.port),
                "SERVE_ADMIN_HOST": "127.0.0.1", "SERVE_ADMIN_PORT": str(self.admin),
                "URLS_SELF_ISSUER": self.issuer, "URLS_LOGIN": f"{own}/login", "URLS_CONSENT": f"{own}/consent",
                "URLS_LOGOUT": f"{own}/logout", "URLS_POST_LOGOUT_REDIRECT": f"{own}/bye"})
        eventually(self._up, 180, every=0.2, what="Hydra")

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"Hydra ended: {(self.directory / 'log').read_text()[-3000:]}")
        # It makes its keys at the first request for them.
        with urllib.request.urlopen(f"{self.issuer}/.well-known/jwks.json", timeout=60) as answer:
            return len(json.load(answer)["keys"]) >= 2

    def ask(self, method: str, path: str, document=None):
        """Its administrators' interface."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin}/admin{path}", method=method,
                                         data=None if document is None else json.dumps(document).encode(),
                                         headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def add(self, client: dict) -> None:
        self.ask("POST", "/clients", {
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "scope": "openid email profile offline_access",
            "token_endpoint_auth_method": "client_secret_basic"} | client)

    def go_on(self, browser: Client, hops: list[Reply], *, login: str = "ada", password: str = "right", consent: str = "yes") -> list[Reply]:
        """Through the login form."""
        page = hops[-1]
        if page.status == 200 and page.url.startswith(f"http://127.0.0.1:{self.pages.port}/login"):
            fields = dict(form_of(page).fields) | {"login": login, "password": password, "consent": consent}
            where = urllib.parse.urljoin(page.url, form_of(page).action)
            hops = hops + browser.follow(browser.request("POST", where, body=fields, navigation=True), limit=20)
        return hops

    def stop(self) -> None:
        self.pages.stop()
        process.end(self.process, self._output)


class Pages:
    """Login, consent and logout of a Hydra."""

    def __init__(self, hydra: Hydra):
        self.port = free_port()
        self.hydra = hydra
        self.unwilling: set[str] = set()  # who does not consent
        pages = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                self.reply(*pages.get(parts.path, dict(urllib.parse.parse_qsl(parts.query))))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self.reply(*pages.post(dict(urllib.parse.parse_qsl(body))))

            def reply(self, location: str | None, text: str = ""):
                self.send_response(302 if location else 200)
                if location:
                    self.send_header("location", location)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def decide(self, what: str, challenge: str, decision: str, document: dict) -> str:
        at = f"/oauth2/auth/requests/{what}/{decision}?{what}_challenge={urllib.parse.quote(challenge)}"
        return self.hydra.ask("PUT", at, document)["redirect_to"]

    def get(self, path: str, query: dict):
        what = path.removeprefix("/")
        if what == "bye":
            return None, "goodbye"
        challenge = query[f"{what}_challenge"]
        asked = self.hydra.ask("GET", f"/oauth2/auth/requests/{what}?{what}_challenge={urllib.parse.quote(challenge)}")
        if what == "logout":
            return (self.decide(what, challenge, "accept", {}),)
        if what == "consent":
            if asked["subject"] in self.unwilling:
                refusal = {"error": "access_denied", "error_description": "The user does not consent"}
                return (self.decide(what, challenge, "reject", refusal),)
            return (self.decide(what, challenge, "accept", {
                "grant_scope": asked["requested_scope"], "grant_access_token_audience": asked["requested_access_token_audience"],
                "session": {"id_token": PEOPLE[asked["subject"]]}}),)
        if asked["skip"]:
            return (self.decide(what, challenge, "accept", {"subject": asked["subject"]}),)
        return None, self.form(challenge)

    @staticmethod
    def form(challenge: str, words: str = "") -> str:
        return (f'<!doctype html><title>Login</title><p>{words}</p><form method="post" action="/login"><input name="challenge" '
                f'value="{html.escape(challenge)}"><input name="login"><input name="password"></form>')

    def post(self, fields: dict):
        if fields["password"] != "right":
            return None, self.form(fields["challenge"], "Wrong password")
        (self.unwilling.discard if fields["consent"] == "yes" else self.unwilling.add)(fields["login"])
        return (self.decide("login", fields["challenge"], "accept", {
            "subject": fields["login"], "remember": True, "remember_for": 3600, "acr": "password", "amr": ["pwd"]}),)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
