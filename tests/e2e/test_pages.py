"""Every kind of page in a real browser: accessible in light and dark, by keyboard, on a narrow screen, without
JavaScript. With UPDATE_SCREENSHOTS=1 the pictures of the README are made anew."""

import os
import re
import struct

import pytest
from selenium.webdriver.common.keys import Keys

from harness.app import Answer
from harness.browser import Browser
from harness.client import Client
from harness.net import PROJECT

PICTURES = PROJECT / "docs" / "screenshots"
WIDTH = 900
LOGO = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><circle cx="20" cy="20" r="20" fill="#0b7a75"/>
<path d="M8 24q6-6 12 0t12 0" fill="none" stroke="#fff" stroke-width="4"/></svg>"""
PAGES = {"name": "Lakehouse", "logo": "/static/logo.svg", "accent": "#0b7a75", "contact": "mailto:it@acme.com",
         "translations": {"zh-CN": {"sign_in.title_to": "登录 {name}", "sign_in.email": "工作邮箱"}}}
USERS = [{"username": "ada", "email": "ada@acme.com", "roles": ["account_admin"]},
         {"username": "bob", "email": "bob@acme.com"}, {"username": "cyd"},
         {"username": "dan", "email": "team@acme.com"}, {"username": "eve", "email": "team@acme.com"}]
# The page of each kind, by what it takes to come to it; then what the Tab key comes to on it, in order.
KINDS = {
    "sign-in": ["email", "Continue with email", "Continue with Acme staff", "Continue with Partners",
                "Sign in with a password", "it@acme.com"],
    "sign-in-again": ["email", "Continue with email", "Continue with Acme staff", "Continue with Partners",
                      "Sign in with a password", "it@acme.com"],
    "which-account": ["u", "Continue", "it@acme.com"],
    "refused": ["Try again", "Sign in with a password", "it@acme.com"],
    "refused-with-a-session": ["Continue as ada", "Try again", "Sign in with a password", "it@acme.com"],
    "role-missing": ["Use another account", "Go to the start page", "Sign out", "it@acme.com"],
    "not-ready": None,
    "sign-out": ["Sign out", "Stay signed in", "it@acme.com"],
    "signed-out": ["Sign in again", "it@acme.com"],
    "invitation": ["decision", "decision", "it@acme.com"],
    "one-moment": ["Continue", "it@acme.com"],
    "admin": None,
}
# Those of the README, with the height that shows them.
SHOWN = {"sign-in": 720, "refused": 640, "sign-out": 500, "admin": 960}


@pytest.fixture(scope="module")
def world(make_world):
    world = make_world("pages", cookies={"secure": False})
    world.pages = PAGES
    password = {"mode": "enabled", "page": "/login", "admin_roles": ["account_admin"],
                "logins": [{"path": "/api/login", "username": {"form": "username"}, "success": {"status": [200]}}]}
    for code in ("acme", "invited", "one", "two"):
        account = world.account(code, {"password": password, "directory": {"static": {"users": USERS}},
                                       "mapping": {"roles_claim": None}})
        account.origin = f"http://{'shared' if code in ('one', 'two') else code}.localhost:{world.port}"
        account.config["origins"] = [account.origin]
    [corp] = world.accounts["acme"].config["identity_providers"]
    partners = corp | {"id": "partners", "title": "Partners", "email_domains": ["partner.com"]}
    world.accounts["acme"].config["identity_providers"] = [corp | {"email_domains": ["acme.com"]}, partners]
    world.accounts["invited"].config |= {
        "directory": {"static": {"users": []}},
        "provisioning": {"mode": "invited", "invitations": [{"email": "ada@acme.com", "roles": ["editor"]}]}}
    world.app.routes["/static/logo.svg"] = lambda _: Answer(200, [("content-type", "image/svg+xml")], LOGO)
    world.app.routes["/login"] = lambda _: Answer(200, [("content-type", "text/html")], b"<title>Password</title>")
    world.app.routes["/elsewhere"] = lambda _: Answer(200, [("content-type", "text/html")], elsewhere(world).encode())
    world.app.routes["/scripted"] = lambda _: Answer(
        200, [("content-type", "text/html")], b"<title>as it came</title><script>document.title = 'scripted'</script>")
    for account in world.accounts.values():
        account.config["access"].insert(0, {"path": "/login", "allow": "anyone"})
    return world.start()


def elsewhere(world):
    """A page of another site with a link to ours, and a form as providers post it."""
    acme = world.accounts["acme"].origin
    return f"""<title>Elsewhere</title><a href="{acme}/sso/logout">out</a>
