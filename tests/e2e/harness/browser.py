"""A real headless Chromium, driven by Debian's chromedriver."""

import os
import pathlib
import shutil
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from .net import PROJECT, WORK

SCREENSHOTS = PROJECT / ".work" / "screenshots"


def find(*names: str) -> str:
    for name in names:
        found = os.environ.get(name.upper().replace("-", "_")) or shutil.which(name)
        if found:
            return found
    raise RuntimeError(f"none of {', '.join(names)} is installed (Debian: apt-get install chromium chromium-driver)")


class Browser:
    """A browser with an empty profile of its own."""

    def __init__(self, *flags: str):
        WORK.mkdir(parents=True, exist_ok=True)
        self.profile = tempfile.mkdtemp(prefix="chromium-", dir=WORK)
        options = webdriver.ChromeOptions()
        options.binary_location = find("chromium", "chromium-browser", "google-chrome")
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--disable-dev-shm-usage", "--window-size=1000,760", f"--user-data-dir={self.profile}", *flags):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(find("chromedriver")))
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

    def wait_for_url(self, beginning: str) -> None:
        self.wait(lambda b: b.url.startswith(beginning), beginning)

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
