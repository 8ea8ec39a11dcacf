"""Every kind of page in a real browser, in every language that comes along: nothing that axe-core finds, light and dark, at
320, 360 and 1100 pixels; nothing to scroll sideways; the Tab key comes to everything in its order."""

import pytest
import yaml

from harness.app import Answer
from harness.browser import Browser
from harness.center import PEOPLE, Center, self_service
from harness.net import PROJECT
from harness.https import Front, flags

TRANSLATIONS = {tag: yaml.safe_load((PROJECT / f"envoy/translations/{tag}.yaml").read_text()) for tag in ("de", "zh-CN")}
LANGUAGES = ["en", *TRANSLATIONS]
WIDTHS = [320, 360, 1100]
USERS = [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
         {"username": "bob", "email": "bob@acme.com", "roles": ["member"]},
         *({"username": f"user-{n}", "email": f"user-{n // 2}@acme.com"} for n in range(30)),
         {"username": "an.extraordinarily.long.username.without.any.space.in.it"}]
# The page of each kind: account, who is signed in, path. What is more than a path has a function below.
KINDS = {
    "sign-in": ("many", None, "/reports"),
    "sign-in-again": ("many", None, "/sso/login?email=somebody@elsewhere.example"),
    "which-account": ("one", None, "/reports"),
    "refused": ("many", None, "/sso/oidc/consume?u=many&code=x&state=y"),
    "refused-with-a-session": ("acme", "ada", "/sso/oidc/consume?u=acme&code=x&state=y"),
    "unknown": None,
    "role-missing": ("acme", "bob", "/admin/users"),
    "no-administrator": ("acme", "bob", "/sso/admin/settings"),
    "no-such-page": ("many", None, "/sso/saml/metadata?u=many"),
    "sign-out": None,
    "arrival": None,
    "signed-out": ("many", None, "/sso/logout-complete"),
    "still-signed-in": ("acme", "ada", "/sso/logout-complete"),
    "invitation": None,
    "one-moment": None,
    "one-more-step": None,
    "admin": ("acme", "ada", "/sso/admin"),
    "sessions": ("acme", "ada", "/sso/admin/sessions"),
    "settings": ("acme", "ada", "/sso/admin/settings"),
    "settings-another": ("acme", "ada", "/sso/admin/settings?idp="),
    "settings-invalid": None,
    "settings-untested": None,
    "trial": None,
    "trial-failed": None,
}


