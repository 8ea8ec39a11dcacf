"""A real headless Chromium, driven by Debian's chromedriver."""

import pathlib
import shutil
import tempfile
import urllib.parse

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from .net import PROJECT, WORK
from .tools import need

SCREENSHOTS = PROJECT / ".work" / "screenshots"
AXE = PROJECT / "tests" / "e2e" / "node_modules" / "axe-core" / "axe.min.js"


class Browser:
    """A browser with an empty profile of its own."""

    def __init__(self, *flags: str):
        WORK.mkdir(parents=True, exist_ok=True)
        self.profile = tempfile.mkdtemp(prefix="chromium-", dir=WORK)
        options = webdriver.ChromeOptions()
        options.binary_location = need("chromium", "chromium-browser", "google-chrome", debian="chromium")
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--window-size=1000,760", f"--user-data-dir={self.profile}", *flags):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(need("chromedriver", debian="chromium-driver")))
        self.driver.set_page_load_timeout(60)

    def stop(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def get(self, url: str) -> None:
        self.driver.get(url)

    @property
    def url(self) -> str:
        return self.driver.current_url

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait(self, condition, what: str = "page", limit: float = 60):
        """Waits until `condition(self)` holds."""
        try:
            return WebDriverWait(self.driver, limit, ignored_exceptions=(Exception,)).until(lambda _: condition(self))
        except Exception:
            raise AssertionError(f"{what} did not come; at {self.url}: {self.text[:1500]}") from None

    def fill(self, name: str, value: str) -> None:
        field = self.wait(lambda b: b.driver.find_element(By.NAME, name), f"field {name}")
        field.clear()
        field.send_keys(value)

    def click(self, selector: str) -> None:
        self.wait(lambda b: b.driver.find_element(By.CSS_SELECTOR, selector), selector).click()

    def click_text(self, text: str) -> None:
        path = f"//*[self::a or self::button][contains(normalize-space(.), {text!r})]"
        self.wait(lambda b: b.driver.find_element(By.XPATH, path), text).click()

    def screenshot(self, name: str) -> pathlib.Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.driver.save_screenshot(str(path))
        return path

    def devtools(self, command: str, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def language(self, accept: str) -> None:
        """What the browser sends as Accept-Language."""
        agent = self.driver.execute_script("return navigator.userAgent")
        self.devtools("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=accept)

    def colours(self, scheme: str) -> None:
        """As somebody sees pages who prefers `light` or `dark`."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def scripts(self, on: bool) -> None:
        """Lets pages run JavaScript, or not."""
        self.devtools("Emulation.setScriptExecutionDisabled", value=not on)

    def size(self, width: int, height: int) -> None:
        """The room that pages have, whatever the window is."""
        self.devtools("Emulation.setScrollbarsHidden", hidden=True)
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def keep(self, client, origin: str) -> None:
        """The cookies that a `Client` has at this origin."""
        host = urllib.parse.urlsplit(origin).hostname
        for cookie in client.cookies.values():
            if cookie.host == host:
                self.devtools("Network.setCookie", name=cookie.name, value=cookie.value, url=origin + cookie.path,
                              path=cookie.path, httpOnly=True, secure=cookie.secure)

    def violations(self, undecided: bool = True, rules: list[str] | None = None) -> list[str]:
        """What axe-core finds wrong with the page, by these or by all of its rules (WCAG 2.2 A and AA, and best practices),
        and what it leaves `undecided`, but for ticks and crosses that stand beside a word."""
        if not self.driver.execute_script("return !!window.axe"):
            self.driver.execute_script(AXE.read_text())
        found = self.driver.execute_async_script("""const done = arguments[arguments.length - 1];
            const only = arguments[0] ? {runOnly: {type: 'rule', values: arguments[0]}} : {};
            axe.run(document, {resultTypes: ['violations', 'incomplete'], ...only})
               .then(done, failed => done({failed: String(failed)}))""", rules)
        assert "failed" not in found and found["passes"], found
        return [f"{rule['id']}: {node['html']} {node.get('failureSummary')}"
                for kind in ("violations", "incomplete") for rule in found[kind] for node in rule["nodes"]
                if kind == "violations" or undecided and 'aria-hidden="true"' not in node["html"]]

    def press(self, *keys: str) -> None:
        """Keys, to whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def by_tab(self, most: int = 40) -> list[str]:
        """What the Tab key comes to, in order: text or name, each with a focus that can be seen."""
        order = []
        for _ in range(most):
            self.press(Keys.TAB)
            at = self.driver.execute_script("""const at = document.activeElement, style = getComputedStyle(at);
                if (!at || at === document.body || at === document.documentElement) return null;
                const box = at.getBoundingClientRect();
                return {name: at.name || at.getAttribute('aria-label') || at.textContent.trim(),
                        seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0,
                        again: at.dataset.seen === '1', mark: (at.dataset.seen = '1')}""")
            if at is None or at["again"]:
                break
            assert at["seen"], f"the focus on {at['name']!r} cannot be seen"
            order.append(at["name"])
        return order

    def in_order(self) -> list[str]:
        """What the Tab key has to come to: every link, button and field that can be seen, in the order of the page. Of the
        radio buttons of a group it comes to the one that is chosen."""
        return self.driver.execute_script("""const all = document.querySelectorAll(
                'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]');
            const seen = one => one.getClientRects().length && (one.type !== 'radio' || one.checked);
            return [...all].filter(seen).map(at => at.name || at.getAttribute('aria-label') || at.textContent.trim())""")

    def complaints(self) -> list[str]:
        """What the console says that a page of ours must not cause: policy violations and script errors."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if "Content Security Policy" in entry["message"] or entry["source"] == "javascript"]

    # The form of oidc-provider's devInteractions.

    def sign_in(self, login: str, password: str = "any password") -> None:
        self.fill("login", login)
        self.fill("password", password)
        self.click("button[type=submit]")

    def consent(self) -> None:
        self.click("button[type=submit]")
