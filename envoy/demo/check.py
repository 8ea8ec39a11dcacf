"""A scripted browser that goes through the demo: in by SSO, in by password, out again."""

import base64
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
        send = {"accept": "text/html,*/*;q=0.5", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", **dict(headers)}
        if kept:
            send["cookie"] = "; ".join(kept)
        body = None
        if form is not None:
            body = urlencode(form)
            send["content-type"] = "application/x-www-form-urlencoded"
            send["origin"] = f"{target.scheme}://{target.netloc}"
        # Browsers know that every name under localhost is this machine; not every resolver does.
        address = "127.0.0.1" if target.hostname.endswith("localhost") else target.hostname
        send["host"] = target.netloc
        connection = http.client.HTTPConnection(address, target.port, timeout=20)
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

    def submit(self, holding="", **fields):
        """The first form on the page that holds this, with its hidden fields, what is chosen in it, and these."""
        forms = [form for form in re.finditer(r"<form\b([^>]*)>(.*?)</form>", self.text, re.S) if holding in form[0]]
        assert forms, f"no form with {holding!r} on {self.url}: {self.text[:500]}"
        form = forms[0]
        found = {"action": "", "method": "get", **attributes(form[1])}
        values = {}
        for tag in re.findall(r"<input\b([^>]*)>", form[2]):
            given = attributes(tag)
            if "name" in given and given.get("type") in ("hidden", "text"):
                values[given["name"]] = given.get("value", "")
        for tag, options in re.findall(r"<select\b([^>]*)>(.*?)</select>", form[2], re.S):
            chosen = [attributes(option).get("value", "") for option in re.findall(r"<option\b([^>]*)>", options) if "selected" in option]
            values[attributes(tag)["name"]] = chosen[0] if chosen else ""
        for tag, text in re.findall(r"<textarea\b([^>]*)>(.*?)</textarea>", form[2], re.S):
            values[attributes(tag)["name"]] = html.unescape(text)
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


def sign_in_by_saml(browser, demo, name, target="/reports?q=1"):
    """The same at the partner company's provider, whose answer comes back in a form that posts itself."""
    browser.get(demo.partners + target)
    assert browser.url.startswith(demo.saml), f"not at the provider but at {browser.url} ({browser.status}): {browser.text[:800]}"
    if 'name="username"' in browser.text:
        browser.submit(username=name, password="idp")
    for _ in range(3):  # over plain HTTP the filter has the form posted once more, from its own origin
        if "SAMLResponse" in browser.text:
            browser.submit()
    return browser


def password(demo, name, address=None):
    """A new browser that posts this local user's password."""
    browser = Browser()
    return browser.go("POST", f"{address or demo.app}/login", {"username": name, "password": "local"})


def refused(browser, status, code):
    return browser.status == status and browser.header("x-sso-code") == code


def until(browser, url, truth):
    """Asks until it is so."""
    for _ in range(300):
        if truth(browser.once("GET", url)):
            return True
        time.sleep(0.2)
    return False


def replicas(demo, step, bob):
    """The application behind two Envoys, with an etcd between them."""
    erin = Browser()
    sign_in(erin, demo, "erin")
    copied = Browser()
    copied.jar = dict(erin.jar)
    copied.once("GET", f"{demo.other}/reports?q=1")
    step("erin's session counts on the other Envoy", copied.status == 200 and "Erin" in copied.text, copied)
    erin.once("GET", f"{demo.app}/sso/logout")
    step("signed out on one, a copy of her session is over on the other",
         until(copied, f"{demo.other}/sso/session", lambda b: b.status == 401), copied)
    kept = dict(bob.jar)
    bob.once("GET", f"{demo.other}/reports?q=1")
    step("bob's goes on there", bob.status == 200 and "Bob Noyce" in bob.text, bob)
    bob.jar = kept


def migrate(demo, step, by_sso, by_password):
    """README's migration in the running Envoy: each step changes one line of the configuration."""
    app = demo.app

    def change(old, new, what, reached):
        """Hands the change to Envoy and waits until it is seen, on every worker: four new connections in a row."""
        text = demo.config.read_text()
        assert old in text, f"sso.yaml has no {old!r}"
        demo.config.write_text(text.replace(old, new))
        assert demo.apply(), f"{demo.config} was not handed to Envoy"
        in_a_row = 0
        for _ in range(300):
            browser, there = reached()
            in_a_row = in_a_row + 1 if there else 0
            if in_a_row == 4:
                break
            if not there:
                time.sleep(0.2)
        step(what, in_a_row == 4, browser)

    def when(browser, truth):
        return browser, truth(browser)

    # A sign-in links a user to the provider for good, so dan must not try before the change has come to
    # every worker: carol, who has a phone number and no email, shows when it has.
    change("claim: email, attribute: email", "claim: phone_number, attribute: phone", "mapped by phone, carol is in",
           lambda: when(sign_in(Browser(), demo, "carol"), lambda b: b.status == 200))
    dan = sign_in(Browser(), demo, "dan")
    step("dan and erin share a number: identity_ambiguous", refused(dan, 403, "identity_ambiguous"), dan)
    change("claim: phone_number, attribute: phone", "claim: email, attribute: email", "mapped by email, dan is in",
           lambda: when(sign_in(Browser(), demo, "dan"), lambda b: b.status == 200))
    change("mode: enabled ", "mode: admins ", "administrators only: bob's password is refused",
           lambda: when(password(demo, "bob"), lambda b: refused(b, 403, "password_not_allowed")))
    step("an unknown user's is refused the same way", refused(password(demo, "nobody"), 403, "password_not_allowed"))
    by_password.once("GET", f"{app}/reports?q=1")
    step("bob's password session is over", by_password.status in (302, 303), by_password)
    ada = password(demo, "ada")
    step("ada's password still works", ada.status == 200 and "Ada Lovelace" in ada.text, ada)
    by_sso.get(f"{app}/reports?q=2")
    step("bob's SSO session goes on", by_sso.status == 200 and "Bob Noyce" in by_sso.text, by_sso)
    change("mode: admins ", "mode: disabled ", "disabled: ada's password is refused",
           lambda: when(password(demo, "ada"), lambda b: refused(b, 403, "password_disabled")))
    ada.once("GET", f"{app}/reports?q=1")
    step("her password session is over", ada.status in (302, 303), ada)
    by_sso.get(f"{app}/reports?q=3")
    step("bob's SSO session goes on", by_sso.status == 200 and "Bob Noyce" in by_sso.text, by_sso)
    export = Browser().once("GET", f"{app}/api/export/rows", headers={"authorization": "Basic " + base64.b64encode(b"bob:local").decode()}.items())
    step("programs keep their own credentials", export.status == 200 and '"bob"' in export.text, export)
    change("mode: disabled ", "mode: enabled ", "rolled back: bob's password works again",
           lambda: when(password(demo, "bob"), lambda b: b.status == 200 and "Bob Noyce" in b.text))
    change("sso: enabled ", "sso: disabled ", "before SSO: the application's own form, and nothing else",
           lambda: when(Browser().get(f"{app}/reports?q=1"), lambda b: b.url == f"{app}/login" and b.status == 200))
    forged = Browser().once("GET", f"{app}/reports?q=1", headers={"x-sso-user": "ada", "X_SSO_User": "ada"}.items())
    step("a forged header makes no request ada's", forged.status == 303, forged)


def account_center(demo, step):
    """The same migration by an administrator's clicks, beginning where the file has single sign-on off: docs/migration.md."""
    settings = f"{demo.app}/sso/admin/settings"

    def holds(what, browser_of, truth):
        """On both Envoys, for each worker that a connection may come to."""
        in_a_row, browser = 0, None
        for _ in range(300):
            browsers = [browser_of(address) for address in (demo.app, demo.other)]
            browser = next((one for one in browsers if not truth(one)), browsers[0])
            in_a_row = in_a_row + 1 if all(map(truth, browsers)) else 0
            if in_a_row == 4:
                break
            if not in_a_row:
                time.sleep(0.2)
        step(what, in_a_row == 4, browser)

    def by_password(name):
        return lambda address: password(demo, name, address)

    def draft(what, **fields):
        ada.get(settings).submit('value="save"', do="save", **fields)
        step(f"draft: {what}", ada.status == 200 and "The draft is saved." in ada.text, ada)

    def tested(what):
        # As the page has it: it must offer the test.
        [link] = re.findall(r'href="([^"]*/settings/test[^"]*)"', ada.get(settings).text)
        ada.get(urljoin(settings, html.unescape(link)))
        if ada.url.startswith(demo.idp):
            ada.submit(login="ada", password="idp")
        step(what, ada.status == 200 and "Test sign-in" in ada.text and "it leads to ada" in ada.text, ada)

    def enabled(what):
        ada.get(settings).submit('value="enable"', do="enable")
        step(what, ada.status == 200 and "The settings hold now." in ada.text, ada)

    bob = password(demo, "bob").get(settings)
    step("bob's password does not open the Account Center", "What holds now" not in bob.text, bob)
    ada = password(demo, "ada").get(settings)
    step("ada's does, while single sign-on is off", ada.status == 200 and "Version 0" in ada.text, ada)
    draft("single sign-on beside passwords", **{"sso": "enabled", "password.mode": "enabled"})
    ada.get(settings).submit('value="enable"', do="enable")
    step("enabling is refused until ada has signed in with it", refused(ada, 409, "settings_untested"), ada)
    tested("ada tests the sign-in")
    enabled("and enables it")
    holds("side by side: bob's password opens a session",
          lambda address: password(demo, "bob", address).once("GET", f"{address}/sso/session"), lambda b: b.status == 200)
    by_sso = sign_in(Browser(), demo, "bob")
    step("and he is in by the provider", by_sso.status == 200 and "Bob Noyce" in by_sso.text, by_sso)
    draft("administrators only", **{"password.mode": "admins"})
    tested("ada tests again")
    enabled("and enables it again")
    holds("administrators only: bob's password is refused", by_password("bob"), lambda b: refused(b, 403, "password_not_allowed"))
    holds("ada's still works", by_password("ada"), lambda b: b.status == 200 and "Ada Lovelace" in b.text)
    by_sso.get(f"{demo.app}/reports?q=4")
    step("bob's session by the provider goes on", by_sso.status == 200 and "Bob Noyce" in by_sso.text, by_sso)
    ada.get(settings).submit('name="version" value="1"', do="rollback")
    step("back in one step", ada.status == 200 and "The older settings hold again." in ada.text, ada)
    holds("bob's password works again", by_password("bob"), lambda b: b.status == 200 and "Bob Noyce" in b.text)
    ada.get(settings).submit('name="version" value="0"', do="rollback")
    holds("back to the file: the application's own form, and nothing else",
          lambda address: Browser().get(f"{address}/reports?q=1"), lambda b: b.url.endswith("/login") and b.status == 200)


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
    step("the application has verified the signed identity", "sso corp, by a signature that holds" in b.text, b)
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
    step("and no user is signed in", b.status == 401, b)

    for name, code in (("carol", "identity_unknown"), ("grace", "identity_unknown"), ("heidi", "user_inactive")):
        other = Browser()
        sign_in(other, demo, name)
        step(f"{name} is refused: {code}", other.status == 403 and other.header("x-sso-code") == code, other)
    bob = Browser()
    sign_in(bob, demo, "bob")
    step("bob is in", bob.status == 200 and "Bob Noyce" in bob.text, bob)
    bob.get(f"{app}/admin/settings")
    step("but not among the settings: role_missing", bob.status == 403 and bob.header("x-sso-code") == "role_missing", bob)

    ada = Browser()
    sign_in_by_saml(ada, demo, "ada")
    step("ada is in by SAML, at the partners' address", ada.status == 200 and ada.url == f"{demo.partners}/reports?q=1" and "Ada Lovelace" in ada.text, ada)
    ada.get(f"{demo.partners}/sso/session")
    step("the session names her and the provider", ada.status == 200 and '"ada"' in ada.text and '"partner"' in ada.text, ada)
    ada.get(f"{demo.partners}/sso/logout")
    step("signing out there ends it", ada.once("GET", f"{demo.partners}/sso/session").status == 401, ada)
    judy = Browser()
    sign_in_by_saml(judy, demo, "judy")
    step("judy is in no directory: identity_unknown", refused(judy, 403, "identity_unknown"), judy)

    local = Browser()
    local.get(f"{app}/login").submit(username="bob", password="local")
    step("a local password works beside it", local.status == 200 and "Bob Noyce" in local.text, local)
    frank = Browser()
    sign_in(frank, demo, "frank")
    step("frank is shown his invitation", frank.status == 200 and "/sso/invitation" in frank.url + frank.text, frank)
    replicas(demo, step, bob)
    migrate(demo, step, bob, local)
    account_center(demo, step)
    print(f"{sum(steps)} of {len(steps)} in {time.monotonic() - started:.1f} s", flush=True)
    return 0 if all(steps) else 1
