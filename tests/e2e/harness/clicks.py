"""An administrator at the page of the settings, in a real browser: by clicks alone, and without JavaScript."""

import contextlib

from .browser import Browser
from .net import eventually


def gets_in(step: str, where: str, row, wanted: list[str]) -> None:
    """Waits until who gets in is as the table of a step has it, by two rows: each connection comes to either worker."""
    seen = []

    def as_expected():
        seen[:] = [row() for _ in range(2)]
        return all(row == wanted for row in seen)

    try:
        eventually(as_expected, 60)
    except AssertionError as failed:
        raise AssertionError(f"{step}, {where}: {seen}, not {wanted}\n{failed}") from None


class Keyboard:
    """`at_the_provider(browser, name)` goes through the provider's own pages and comes back."""

    def __init__(self, browser: Browser, settings: str, at_the_provider):
        self.browser, self.url, self.at_the_provider = browser, settings, at_the_provider

    @contextlib.contextmanager
    def without_scripts(self):
        """Providers' own pages need them, these pages do not."""
        self.browser.scripts(False)
        try:
            yield
        finally:
            self.browser.scripts(True)

    def open(self) -> None:
        self.browser.get(self.url)
        self.browser.wait(lambda b: "What holds now" in b.text, "the settings")

    def order(self, name: str) -> None:
        self.browser.click(f"button[name=do][value={name}]")

    def choose(self, name: str, value: str) -> None:
        self.browser.click(f"select[name='{name}'] option[value='{value}']")

    def save(self) -> None:
        with self.without_scripts():
            self.order("save")
            self.browser.wait(lambda b: "The draft is saved." in b.text, "the draft")

    def test_sign_in(self, name: str) -> None:
        """As this user, to whom it must lead."""
        self.open()
        self.browser.click_text("Test the sign-in")
        self.at_the_provider(self.browser, name)
        self.browser.wait(lambda b: "Test sign-in" in b.text, "the outcome")
        assert f"it leads to {name}" in self.browser.text, self.browser.text

    def is_held_back(self) -> None:
        """The guard against locking oneself out."""
        with self.without_scripts():
            self.open()
            self.order("enable")
            self.browser.wait(lambda b: "could lock administrators out" in b.text, "the guard")

    def enable(self) -> None:
        with self.without_scripts():
            self.open()
            self.order("enable")
            self.browser.wait(lambda b: "The settings hold now." in b.text, "the word that they hold")

    def passwords(self, mode: str, name: str) -> None:
        """A draft with another mode, tested by this administrator and enabled."""
        with self.without_scripts():
            self.open()
            self.choose("password.mode", mode)
        self.save()
        self.test_sign_in(name)
        self.enable()

    def invite(self, email: str, role: str) -> None:
        with self.without_scripts():
            self.open()
            self.browser.fill("email", email)
            self.browser.click(f"input[name=roles][value={role}]")
            self.order("invite")
            self.browser.wait(lambda b: "The invitation stands." in b.text, "the invitation")

    def back_to(self, version: int) -> None:
        """Where that ends the administrator's own session, it leads to a sign-in."""
        button = f"//form[input[@name='version' and @value='{version}']]//button"
        done = ["The older settings hold again.", "Sign in with a password"]
        with self.without_scripts():
            self.open()
            self.browser.driver.find_element("xpath", button).click()
            self.browser.wait(lambda b: any(text in b.text for text in done), "the older settings")
