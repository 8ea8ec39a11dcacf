"""A browser's part in HTTP without a browser: cookies, redirects one by one, and bytes no browser sends."""

import html.parser
import http.client
import json
import socket
import time
import urllib.parse
from dataclasses import dataclass, field

NAVIGATION = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-site": "none",
    "upgrade-insecure-requests": "1",
}


@dataclass
class Cookie:
    name: str
    value: str
    host: str
    path: str = "/"
    secure: bool = False
    http_only: bool = False
    same_site: str = ""
    domain: str = ""
    expires: float | None = None
    line: str = ""


@dataclass
class Reply:
    url: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    set: list[Cookie] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        return values[0] if values else None

    @property
    def code(self) -> str | None:
        """The filter's word for what happened; an answer of its own carries exactly one."""
        values = self.all("x-sso-code")
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def location(self) -> str | None:
        where = self.get("location")
        return urllib.parse.urljoin(self.url, where) if where is not None else None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def query(self) -> dict[str, str]:
        """The parameters of the Location."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.location).query, keep_blank_values=True))

    def seen(self) -> dict[str, list[str]]:
        """What the echoing application saw of the headers, by lower-case name."""
        headers: dict[str, list[str]] = {}
        for name, value in self.json()["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        return headers

    def __repr__(self):
        return f"<{self.status} {self.code} {self.url} -> {self.get('location')} {self.body[:300]!r}>"


class _Form(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.action, self.method, self.fields = "", "get", []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.action, self.method = attrs.get("action") or "", (attrs.get("method") or "get").lower()
        elif tag == "input" and attrs.get("name"):
            self.fields.append((attrs["name"], attrs.get("value") or ""))


class Client:
    """`hosts` maps a host name to its port on 127.0.0.1; https names are spoken to in plain HTTP behind the
    proxy's back, with the cookie rules of https."""

    def __init__(self, hosts: dict[str, int], default_port: int | None = None):
        self.hosts = hosts
        self.default_port = default_port
        self.cookies: dict[tuple[str, str, str], Cookie] = {}

    def port(self, host: str) -> int:
        port = self.hosts.get(host)
        if port is None:
            port = next((p for suffix, p in self.hosts.items() if suffix.startswith(".") and host.endswith(suffix)),
                        self.default_port)
        assert port, f"no such host in this test: {host}"
        return port

    def cookies_for(self, url: str, cross_site_post: bool = False) -> list[Cookie]:
        parts = urllib.parse.urlsplit(url)
        now = time.time()
        found = []
        for cookie in self.cookies.values():
            host = parts.hostname
            if cookie.host != host and not (cookie.domain and host.endswith("." + cookie.domain)):
                continue
            if cookie.secure and parts.scheme != "https" or cookie.expires is not None and cookie.expires <= now:
                continue
            if not parts.path.startswith(cookie.path.rstrip("/") or "/"):
                continue
            if cross_site_post and cookie.same_site.lower() != "none":
                continue
            found.append(cookie)
        return found

    def request(self, method: str, url: str, *, headers: dict | None = None, body: bytes | str | dict | None = None,
                navigation: bool = False, cookies: bool = True, cross_site: bool = False, host: str | None = None,
                target: str | None = None, more_headers: list[tuple[str, str]] = (), timeout: float = 60) -> Reply:
        """One request, one answer, one connection. `target` is sent as it is in the place of the URL's path."""
        parts = urllib.parse.urlsplit(url)
        sent = {"host": host or parts.netloc}
        if navigation:
            sent |= NAVIGATION
        else:
            sent |= {"accept": "*/*"}
        if cross_site:
            sent["sec-fetch-site"] = "cross-site"
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            sent["content-type"] = "application/x-www-form-urlencoded"
        if isinstance(body, str):
            body = body.encode()
        if cookies:
            jar = self.cookies_for(url, cross_site and method == "POST")
            if jar:
                sent["cookie"] = "; ".join(f"{c.name}={c.value}" for c in jar)
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        if body is not None:
            sent.setdefault("content-length", str(len(body)))
        elif method in ("POST", "PUT", "PATCH"):
            sent.setdefault("content-length", "0")
        lines = [(name, value) for name, value in sent.items() if value is not None] + list(more_headers)
        target = target if target is not None else urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines) + "connection: close\r\n\r\n"
        reply = exchange(self.port(parts.hostname), head.encode("latin-1") + (body or b""), url, method, timeout)
        self._keep(url, reply)
        return reply

    def get(self, url: str, **options) -> Reply:
        return self.request("GET", url, **options)

    def post(self, url: str, **options) -> Reply:
        return self.request("POST", url, **options)

    def browse(self, url: str, **options) -> Reply:
        """A page navigation."""
        return self.request("GET", url, navigation=True, **options)

    def _keep(self, url: str, reply: Reply) -> None:
        parts = urllib.parse.urlsplit(url)
        for line in reply.all("set-cookie"):
            cookie = parse_cookie(line, parts.hostname)
            reply.set.append(cookie)
            if cookie.secure and parts.scheme != "https":
                continue
            # RFC 6265bis section 4.1.3: what the prefix promises, a browser enforces.
            if cookie.name.startswith("__Host-") and (not cookie.secure or cookie.domain or cookie.path != "/"):
                continue
            if cookie.name.startswith("__Secure-") and not cookie.secure:
                continue
            if len(cookie.name) + len(cookie.value) > 4096:
                continue
            key = (cookie.domain or cookie.host, cookie.path, cookie.name)
            self.cookies.pop(key, None)
            if cookie.expires is None or cookie.expires > time.time():
                self.cookies[key] = cookie

    def follow(self, reply: Reply, until=None, limit: int = 12) -> list[Reply]:
        """Goes on like a browser, through redirects and forms that post themselves, until a page or `until`."""
        hops = [reply]
        while len(hops) <= limit:
            last = hops[-1]
            if until and until(last):
                return hops
            if last.status in (301, 302, 303, 307, 308) and last.location:
                hops.append(self.browse(last.location))
            elif last.status == 200 and (form := auto_form(last)):
                action, fields = form
                same = origin(action) == origin(last.url)
                hops.append(self.request("POST", action, body=dict(fields), navigation=True, cross_site=not same, headers={
                    "origin": origin(last.url), "sec-fetch-site": "same-origin" if same else "cross-site"}))
            else:
                return hops
        raise AssertionError(f"a redirect loop: {hops}")

    def login(self, url: str) -> list[Reply]:
        """GET of a page, to the IdP, back by the callback, to the page: every answer on the way."""
        return self.follow(self.browse(url))

    def values(self) -> dict[str, str]:
        return {cookie.name: cookie.value for cookie in self.cookies.values()}

    def drop_cookies(self) -> None:
        self.cookies.clear()


