"""A scriptable OpenID provider: one server, any number of issuers told apart by their host.

Its authorization endpoint asks nobody and redirects at once. It is strict where a provider is (codes are
used once, PKCE and redirect_uri are compared, the client authenticates) and every part of every answer
can be replaced:

    idp.change("claims", aud="somebody-else", nonce=DROP)
    idp.fault("token", status=500, body=b"<html>")
"""

import base64
import collections
import hashlib
import json
import secrets
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from . import jose
from .serving import serve

DROP = object()
PATHS = {
    "/.well-known/openid-configuration": "discovery",
    "/authorize": "authorize",
    "/token": "token",
    "/userinfo": "userinfo",
    "/user/emails": "emails",
    "/jwks": "jwks",
    "/logout": "end_session",
    "/v2/logout": "logout_url",
    "/saml/metadata": "metadata",
    "/introspect": "introspection",
    "/groups": "groups",
    "/mtls/token": "mtls_token",
}


@dataclass
class Fault:
    """An answer in the place of the right one."""

    status: int = 200
    body: bytes | None = None
    headers: dict = field(default_factory=dict)
    delay: float = 0
    drop: bool = False  # close the connection without a byte
    truncate: bool = False  # promise more bytes than come
    times: int = -1  # how often; -1: until it is cleared


@dataclass
class Asked:
    """A request that the provider received."""

    endpoint: str
    method: str
    query: dict
    headers: dict
    body: bytes

    @property
    def form(self) -> dict:
        return dict(urllib.parse.parse_qsl(self.body.decode("latin-1"), keep_blank_values=True))


