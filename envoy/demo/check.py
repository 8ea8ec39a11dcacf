"""A scripted browser that goes through the demo: in by SSO, in by password, out again."""

import html
import http.client
import re
import time
from urllib.parse import urlencode, urljoin, urlsplit


class Browser:
    """Just enough of one: cookies by host, redirects, forms."""

    def __init__(self):
        self.jar = {}
        self.url = ""
        self.status = 0
        self.text = ""
        self.headers = []
        self.trail = []

    def once(self, method, url, form=None, headers=()):
        target = urlsplit(url)
        kept = [f"{name}={value}" for (host, path, name), value in self.jar.items() if host == target.hostname and target.path.startswith(path)]
        send = {"accept": "text/html,application/json;q=0.5", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", **dict(headers)}
        if kept:
            send["cookie"] = "; ".join(kept)
        body = None
        if form is not None:
            body = urlencode(form)
            send["content-type"] = "application/x-www-form-urlencoded"
            send["origin"] = f"{target.scheme}://{target.netloc}"
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=20)
        connection.request(method, target.path + (f"?{target.query}" if target.query else ""), body, send)
        response = connection.getresponse()
        self.url, self.status = url, response.status
        self.text = response.read().decode(errors="replace")
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]
        connection.close()
        self.trail.append(f"{method} {url} -> {self.status}")
        for name, value in self.headers:
            if name == "set-cookie":
                self.keep(target, value)
        return self

    def keep(self, target, value):
        pair, *attributes = [part.strip() for part in value.split(";")]
        name, _, content = pair.partition("=")
        given = {key.lower(): text for key, _, text in (attribute.partition("=") for attribute in attributes)}
        key = (target.hostname, given.get("path", "/"), name)
        over = given.get("max-age") == "0" or not content or "1970" in given.get("expires", "")
        if over:
            self.jar.pop(key, None)
        else:
            self.jar[key] = content

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)

    def go(self, method, url, form=None):
        self.once(method, url, form)
        for _ in range(15):
            if self.status not in (301, 302, 303, 307, 308):
                return self
            self.once("GET", urljoin(self.url, self.header("location")))
        raise AssertionError("a redirect loop:\n" + "\n".join(self.trail))

    def get(self, url):
        return self.go("GET", url)

    def submit(self, **fields):
        """The first form on the page, with its hidden fields and these."""
        form = re.search(r"<form\b([^>]*)>(.*?)</form>", self.text, re.S)
        assert form, f"no form on {self.url}: {self.text[:500]}"
        found = {"action": "", "method": "get", **attributes(form[1])}
        values = {}
        for tag in re.findall(r"<input\b([^>]*)>", form[2]):
            given = attributes(tag)
            if "name" in given and given.get("type") == "hidden":
                values[given["name"]] = given.get("value", "")
        values.update(fields)
        action = urljoin(self.url, found["action"])
        if found["method"].lower() == "post":
            return self.go("POST", action, values)
        return self.go("GET", action + "?" + urlencode(values))


def attributes(text):
    found = re.findall(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", text)
    return {name.lower(): html.unescape(a or b or c) for name, a, b, c in found}


def sign_in(browser, demo, name, target="/reports?q=1"):
    """From a page of the application through the provider's form and back."""
    browser.get(f"{demo.app}/sso/login?" + urlencode({"idp": "corp", "return_to": target}))
    assert browser.url.startswith(demo.idp), f"not at the provider but at {browser.url} ({browser.status}): {browser.text[:800]}"
    return browser.submit(login=name, password="idp")


def check(demo):
    """True steps printed, the exit code returned."""
    app = demo.app
    steps = []

    def step(what, truth, browser=None):
        steps.append(bool(truth))
        print(("ok    " if truth else "FAIL  ") + what, flush=True)
        if not truth and browser is not None:
            print("\n".join(["      " + line for line in browser.trail[-12:]]) + f"\n      {browser.text[:600]}", flush=True)

    started = time.monotonic()
    b = Browser()
    b.once("GET", f"{app}/reports?q=1")
    step("a page sends a stranger to sign in", b.status == 302, b)
    b.get(f"{app}/reports?q=1")
    step("both ways in are offered side by side", b.status == 200 and "/login" in b.text and b.url.startswith(f"{app}/sso/login"), b)
    sign_in(b, demo, "ada")
    step("ada comes back to the page she asked for", b.status == 200 and b.url == f"{app}/reports?q=1" and "Ada Lovelace" in b.text, b)
    b.get(f"{app}/sso/session")
    step("the session names her", b.status == 200 and '"ada"' in b.text, b)
    b.get(f"{app}/admin/settings")
    step("the administrator sees the settings", b.status == 200, b)
    b.get(f"{app}/sso/admin/readiness")
    step("and the readiness report", b.status == 200 and "never_signed_in" in b.text, b)
    b.get(f"{app}/sso/logout")
    if b.url.startswith(demo.idp):
        b.submit(logout="yes")
    step("signing out comes back to the application", b.url.startswith(f"{app}/sso/logout-complete") and b.status == 200, b)
    b.get(f"{app}/sso/session")
    step("and nobody is signed in", b.status == 401, b)

    for name, code in (("carol", "identity_unknown"), ("grace", "identity_unknown"), ("heidi", "user_inactive")):
        other = Browser()
        sign_in(other, demo, name)
        step(f"{name} is refused: {code}", other.status == 403 and other.header("x-sso-code") == code, other)
    bob = Browser()
    sign_in(bob, demo, "bob")
    step("bob is in", bob.status == 200 and "Bob Noyce" in bob.text, bob)
    bob.get(f"{app}/admin/settings")
    step("but not among the settings: role_missing", bob.status == 403 and bob.header("x-sso-code") == "role_missing", bob)

    local = Browser()
    local.get(f"{app}/login").submit(username="bob", password="local")
    step("a local password works beside it", local.status == 200 and "Bob Noyce" in local.text, local)
    frank = Browser()
    sign_in(frank, demo, "frank")
    step("frank is shown his invitation", frank.status == 200 and "/sso/invitation" in frank.url + frank.text, frank)
    print(f"{sum(steps)} of {len(steps)} in {time.monotonic() - started:.1f} s", flush=True)
    return 0 if all(steps) else 1