<form method="post" action="{acme}/sso/oidc/consume?u=acme"><input type="hidden" name="code" value="x">
<input type="hidden" name="state" value="y"><button>post</button></form>"""


@pytest.fixture(scope="module")
def shared_browser():
    browser = Browser()
    yield browser
    browser.stop()


@pytest.fixture
def browser(shared_browser):
    shared_browser.devtools("Network.clearBrowserCookies")
    shared_browser.colours("light")
    shared_browser.scripts(True)
    shared_browser.size(WIDTH, 700)
    yield shared_browser
    shared_browser.scripts(True)


def client(world):
    return Client({".localhost": world.port, ".idp.test": world.idps.port})


def person(world, code, name):
    """A client in which somebody has signed in as far as it goes."""
    account = world.accounts[code]
    account.idp.reset()
    account.idp.person = {"sub": name, "email": f"{name}@acme.com", "email_verified": True}
    one = client(world)
    return one, one.login(f"{account.origin}/sso/login?idp=corp&return_to=/reports")


def come_to(world, browser, kind):
    """Brings the browser to a page of this kind."""
    acme = world.accounts["acme"].origin
    if kind in ("refused-with-a-session", "role-missing", "sign-out", "admin"):
        one, hops = person(world, "acme", "bob" if kind == "role-missing" else "ada")
        assert hops[-1].status == 200 and hops[-1].code is None, hops
        browser.keep(one, acme)
    match kind:
        case "sign-in":
            browser.get(f"{acme}/reports")
        case "sign-in-again":
            browser.get(f"{acme}/sso/login?email=somebody@elsewhere.example")
        case "which-account":
            browser.get(f"http://shared.localhost:{world.port}/reports")
        case "refused" | "refused-with-a-session":
            browser.get(f"{acme}/sso/oidc/consume?u=acme&code=x&state=y")
        case "role-missing":
            browser.get(f"{acme}/admin/users")
        case "not-ready":
            browser.get(f"{acme}/sso/saml/metadata?u=acme")
        case "sign-out":
            browser.get(f"http://127.0.0.1:{world.app.port}/elsewhere")
            browser.click_text("out")
        case "one-moment":
            browser.scripts(False)  # else it goes on by itself
            browser.get(f"http://127.0.0.1:{world.app.port}/elsewhere")
            browser.click_text("post")
        case "signed-out":
            browser.get(f"{acme}/sso/logout-complete")
        case "invitation":
            one, hops = person(world, "invited", "ada")
            assert hops[-1].code == "invitation", hops
            browser.keep(one, world.accounts["invited"].origin)
            browser.get(world.accounts["invited"].origin + "/sso/invitation")
        case "admin":
            browser.get(f"{acme}/sso/admin")
    browser.wait(lambda b: b.driver.find_element("css selector", "main h1").is_displayed(), kind)
    browser.scripts(True)  # what the page would have run it does not run later


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_in_anybodys_way(world, browser, kind, scheme):
    browser.colours(scheme)
    come_to(world, browser, kind)
    if kind in SHOWN:
        browser.size(WIDTH, SHOWN[kind])
        picture = browser.screenshot(f"{kind}-{scheme}")
        if os.environ.get("UPDATE_SCREENSHOTS"):
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / picture.name).write_bytes(picture.read_bytes())
    assert browser.violations() == []
    assert browser.complaints() == []
    background = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) > 382) is (scheme == "light"), background
    if KINDS[kind]:
        assert browser.by_tab() == KINDS[kind]
    else:
        assert len(browser.by_tab()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrow_screen_shows_everything(world, browser, kind):
    browser.size(320, 640)  # WCAG 2.2, 1.4.10: also what 1280 pixels are at four times the size
    come_to(world, browser, kind)
    assert browser.driver.execute_script("return document.scrollingElement.scrollWidth") <= 320
    assert browser.violations() == []


def test_axe_would_find_something(world, browser):
    come_to(world, browser, "sign-in")
    browser.driver.execute_script("""document.querySelector('label').remove();
        document.querySelector('main').outerHTML = document.querySelector('main').innerHTML;
        document.querySelector('.go').style.cssText = 'background:#ccc;color:#fff';""")
    found = " ".join(browser.violations())
    assert all(rule in found for rule in ("label:", "color-contrast:", "landmark-one-main:")), found


@pytest.mark.parametrize("accent", ["#ffd400", "#777777", "#000000", "#ffffff", "#e01b24"])
def test_any_colour_of_an_operator_can_be_read(world, browser, accent):
    world.pages = PAGES | {"accent": accent}
    assert world.update()
    try:
        for scheme in ("light", "dark"):
            browser.colours(scheme)
            browser.wait(lambda b: (come_to(world, b, "sign-in"), f"--accent:{accent}" in b.driver.page_source)[1])
            assert browser.violations() == [], scheme
    finally:
        world.pages = PAGES
        assert world.update()


def test_the_operators_name_logo_and_contact_are_there_and_the_readers_language(world, browser):
    come_to(world, browser, "sign-in")
    # The name once: in the heading here, in the picture elsewhere.
    assert browser.text.startswith("Sign in to Lakehouse") and browser.driver.title == "Sign in to Lakehouse"
    logo = browser.driver.find_element("css selector", "header img")
    assert browser.driver.execute_script("return arguments[0].naturalWidth", logo) > 0
    assert browser.driver.find_element("css selector", "footer a").get_attribute("href") == "mailto:it@acme.com"
    browser.language("zh-CN,zh;q=0.9,en;q=0.8")
    try:
        come_to(world, browser, "sign-in")
        assert "登录 Lakehouse" in browser.text and "工作邮箱" in browser.text and "Continue with email" in browser.text
        assert browser.driver.find_element("css selector", "html").get_attribute("lang") == "zh-CN"
        assert browser.violations() == []
    finally:
        browser.language("en")


def test_without_javascript_and_without_a_mouse(world, browser):
    acme = world.accounts["acme"].origin
    one, _ = person(world, "acme", "ada")
    browser.scripts(False)
    browser.get(f"http://127.0.0.1:{world.app.port}/scripted")
    assert browser.driver.title == "as it came"
    # An address leads to its provider, and an unknown one back to the page with a word.
    browser.get(f"{acme}/reports")
    browser.press(Keys.TAB, "somebody@elsewhere.example", Keys.ENTER)
    browser.wait(lambda b: "No sign-in is set up" in b.text, "the page again")
    browser.press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER)
    browser.wait(lambda b: b.url.startswith(f"{acme}/login"), "the password page")
    browser.get(f"{acme}/reports")
    browser.press(Keys.TAB, "ada@partner.com", Keys.ENTER)
    browser.wait(lambda b: "idp.test" in b.url, "the provider")
    # Out, when another site asks: first stay, then go.
    for keys, code in [((Keys.TAB, Keys.TAB, Keys.ENTER), 200), ((Keys.TAB, Keys.ENTER), 401)]:
        browser.keep(one, acme)
        browser.get(f"http://127.0.0.1:{world.app.port}/elsewhere")
        browser.click_text("out")
        browser.wait(lambda b: "Another site asked" in b.text, "the question")
        browser.press(*keys)
        browser.wait(lambda b: "Another site asked" not in b.text, "the answer")
        assert one.get(f"{acme}/sso/session").status == code
    # An invitation is accepted.
    come_to(world, browser, "invitation")
    browser.scripts(False)
    browser.driver.refresh()
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait(lambda b: b.url.endswith("/reports"), "the application")
    assert "ada@acme.com" in browser.text
    # And scripts, where they are allowed, do run here: the first look was not at nothing.
    browser.scripts(True)
    browser.get(f"http://127.0.0.1:{world.app.port}/scripted")
    assert browser.driver.title == "scripted"


def test_a_form_that_goes_on_by_itself(world, browser):
    come_to(world, browser, "one-moment")
    browser.scripts(False)
    assert "You are being taken to the next step" in browser.text
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait(lambda b: "state_unknown" in b.text, "the answer, by hand")
    browser.scripts(True)
    browser.get(f"http://127.0.0.1:{world.app.port}/elsewhere")
    browser.click_text("post")
    browser.wait(lambda b: "state_unknown" in b.text, "the answer, by itself")
    assert browser.complaints() == []


def test_the_pictures_of_the_readme_are_those_made_here():
    shown = set(re.findall(r'(?:src|srcset)="(docs/screenshots/[^"]+)"', (PROJECT / "README.md").read_text()))
    made = {f"docs/screenshots/{kind}-{scheme}.png" for kind in SHOWN for scheme in ("light", "dark")}
    assert shown == made == {f"docs/screenshots/{file.name}" for file in PICTURES.glob("*.png")}
    for name in made:
        picture = (PROJECT / name).read_bytes()
        assert picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) < 100_000, name
        width, height = struct.unpack(">II", picture[16:24])
        kind = name.removeprefix("docs/screenshots/").rsplit("-", 1)[0]
        assert (width, height) == (WIDTH, SHOWN[kind]), name
