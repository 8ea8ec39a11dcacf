"""The demo application: local users with passwords, and a SCIM endpoint over them.

It knows nothing of single sign-on but the request headers that the filter sets. If it knows where the filter's keys are, it believes
the signed one alone. Where they are absent (SSO disabled) it does what it always did: its own login form and its own cookie.
"""

import html
import json
import os
import secrets
import threading
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from scim import Directory, scim_handler

try:
    import jwt  # PyJWT
except ImportError:
    jwt = None

PASSWORD = "local"
# Where the filter publishes the keys of its assertions, and the origins that this application is served at.
JWKS = os.environ.get("ASSERTION_JWKS")
ISSUERS = os.environ.get("ASSERTION_ISSUERS", "").split()
KEYS = jwt.PyJWKClient(JWKS, lifespan=300) if jwt and JWKS else None
MAX_BODY = 64 * 1024
STYLE = """
:root{color-scheme:light dark;--line:light-dark(#0002,#fff3);--soft:light-dark(#f6f7f9,#1e2126)}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;background:var(--soft);overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:baseline;padding:1rem max(1rem,calc(50vw - 24rem));background:#1a5fb4;color:#fff}
header b{font-size:1.2rem}header a{color:#fff}header span{margin-left:auto}
main{max-width:48rem;margin:2rem auto;padding:0 1rem;display:grid;gap:1.5rem}
section{background:light-dark(#fff,#2a2e35);border:1px solid var(--line);border-radius:.8rem;padding:1.25rem 1.5rem}
h1{margin:0 0 .25rem;font-size:1.5rem}h2{margin:0 0 .5rem;font-size:1.05rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{border-top:1px solid var(--line);padding:.35rem .5rem;text-align:left;vertical-align:top}
code{font-size:.85rem;overflow-wrap:anywhere}.tag{background:#1a5fb4;color:#fff;border-radius:1rem;padding:.1rem .6rem;font-size:.8rem}
label{display:block;margin:.75rem 0 .25rem}input{font:inherit;width:100%;padding:.5rem;border:1px solid #8888;border-radius:.4rem}
button,.button{font:inherit;display:inline-block;margin-top:1rem;padding:.5rem 1rem;border:0;border-radius:.4rem;background:#1a5fb4;color:#fff;text-decoration:none;cursor:pointer}
@media(max-width:30rem){td,th{display:block;border:0;padding:.1rem 0}tr{display:block;border-top:1px solid var(--line);padding:.35rem 0}}
.error{color:light-dark(#c01c28,#ff7b82)}small{opacity:.75}
"""


def page(title, body, who=""):
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)} - Acme Reports</title>"
        f"<meta name=viewport content='width=device-width'><link rel=icon href='data:,'><style>{STYLE}</style>"
        f"<header><b>Acme Reports</b><a href='/'>Start</a><a href='/reports?q=1'>A report</a>"
        f"<a href='/admin/settings'>Settings</a><span>{html.escape(who)}</span></header><main>{body}</main></html>"
    ).encode()


