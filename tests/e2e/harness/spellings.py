"""Everything in which a password login can be written besides its body: paths, methods, framings, kinds, headers.

The bodies are `hostile_forms` and `hostile_json` of test_password_bodies.py.
"""

import gzip
import itertools
import json
import urllib.parse

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
# SPEC 16: every name by which an application could choose the account.
CHOOSING = ["email", "mail", "user", "login", "uid", "userid", "user_id", "account", "name_or_email", "phone", "mobile", "tel",
            "tenant", "realm", "domain", "org", "organization", "workspace"]


def form_of(name: str, word: str, field: str = "username") -> str:
    return urllib.parse.urlencode({field: name, field.replace("username", "password"): word})


def json_of(name: str, word: str) -> str:
    return json.dumps({"username": name, "password": word})


def multipart_of(name: str, word: str, field: str = "username") -> str:
    fields = {field: name, field.replace("username", "password"): word}
    return "".join(f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()) + "--x--\r\n"


def choosing_forms(theirs: str):
    """An administrator's name for the filter, another field with theirs for the application."""
    for name, value in itertools.product(CHOOSING, (theirs, f"{theirs}@acme.com")):
        yield f"username=root&password=right&{name}={value}"
        yield f"{name}={value}&username=root&password=right"
        yield f"username=root&password=right&{name.upper()}={value}"
        yield f"username=root&password=right&user[{name}]={value}"


def choosing_json(theirs: str):
    for name, value in itertools.product(CHOOSING, (theirs, f"{theirs}@acme.com")):
        yield json.dumps({"username": "root", "password": "right", name: value})
        yield json.dumps({name: value, "username": "root", "password": "right"})
        yield json.dumps({"username": "root", "password": "right", name.title(): value, "x": {name: [value]}})


def kinds():
    """Content types, as browsers, programs and attackers write them."""
    types = [FORM, JSON, "multipart/form-data; boundary=x", "text/plain", "application/xml", "text/json", "application/vnd.api+json", "application/x-ndjson",
             "application/octet-stream", "application/*", "*/*", f"{FORM}x", f"x/{FORM}", "application/jsonp", "multipart/mixed; boundary=x", "", None]
    more = ["", "; charset=utf-8", ";charset=utf-16", "; charset=iso-8859-1", "; charset=utf-7", "; boundary=x", f", {FORM}", f", {JSON}", "; charset=utf-8; charset=utf-16", ";", "\t"]
    for kind, parameter in itertools.product(types, more):
        if kind is None:
            if not parameter:
                yield None
        else:
            yield kind + parameter
    yield from (FORM.upper(), JSON.title(), "Multipart/Form-Data; Boundary=x")


def kind_bodies(name: str, field: str):
    form, document = form_of(name, "right", field), json_of(name, "right")
    yield from (form, document, multipart_of(name, "right", field), f"[{document}]", document.encode("utf-16"), form.encode("utf-16-le"))


def encodings(body: str):
    """Content encodings, and the body that goes with each."""
    plain = body.encode()
    for name, sent in (("gzip", gzip.compress(plain)), ("x-gzip", gzip.compress(plain)), ("deflate", plain), ("br", plain), ("identity", plain), ("GZIP", gzip.compress(plain)),
                       ("gzip, identity", gzip.compress(plain)), ("", plain), ("utf-8", plain)):
        yield {"content-encoding": name}, sent
    yield {"transfer-encoding": "identity"}, plain
    yield {"content-md5": "x", "content-language": "x", "content-location": "/x"}, plain


METHODS = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "QUERY", "PROPFIND", "SEARCH", "LINK", "post", "Post", "POSTX"]


def framings(body: bytes):
    """How the end of a body is told: headers, and the bytes sent."""
    def chunks(size):
        return b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + size]), body[at:at + size]) for at in range(0, len(body), size)) + b"0\r\n"

    yield f"content-length: {len(body)}\r\n", body
    yield "transfer-encoding: chunked\r\n", chunks(len(body)) + b"\r\n"
    yield "transfer-encoding: chunked\r\n", chunks(1) + b"\r\n"
    yield "transfer-encoding: chunked\r\ntrailer: x\r\n", chunks(7) + b"x: 1\r\n\r\n"
    yield f"content-length: {len(body)}\r\nexpect: 100-continue\r\n", body


def headers_that_change_a_request(path: str, origin: str):
    """What some framework or proxy takes in the place of the request line, the host or the sender."""
    for name in ("x-http-method-override", "x-method-override", "x-http-method", "_method"):
        for value in ("POST", "GET", "post"):
            yield {name: value}
    for name in ("x-original-url", "x-rewrite-url", "x-forwarded-path", "x-forwarded-uri", "x-original-uri", "x-forwarded-prefix", "x-script-name", "x-accel-redirect"):
        yield {name: path}
        yield {name: "/"}
    for host in ("other.test", "127.0.0.1"):
        yield {"x-forwarded-host": host, "x-forwarded-proto": "http", "forwarded": f"host={host}"}
    yield {"x-sso-user": "root", "x_sso_user": "root", "x-sso-roles": "account_admin", "x-sso-method": "sso"}
    yield {"authorization": "Basic cm9vdDpyaWdodA=="}
    yield {"sec-fetch-site": "same-origin", "origin": origin, "referer": f"{origin}{path}"}
    yield {"x-requested-with": "XMLHttpRequest", "accept": JSON}
    yield {"x-sveltekit-action": "true", "next-action": "x", "x-inertia": "true", "hx-request": "true", "x-livewire": "true"}
    yield {"content-disposition": 'form-data; name="username"', "content-range": "bytes 0-9/10"}


def paths(path: str):
    """Other spellings of a login's path, some of which an application routes to it."""
    bare, last = path.strip("/"), path.strip("/").rsplit("/", 1)[-1]
    yield from (f"{path.rstrip('/')}{more}" for more in (
        "/", "//", "/.", "/x", "/index.php", "/index.html", "/__data.json", ".php", ".json", ".html", ".do", ".", "..", ";", ";a=b", ";/", "%20", "%09", "%00", "%00.css", "%2f", "%2F", "%3b",
        "%3f", "%23", "%5c", "\\", "%0a", "%c2%a0", "%252f", "?", "#", "?/login", "?/default"))
    yield from (f"{front}{bare}" for front in ("//", "/./", "/x/../", "/x/..;/", "/%2e/", "/x/%2e%2e/", "/;a=b/", "/%2f", "\\", "/\\", "/index.php/", "/INDEX.php/", "/x/", "/x/y/", "/app.rb/",
                                               "/%69ndex.php/", "/index.php;x/", "/static/../", "/static/%2e%2e/", "/static/..%2f", "/who/", "/who/../", "/inside/", "/me.php/../", "/me.php/"))
    for changed in {last.upper(), last.title(), last.swapcase(), f"%{ord(last[0]):02x}{last[1:]}", f"%25{ord(last[0]):02x}{last[1:]}", f"%u{ord(last[0]):04x}{last[1:]}", f"{last[:2]}%C2%AD{last[2:]}",
                    f"{last},x", f"x,{last}", f"{last}%2C{last}", f"\uff4c{last[1:]}", last.replace(".php", ""), last.replace(".php", ".PHP"), last.replace("_", "%5f"), last.replace("_", "-")}:
        yield path.replace(last, changed)
    yield from ("/", "/x", "/login", "/login/", "/login/x", "/login.php/x", "/me", "/who", "/form", "/static/x")
