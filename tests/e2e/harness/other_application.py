"""Another application beside ours at the same provider: an OpenID Connect client that Authlib makes, with its back channel."""

import secrets
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt

from .net import free_port

SECRET = "the secret of their client"


class OtherApplication:
    """A relying party with a session cookie of its own, which Keycloak signs out over the back channel."""

    def __init__(self):
        self.port = free_port()
        self.origin = f"http://theirs.localhost:{self.port}"
        self.secret = SECRET
        self.metadata: dict = {}
        self.states: dict[str, tuple[OAuth2Session, str]] = {}  # with the PKCE verifier
        self.sessions: dict[str, str] = {}  # its own cookie, by Keycloak's sid
        self.signed_out: list[str] = []
        self.access_token = ""  # of the last login
        self.asks: dict[str, str] = {}  # further parameters of the authorization request
        application = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                application.get(self)

            def do_POST(self):
                application.back_channel(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def use(self, discovery: str) -> None:
        """The provider it signs users in with."""
        self.metadata = requests.get(discovery, timeout=60).json()

    @property
    def client(self) -> dict:
        return {"clientId": "theirs", "secret": SECRET, "enabled": True, "redirectUris": [f"{self.origin}/callback"],
                "attributes": {"backchannel.logout.url": f"http://127.0.0.1:{self.port}/back", "backchannel.logout.session.required": "true",
                               "post.logout.redirect.uris": f"{self.origin}/bye"}}

    def verified(self, token: str, **options) -> dict:
        keys = JsonWebKey.import_key_set(requests.get(self.metadata["jwks_uri"], timeout=60).json())
        claims = jwt.decode(token, keys, claims_options={"iss": {"value": self.metadata["issuer"]}, "aud": {"value": "theirs"}} | options)
        claims.validate()
        return claims

    def get(self, request) -> None:
        where = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(where.query))
        cookie = (request.headers.get("cookie") or "").partition("theirs=")[2].partition(";")[0]
        if where.path == "/callback":
            session, verifier = self.states.pop(query["state"])
            tokens = session.fetch_token(self.metadata["token_endpoint"], authorization_response=f"{self.origin}{request.path}",
                                         code_verifier=verifier)
            claims = self.verified(tokens["id_token"])
            self.sessions[claims["sid"]] = claims.get("preferred_username") or claims["sub"]
            self.access_token = tokens["access_token"]
            return self.answer(request, 302, {"location": "/", "set-cookie": f"theirs={claims['sid']}|{tokens['id_token']}; Path=/; HttpOnly"})
        if where.path == "/logout":
            sid, _, token = cookie.partition("|")
            self.sessions.pop(sid, None)
            out = {"id_token_hint": token, "post_logout_redirect_uri": f"{self.origin}/bye", "state": "theirs"}
            return self.answer(request, 302, {"location": f"{self.metadata['end_session_endpoint']}?{urllib.parse.urlencode(out)}"})
        if where.path == "/bye":
            return self.answer(request, 200, {}, "goodbye")
        user = self.sessions.get(cookie.partition("|")[0])
        if user:
            return self.answer(request, 200, {}, f"hello {user}")
        session = OAuth2Session("theirs", SECRET, redirect_uri=f"{self.origin}/callback", scope="openid", code_challenge_method="S256")
        verifier = secrets.token_urlsafe(48)
        address, state = session.create_authorization_url(self.metadata["authorization_endpoint"], code_verifier=verifier, **self.asks)
        self.states[state] = session, verifier
        return self.answer(request, 302, {"location": address})

    def back_channel(self, request) -> None:
        body = request.rfile.read(int(request.headers["content-length"])).decode()
        claims = self.verified(dict(urllib.parse.parse_qsl(body))["logout_token"])
        assert "http://schemas.openid.net/event/backchannel-logout" in claims["events"]
        self.sessions.pop(claims["sid"], None)
        self.signed_out.append(claims["sid"])
        self.answer(request, 200, {})

    @staticmethod
    def answer(request, status: int, headers: dict, text: str = "") -> None:
        request.send_response(status)
        for name, value in {"content-type": "text/html", "content-length": str(len(text)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(text.encode())

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