class Issuer:
    """One provider, named by its host."""

    def __init__(self, host: str, keys: dict[str, jose.Key]):
        self.host = host
        self.issuer = f"https://{host}"
        self.keys = keys
        self.asked: list[Asked] = []
        self.codes: dict[str, dict] = {}
        self.refresh_tokens: dict[str, dict] = {}
        self.access_tokens: dict[str, dict] = {}
        self.clients = {"lakehouse": "the secret of the client"}
        self.reset()

    def reset(self):
        """As a well-behaved provider with one RSA key."""
        self.person = {"sub": "248289761001", "email": "ada@acme.com", "email_verified": True, "name": "Ada Lovelace",
                       "groups": ["lakehouse-admins", "everyone"]}
        self.people: dict[str, dict] = {}  # by login_hint, where several sign in at once; else it is `person`
        self.changes: dict[str, dict] = collections.defaultdict(dict)
        self.faults: dict[str, Fault] = {}
        self.signing = self.keys["rsa-1"]
        self.published = [self.signing.jwk()]
        self.alg = None  # of ID tokens; None: the key's own
        self.sign_with = None  # a key or bytes other than the published one
        self.header_kid = True
        self.tamper = None  # ID token -> ID token
        self.userinfo_jwt = None  # claims -> bytes, for signed UserInfo
        self.opaque: dict[str, dict] = {}  # token -> what introspection says of it beside `active`
        self.addresses: list[dict] = []  # as GitHub lists them: {email, primary, verified}
        self.pages: list[dict] = []  # of the list of groups; each may name the next by `next`
        self.deny = None  # an authorization error in the place of a code
        self.raw_callback = None  # query of the callback as it is

    def change(self, part: str, **values):
        """Replaces members of claims, header, token, userinfo, discovery or callback; DROP removes one."""
        self.changes[part] |= values
        return self

    def fault(self, endpoint: str, **values):
        self.faults[endpoint] = Fault(**values)
        return self

    def count(self, endpoint: str) -> int:
        return sum(1 for asked in self.asked if asked.endpoint == endpoint)

    def last(self, endpoint: str) -> Asked:
        return [asked for asked in self.asked if asked.endpoint == endpoint][-1]

    def _changed(self, part: str, document: dict) -> dict:
        merged = document | self.changes[part]
        return {name: value for name, value in merged.items() if value is not DROP}

    def discovery(self) -> dict:
        return self._changed("discovery", {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                                                      "ES384", "ES512", "EdDSA", "HS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt",
                                                      "none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
        })

    def id_token(self, grant: dict, access_token: str) -> str:
        alg = self.alg or self.signing.default_alg
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": grant["client_id"], "iat": now, "exp": now + 300, "auth_time": grant.get("auth_time", now),
                  "sid": grant.get("sid", "sid-1")} | (grant.get("person") or self.person)
        if grant.get("nonce") is not None:
            claims["nonce"] = grant["nonce"]
        if alg[2:] in ("256", "384", "512") or alg == "EdDSA":
            claims["at_hash"] = jose.left_hash(alg, access_token)
        header = {"alg": alg, "typ": "JWT"}
        if self.header_kid:
            header["kid"] = self.signing.kid
        claims = self._changed("claims", claims)
        header = self._changed("header", header)
        token = jose.encode(header, self.changes["claims"].get("", claims), header.get("alg", alg) if
                            header.get("alg") in ("none",) else alg, self.sign_with or self.signing)
        return self.tamper(token) if self.tamper else token

    # Each endpoint: Asked -> (status, headers, body).

    def authorize(self, asked: Asked):
        asks = asked.query
        code = secrets.token_urlsafe(24)
        self.codes[code] = asks | {"sid": secrets.token_hex(8), "auth_time": int(time.time()), "person": self.people.get(asks.get("login_hint"))}
        answer = {"code": code, "state": asks.get("state", "")}
        if self.deny:
            answer = {"error": self.deny, "error_description": "no entry", "state": asks.get("state", "")}
        if self.discovery().get("authorization_response_iss_parameter_supported"):
            answer["iss"] = self.issuer
        answer = self._changed("callback", answer)
        target = urllib.parse.urlsplit(asks["redirect_uri"])
        if asks.get("response_mode") == "form_post":
            import html
            inputs = "".join(f'<input type="hidden" name="{html.escape(k)}" value="{html.escape(v)}">'
                             for k, v in answer.items())
            page = f'<form method="post" action="{html.escape(asks["redirect_uri"])}">{inputs}</form>'
            return 200, {"content-type": "text/html"}, page.encode()
        query = self.raw_callback(answer) if self.raw_callback else urllib.parse.urlencode(answer)
        joined = f"{target.query}&{query}" if target.query else query
        return 302, {"location": urllib.parse.urlunsplit(target._replace(query=joined))}, b""

    def client_of(self, asked: Asked) -> str | None:
        """Who authenticated, by whatever method; None: nobody."""
        form = asked.form
        authorization = asked.headers.get("authorization", "")
        if authorization.startswith("Basic "):
            try:
                name, secret = base64.b64decode(authorization[6:]).decode().split(":", 1)
            except ValueError:
                return None
            name, secret = urllib.parse.unquote_plus(name), urllib.parse.unquote_plus(secret)
            return name if self.clients.get(name) == secret and "client_secret" not in form else None
        if form.get("client_assertion"):
            claims = jose.claims_of(form["client_assertion"])
            return claims.get("sub")
        name = form.get("client_id")
        if asked.endpoint == "mtls_token":
            return name if name in self.clients and "client_secret" not in form else None
        if name in self.clients and self.clients[name] == form.get("client_secret"):
            return name
        return None

    def token(self, asked: Asked):
        client = self.client_of(asked)
        if client is None:
            return self.json({"error": "invalid_client"}, 401)
        form = asked.form
        if form.get("grant_type") == "refresh_token":
            grant = self.refresh_tokens.pop(form.get("refresh_token", ""), None)
        elif form.get("grant_type") == "authorization_code":
            grant = self.codes.pop(form.get("code", ""), None)
            if grant is not None:
                made = jose.b64u(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
                if grant.get("redirect_uri") != form.get("redirect_uri") or made != grant.get("code_challenge"):
                    grant = None
        else:
            return self.json({"error": "unsupported_grant_type"}, 400)
        if grant is None or grant["client_id"] != client:
            return self.json({"error": "invalid_grant"}, 400)
        access_token = secrets.token_urlsafe(24)
        self.access_tokens[access_token] = grant
        answer = {"access_token": access_token, "token_type": "Bearer", "expires_in": 300}
        if "openid" in grant.get("scope", "").split():
            answer["id_token"] = self.id_token(grant, access_token)
        if "offline_access" in grant.get("scope", "").split():
            answer["refresh_token"] = secrets.token_urlsafe(24)
            self.refresh_tokens[answer["refresh_token"]] = grant | {"nonce": None}
        return self.json(self._changed("token", answer))

    def userinfo(self, asked: Asked):
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.access_tokens:
            return 401, {"www-authenticate": 'Bearer error="invalid_token"'}, b""
        claims = self._changed("userinfo", dict(self.access_tokens[token].get("person") or self.person))
        if self.userinfo_jwt:
            return 200, {"content-type": "application/jwt"}, self.userinfo_jwt(claims)
        return self.json(claims)

    def emails(self, asked: Asked):
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access_tokens:
            return self.json({"message": "Requires authentication"}, 401)
        return self.json(self.addresses)

    def introspection(self, asked: Asked):
        if self.client_of(asked) is None:
            return self.json({"error": "invalid_client"}, 401)
        known = self.opaque.get(asked.form.get("token", ""))
        if known is None:
            return self.json({"active": False})
        answer = {"active": True, "iss": self.issuer, "client_id": "cli", "token_type": "Bearer", "scope": "reports.read"}
        return self.json({name: value for name, value in (answer | self.person | known).items() if value is not DROP})

    def groups(self, asked: Asked):
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access_tokens:
            return self.json({"error": "unauthorized"}, 401)
        return self.json(self.pages[int(asked.query.get("page") or asked.query.get("pageToken") or "0")])

    def mtls_token(self, asked: Asked):
        return self.token(asked)

    def jwks(self, asked: Asked):
        return self.json({"keys": self.published})

    def end_session(self, asked: Asked):
        target = asked.query.get("post_logout_redirect_uri")
        if not target:
            return 200, {"content-type": "text/html"}, b"signed out"
        state = asked.query.get("state")
        joint = "&" if "?" in target else "?"
        return 302, {"location": target + (f"{joint}state={state}" if state else "")}, b""

    def logout_url(self, asked: Asked):
        return 302, {"location": asked.query.get("returnTo", "/")}, b""

    @staticmethod
    def json(document, status: int = 200):
        return status, {"content-type": "application/json"}, json.dumps(document).encode()


class IdpServer:
    """Serves every issuer on one port; can go down and come back."""

    def __init__(self):
        self.keys = jose.session_keys()
        self.issuers: dict[str, Issuer] = {}
        self.closing = threading.Event()
        self.port = 0
        self.up()

    def issuer(self, host: str) -> Issuer:
        return self.issuers.setdefault(host, Issuer(host, self.keys))

    def up(self):
        self.server = serve(self.port, self._serve)
        self.port = self.server.server_address[1]

    def down(self):
        """Connections are refused from now on; those that are open end with their next request."""
        server, self.server = self.server, None
        server.shutdown()
        server.server_close()

    def stop(self):
        self.closing.set()
        if self.server:
            self.down()

    def _serve(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        host = (handler.headers.get("host") or "").split(":")[0].lower()
        issuer = self.issuers.get(host)
        endpoint = PATHS.get(url.path)
        if self.server is None or issuer is None or endpoint is None:
            handler.close_connection = True
            if self.server is not None:
                self._answer(handler, 404, {}, b"")
            return
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(endpoint, handler.command, query, headers, body)
        issuer.asked.append(asked)
        fault = issuer.faults.get(endpoint)
        if fault and fault.times == 0:
            fault = None
        if fault is None:
            if endpoint == "discovery":
                answer = issuer.json(issuer.discovery())
            else:
                answer = getattr(issuer, endpoint)(asked)
            return self._answer(handler, *answer)
        fault.times -= 1 if fault.times > 0 else 0
        if fault.delay:
            self.closing.wait(fault.delay)
        if fault.drop:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if fault.body is None and fault.status == 200:
            answer = issuer.json(issuer.discovery()) if endpoint == "discovery" else getattr(issuer, endpoint)(asked)
            status, headers, body = answer
        else:
            status, headers, body = fault.status, {"content-type": "application/json"}, fault.body or b""
        self._answer(handler, status, headers | fault.headers, body, fault.truncate)

    @staticmethod
    def _answer(handler, status, headers, body, truncate=False):
        lines = [f"HTTP/1.1 {status} X"] + [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"content-length: {len(body) + (100 if truncate else 0)}")
        try:
            handler.wfile.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            handler.wfile.flush()
            if truncate:
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            handler.close_connection = True