@pytest.fixture(scope="module")
def stage(make_world):
    """One Envoy, one engine, one browser; a draft, an invitation and a history are there."""
    center = Center(make_world, "every-page", replicas=1, start=False)
    [world] = center.worlds
    world.pages = {"name": "Lakehouse", "contact": "mailto:it@acme.com", "translations": TRANSLATIONS}
    center.account.config |= self_service(USERS) | {"provisioning": {"mode": "invited"}}
    password = {"mode": "enabled", "page": "/login", "admin_roles": ["account_admin"],
                "logins": [{"path": "/api/login", "username": {"form": "username"}, "success": {"status": [200]}}]}
    for code in ("many", "one", "two"):
        account = world.account(code, {"password": password, "directory": {"static": {"users": USERS}}})
        account.config["access"].insert(0, {"path": "/login", "allow": "anyone"})
        if code != "many":
            account.origin = "https://shared.app.test"
            account.config["origins"] = [account.origin]
    [corp] = world.accounts["many"].config["identity_providers"]
    world.accounts["many"].config["identity_providers"] = [
        corp | {"email_domains": ["acme.com"], "icon": "/static/acme.svg"}, corp | {"id": "partners", "title": "Partners"}]
    world.app.routes["/static/acme.svg"] = lambda _: Answer(
        200, [("content-type", "image/svg+xml")], b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><path d='M0 0h9v9z'/></svg>")
    world.app.routes["/elsewhere"] = lambda _: Answer(200, [("content-type", "text/html")], ELSEWHERE)
    center.start()
    ada = center.signed_in("ada")
    center.reset(ada)
    assert center.call(ada, "PUT", "settings/draft", {"password": {"mode": "disabled"}}).status == 200
    assert center.call(ada, "POST", "settings/enable", {"confirm": True}).status == 200
    assert center.call(ada, "PUT", "settings/draft", {"mapping": {"claim": "email", "attribute": "email"}}).status == 200
    for name in ("carol", "dan"):
        made = center.call(ada, "POST", "invitations", {"email": f"{name}@acme.com", "roles": ["member"]})
        assert made.status == 201, made
    center.signed = {"ada": ada, "bob": center.signed_in("bob")}
    center.fronts = [Front(world.port), Front(world.app.port)]
    names = {f"{name}.app.test": center.fronts[0].port for name in ("acme", "many", "shared", "other")}
    center.browser = Browser(*flags(names | {"elsewhere.test": center.fronts[1].port}))
    yield center
    center.browser.stop()
    for front in center.fronts:
        front.stop()
    center.etcd.stop()


ELSEWHERE = b"""<title>Elsewhere</title><a href="https://acme.app.test/sso/logout">out</a> <a href="https://acme.app.test/sso/admin">admin</a>
<form method="post" action="https://many.app.test/sso/oidc/consume?u=many"><input type="hidden" name="code" value="x">
<input type="hidden" name="state" value="y"><button>post</button></form>"""


def from_elsewhere(stage, browser, what: str) -> None:
    browser.get("https://elsewhere.test/elsewhere")
    browser.click_text(what)


def called_back(stage, browser, start: str, client, person: str) -> None:
    """The browser comes back from the provider as this person."""
    stage.account.idp.person = PEOPLE[person]
    begun = client.browse(stage.account.url(start))
    back = client.browse(begun.location)
    browser.keep(client, stage.account.origin)
    browser.get(back.location)


def tried(stage, browser, person: str) -> None:
    browser.keep(stage.signed["ada"], stage.account.origin)
    client = stage.client()
    client.cookies = dict(stage.signed["ada"].cookies)
    called_back(stage, browser, "/sso/admin/settings/test?idp=corp", client, person)


def posted(stage, browser, **fields) -> None:
    """The page's own form, with something wrong in it."""
    browser.keep(stage.signed["ada"], stage.account.origin)
    browser.get(stage.account.url("/sso/admin/settings"))
    for name, value in fields.items():
        if name != "do":
            browser.driver.execute_script(f"document.getElementsByName({name!r})[0].value = arguments[0]", value)
    # The page before has a heading too: it must have gone before the next one is looked at.
    browser.driver.execute_script("document.documentElement.dataset.before = '1'")
    browser.click(f"button[name=do][value={fields['do']}]")
    browser.wait(lambda b: b.driver.execute_script("return document.readyState === 'complete' && !document.documentElement.dataset.before"),
                 "the page after the form")


def invited(stage, browser) -> None:
    client = stage.client()
    stage.account.idp.person = PEOPLE["carol"]
    hops = client.login(stage.account.url("/sso/login?u=acme&return_to=/x"))
    assert hops[-1].code == "invitation", hops
    browser.keep(client, stage.account.origin)
    browser.get(stage.account.url("/sso/invitation"))


def one_more_step(stage, browser) -> None:
    browser.devtools("Network.setExtraHTTPHeaders", headers={"Sec-Purpose": "prefetch"})
    browser.get(stage.worlds[0].accounts["many"].url("/reports"))
    browser.devtools("Network.setExtraHTTPHeaders", headers={})


def one_moment(stage, browser) -> None:
    browser.scripts(False)  # else it goes on by itself
    from_elsewhere(stage, browser, "post")


def asked_from_elsewhere(stage, browser, what: str) -> None:
    browser.keep(stage.signed["ada"], stage.account.origin)
    from_elsewhere(stage, browser, what)


WAYS = {
    "unknown": lambda stage, browser: called_back(stage, browser, "/sso/login?u=acme&return_to=/x", stage.client(), "eve"),
    "sign-out": lambda stage, browser: asked_from_elsewhere(stage, browser, "out"),
    "arrival": lambda stage, browser: asked_from_elsewhere(stage, browser, "admin"),
    "invitation": invited,
    "one-moment": one_moment,
    "one-more-step": one_more_step,
    "settings-invalid": lambda stage, browser: posted(
        stage, browser, do="save", **{"oidc.discovery": "https://10.0.0.1/x", "mapping.claim": "", "provider.id": "ä"}),
    "settings-untested": lambda stage, browser: posted(stage, browser, do="enable"),
    "trial": lambda stage, browser: tried(stage, browser, "ada"),
    "trial-failed": lambda stage, browser: tried(stage, browser, "eve"),
}
PEOPLE["eve"] = {"sub": "9", "email": "eve@elsewhere.example", "email_verified": True,
                 "groups": ["a-group-with-an-extraordinarily-long-name-that-does-not-fit-into-a-narrow-screen"] * 3}


def come_to(stage, browser, kind: str, language: str) -> None:
    browser.devtools("Network.clearBrowserCookies")
    browser.language(language)
    if KINDS[kind] is None:
        WAYS[kind](stage, browser)
    else:
        account, user, path = KINDS[kind]
        account = stage.worlds[0].accounts[account]
        if user:
            browser.keep(stage.signed[user], account.origin)
        browser.get(account.url(path))
    browser.wait(lambda b: b.driver.find_element("css selector", "main h1").is_displayed(), kind)
    browser.scripts(True)  # what the page would have run it does not run later
    assert browser.driver.find_element("css selector", "html").get_attribute("lang") == language
    browser.driver.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_in_anybodys_way(stage, kind):
    browser, found = stage.browser, []
    for language in LANGUAGES:
        browser.size(1100, 900)
        come_to(stage, browser, kind, language)
        for scheme in ("light", "dark"):
            browser.colours(scheme)
            for width in WIDTHS:
                browser.size(width, 900)
                wide = browser.driver.execute_script("return document.scrollingElement.scrollWidth")
                where = f"{language}, {scheme}, {width}"
                found += [f"{where}: {wide} pixels wide"] if wide > width else []
                # Of all that axe-core looks at, colours alone are others in the dark.
                rules = None if scheme == "light" else ["color-contrast", "link-in-text-block"]
                found += [f"{where}: {violation}" for violation in browser.violations(rules=rules)]
        assert browser.complaints() == [], language
    assert not found, "\n".join(found[:20]) + f"\n{len(found)} in all"
    browser.size(1100, 900)
    come_to(stage, browser, kind, "en")
    assert browser.by_tab(200) == browser.in_order()


def test_every_refusal_fits_a_narrow_screen(stage):
    """The frame of a refusal is one; its sentences are put into it for every code."""
    browser = stage.browser
    come_to(stage, browser, "refused", "en")
    browser.size(320, 900)
    seen = 0
    for tag, texts in TRANSLATIONS.items():
        for code in {key.split(".")[0] for key in texts if key.endswith(".what") and key.split(".")[0] + ".do" in texts}:
            wide = browser.driver.execute_script(
                """document.documentElement.lang = arguments[1];
                const parts = document.querySelectorAll('main h1, main [role=alert] p');
                [...parts].forEach((part, n) => { part.textContent = arguments[0][n] ?? '' });
                return document.scrollingElement.scrollWidth""",
                [texts.get(f"{code}.{part}", "") for part in ("title", "what", "do")], tag)
            assert wide <= 320, (tag, code, wide)
            seen += 1
    assert seen > 70