def origin(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def form_of(reply: Reply) -> _Form:
    """The one form of a page."""
    form = _Form()
    form.feed(reply.text)
    return form


def auto_form(reply: Reply):
    """Action and fields of a page that posts itself, a provider's or the filter's; None for other pages."""
    if "html" not in (reply.get("content-type") or "") or b'method="post"' not in reply.body or reply.code not in (None, "continue"):
        return None
    form = form_of(reply)
    names = {name for name, _ in form.fields}
    if not names & {"code", "error", "SAMLResponse"}:
        return None
    return urllib.parse.urljoin(reply.url, form.action), form.fields


def parse_cookie(line: str, host: str) -> Cookie:
    first, *rest = line.split(";")
    name, _, value = first.partition("=")
    cookie = Cookie(name.strip(), value.strip(), host, line=line)
    for attribute in rest:
        key, _, value = attribute.strip().partition("=")
        match key.lower():
            case "secure":
                cookie.secure = True
            case "httponly":
                cookie.http_only = True
            case "samesite":
                cookie.same_site = value
            case "path":
                cookie.path = value or "/"
            case "domain":
                cookie.domain = value.lstrip(".").lower()
            case "max-age":
                cookie.expires = time.time() + int(value)
    return cookie


def exchange(port: int, data: bytes, url: str = "", method: str = "GET", timeout: float = 60) -> Reply:
    """Sends bytes as they are and reads one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.sendall(data)
        except OSError:
            pass  # refused while we were still writing: there may be an answer to read
        answer = http.client.HTTPResponse(connection, method=method)
        http.client._MAXHEADERS = 10000
        answer.begin()
        headers = [(name, value) for name, value in answer.getheaders()]
        if answer.status == 101:
            return Reply(url, 101, headers, b"")
        try:
            body = answer.read()
        except http.client.IncompleteRead as partial:
            body = partial.partial
        return Reply(url, answer.status, headers, body)
