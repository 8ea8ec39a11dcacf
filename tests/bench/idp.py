"""The bench's identity provider: signs whoever asks in at once. Needs .venv.

Its tokens are Keycloak's as it is delivered, since both filters pay for their length: an ID token and an access token
of a little over a kilobyte each, and a refresh token of two thirds of that, which Keycloak always gives. Or they are as
short as a provider can make them: an access token of eight bytes, the least ID token, no refresh token."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import venv_packages  # noqa: F401
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return b64(json.dumps(value, separators=(",", ":")).encode())


SECRET = secrets.token_bytes(64)
KID = b64(hashlib.sha256(b"bench").digest())  # a thumbprint, as long as most providers' key ids


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Key:
    """A fresh RSA-2048 key."""

    def __init__(self):
        self.key = rsa.generate_private_key(65537, 2048)

    def jwk(self):
        public = self.key.public_key().public_numbers()
        return {"kty": "RSA", "kid": KID, "use": "sig", "alg": "RS256", "n": number(public.n), "e": number(public.e)}

    def sign(self, claims):
        text = compact({"alg": "RS256", "typ": "JWT", "kid": KID}) + "." + compact(claims)
        return text + "." + b64(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))


def start(port, groups=0, short=False):
    """Serves on a thread; returns the server. `groups`: how many ids of groups each token of a login holds. `short`: tokens
    of a few bytes."""
    key, codes, issuer = Key(), {}, f"http://127.0.0.1:{port}"

    class Idp(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are written apart

        def log_message(self, *_):
            pass

        def answer(self, body, status=200, location=None):
            data = json.dumps(body).encode()
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/.well-known/openid-configuration":
                return self.answer({
                    "issuer": issuer, "authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token",
                    "jwks_uri": f"{issuer}/keys", "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"],
                })
            if url.path == "/keys":
                return self.answer({"keys": [key.jwk()]})
            if url.path == "/authorize":
                code = secrets.token_urlsafe(16)
                codes[code] = query
                back = query["redirect_uri"]
                back += ("&" if "?" in back else "?") + urlencode({"code": code, "state": query.get("state", "")})
                return self.answer({}, 302, back)
            self.answer({}, 404)

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers.get("content-length") or 0)).decode())
            grant = form.get("code") or form.get("refresh_token") or [""]
            asked = codes.pop(grant[0], None)
            if asked is None:
                return self.answer({"error": "invalid_grant"}, 400)
            now, client = int(time.time()), asked["client_id"]
            # The same person, signed in when she was, whenever tokens come anew.
            who = asked.setdefault("who", {"sub": str(uuid.uuid4()), "auth_time": now, "sid": str(uuid.uuid4())})
            # What every token of one login says.
            both = {
                **who, "iss": issuer, "exp": now + 86400, "iat": now, "azp": client,
                "acr": "1", "email": "ada@acme.example", "email_verified": True, "name": "Ada Lovelace",
                "preferred_username": "ada", "given_name": "Ada", "family_name": "Lovelace",
            }
            if short:
                claims = {"iss": issuer, "sub": "1", "aud": client, "exp": now + 86400, "iat": now, "email": "ada@acme.example"}
                if "nonce" in asked:
                    claims["nonce"] = asked["nonce"]
                body = {"access_token": secrets.token_hex(4), "token_type": "Bearer", "expires_in": 86400, "id_token": key.sign(claims)}
                return self.answer(body)
            if groups:
                both["groups"] = asked.setdefault("groups", [str(uuid.uuid4()) for _ in range(groups)])
            access = key.sign({
                **both, "jti": str(uuid.uuid4()), "aud": "account", "typ": "Bearer", "scope": asked["scope"],
                "realm_access": {"roles": ["default-roles-acme", "offline_access", "uma_authorization"]},
                "resource_access": {"account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}},
            })
            half = hashlib.sha256(access.encode()).digest()[:16]
            claims = {**both, "jti": str(uuid.uuid4()), "aud": client, "typ": "ID", "at_hash": b64(half)}
            if "nonce" in asked:
                claims["nonce"] = asked["nonce"]
            # Keycloak signs those that only it reads by HS512.
            refresh = compact({"alg": "HS512", "typ": "JWT", "kid": str(uuid.uuid4())}) + "." + compact({
                "exp": now + 86400, "iat": now, "jti": str(uuid.uuid4()), "iss": issuer, "aud": issuer, "sub": who["sub"], "typ": "Refresh",
                "azp": client, "sid": who["sid"], "scope": asked["scope"],
            })
            refresh += "." + b64(hmac.digest(SECRET, refresh.encode(), "sha512"))
            codes[refresh] = asked
            self.answer({"access_token": access, "token_type": "Bearer", "expires_in": 86400, "id_token": key.sign(claims), "refresh_token": refresh})

    server = ThreadingHTTPServer(("127.0.0.1", port), Idp)
    server.daemon_threads = True
    server.key = key
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