class App(BaseHTTPRequestHandler):
    """One request of the application."""

    directory: Directory
    sessions: dict[str, str] = {}
    protocol_version = "HTTP/1.1"
    server_version = "acme-reports"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="text/html; charset=utf-8", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-type", kind)
        self.send_header("cache-control", "no-store")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def redirect(self, location, headers=()):
        self.answer(HTTPStatus.SEE_OTHER, headers=[("location", location), *headers])

    def body(self):
        length = int(self.headers.get("content-length") or 0)
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            return b""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(length)
        whole = b""
        while (size := int(self.rfile.readline(64).split(b";")[0], 16)) and len(whole) + size <= MAX_BODY:
            whole += self.rfile.read(size)
            self.rfile.readline(8)
        self.rfile.readline(8)
        return whole

    def local_user(self):
        try:
            cookie = SimpleCookie(self.headers.get("cookie", "")).get("app_session")
        except CookieError:
            return None
        return self.sessions.get(cookie.value) if cookie else None

    def verified(self):
        """The claims of the filter's assertion; None if there is none that holds."""
        try:
            token = self.headers.get("x-sso-assertion", "")
            key = KEYS.get_signing_key_from_jwt(token)
            return jwt.decode(token, key.key, algorithms=["ES256"], issuer=ISSUERS, audience="acme-reports", options={"require": ["exp", "sub"]})
        except jwt.PyJWTError:
            return None

    def user(self):
        """Username, display name, roles and how this person got in."""
        if KEYS and self.headers.get("x-sso-user"):
            if not (claims := self.verified()):
                return None
            how = f"{claims['method']} {claims.get('idp', '')}".strip() + ", by a signature that holds"
            return claims["sub"], claims.get("name", claims["sub"]), claims["roles"], how
        if name := self.headers.get("x-sso-user"):
            roles = [unquote(role) for role in self.headers.get("x-sso-roles", "").split(",") if role]
            how = f"{self.headers.get('x-sso-method', '')} {self.headers.get('x-sso-idp', '')}".strip()
            return unquote(name), unquote(self.headers.get("x-sso-name", name)), roles, how
        name = self.local_user()
        user = name and self.directory.by_name(name)
        if not user:
            return None
        return name, user.get("displayName", name), [r["value"] for r in user.get("roles", [])], "the application's own session"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/healthz":
            return self.answer(200, b"ok\n", "text/plain")
        if path.startswith("/api/export/"):
            return self.programs()
        if path == "/login":
            return self.answer(200, page("Sign in", self.form()))
        user = self.user()
        if user is None:
            return self.redirect("/login")
        self.answer(200, page("Start", self.start(path, user), user[1]))

    def do_POST(self):
        path = urlsplit(self.path).path
        body = self.body()
        if path == "/login":
            fields = parse_qs(body.decode(errors="replace"))
            token = self.log_in(fields.get("username", [""])[0], fields.get("password", [""])[0])
            if not token:
                return self.answer(401, page("Sign in", self.form("That name and password do not belong together.")))
            return self.redirect("/", [("set-cookie", f"app_session={token}; Path=/; HttpOnly; SameSite=Lax")])
        if path == "/api/login":
            try:
                fields = json.loads(body)
                token = self.log_in(fields["username"], fields["password"])
            except (ValueError, KeyError, TypeError):
                return self.answer(400, b'{"error":"bad request"}\n', "application/json")
            if not token:
                return self.answer(401, b'{"error":"wrong password"}\n', "application/json")
            cookie = f"app_session={token}; Path=/; HttpOnly; SameSite=Lax"
            return self.answer(200, b'{"ok":true}\n', "application/json", [("set-cookie", cookie)])
        if path == "/logout":
            cookie = [("set-cookie", "app_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")]
            return self.redirect("/sso/logout" if self.headers.get("x-sso-user") else "/login", cookie)
        self.answer(404, page("Not found", "<section>There is nothing here.</section>"))

    def programs(self):
        """What JDBC and SDK clients use: the application's own Basic credentials, never the browser's session."""
        import base64
        import binascii

        kind, _, value = self.headers.get("authorization", "").partition(" ")
        try:
            name, _, password = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, ValueError):
            name = password = ""
        if kind.lower() == "basic" and self.directory.by_name(name) and password == PASSWORD:
            return self.answer(200, json.dumps({"exported_for": name}).encode() + b"\n", "application/json")
        self.answer(401, b"{}\n", "application/json", [("www-authenticate", 'Basic realm="export"')])

    def log_in(self, name, password):
        user = isinstance(name, str) and self.directory.by_name(name)
        if not user or not user.get("active", True) or password != PASSWORD:
            return None
        token = secrets.token_urlsafe(24)
        self.sessions[token] = name
        return token

    def form(self, error=""):
        rows = "".join(
            f"<tr><td>{html.escape(user['userName'])}<td>{html.escape(', '.join(r['value'] for r in user.get('roles', [])))}"
            f"<td>{'' if user.get('active', True) else 'deactivated'}"
            for user in self.directory.all()
        )
        return (
            "<section><h1>Sign in with a password</h1>"
            + (f"<p class=error role=alert>{html.escape(error)}</p>" if error else "")
            + "<form method=post action=/login><label for=u>Name</label><input id=u name=username autofocus autocomplete=username>"
            "<label for=p>Password</label><input id=p name=password type=password autocomplete=current-password>"
            "<button>Sign in</button></form></section>"
            f"<section><h2>Local users; the password of each is <code>{PASSWORD}</code></h2><table>{rows}</table></section>"
        )

    def start(self, path, user):
        name, shown, roles, how = user
        tags = " ".join(f"<span class=tag>{html.escape(role)}</span>" for role in roles) or "<small>no roles</small>"
        headers = "".join(
            f"<tr><th><code>{html.escape(key.lower())}</code><td><code>{html.escape(value)}</code>"
            for key, value in sorted(self.headers.items())
            if key.lower().startswith("x-sso-") or key.lower() == "cookie"
        )
        return (
            f"<section><h1>Hello, <span id=name>{html.escape(shown)}</span></h1>"
            f"<p>You are <b id=user>{html.escape(name)}</b>, by way of <span id=how>{html.escape(how)}</span>. {tags}</p>"
            f"<p>You asked for <code id=asked>{html.escape(self.path)}</code>"
            + (" <span class=tag>administrators only</span>" if path.startswith("/admin/") else "")
            + "</p><form method=post action=/logout><button>Sign out</button></form></section>"
            "<section><h2>What the filter told the application</h2>"
            + (f"<table>{headers}</table>" if headers else "<p>Nothing: single sign-on is disabled.</p>")
            + "</section><section><h2>Look at</h2><p><a href=/sso/session>who is signed in, as JSON</a> &middot; "
            "<a href=/sso/admin>the administrators' page</a> &middot; <a href=/sso/admin/readiness>readiness</a> &middot; "
            "<a href=/sso/admin/completeness>completeness</a> &middot; <a href='/sso/login?show=all'>every way to sign in</a></p></section>"
        )


def main():
    people = json.loads((Path(__file__).parent / "users.json").read_text())["directory"]
    directory = Directory(people)
    App.directory = directory
    bind = os.environ.get("BIND", "127.0.0.1")
    scim = ThreadingHTTPServer((bind, int(os.environ["SCIM_PORT"])), scim_handler(directory, os.environ["SCIM_TOKEN"]))
    threading.Thread(target=scim.serve_forever, daemon=True).start()
    app = ThreadingHTTPServer((bind, int(os.environ["APP_PORT"])), App)
    print("ready", flush=True)
    app.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
