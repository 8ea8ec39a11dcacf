"""Applications with logins that we did not write: tests/e2e/applications, and how the filter is told of each login."""

import glob
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from . import process
from .net import PROJECT, WORK, eventually, free_port
from .tools import leave_out

PLACE = PROJECT / "tests/e2e/applications"
PYTHON = PROJECT / ".venv-applications/bin/python"
TOMCAT = pathlib.Path("/usr/share/java/tomcat10-embed-core.jar")
MODULES = "/usr/lib/apache2/modules"


@dataclass(frozen=True)
class Login:
    """A login of `password.logins`, as docs/passwords.md recommends it, and what the test has to know of the application."""

    runs: str  # the application, of COMMANDS
    login: dict
    me: str = "/me"  # says whom the application's own session signed in
    first: str | None = None  # a page that gives the session in which the login is
    headers: dict = field(default_factory=dict)  # of its script

    @property
    def path(self) -> str:
        return self.login["path"]

    @property
    def name_field(self) -> str:
        return "j_username" if self.path == "/j_security_check" else "username"

    @property
    def is_json(self) -> bool:
        return "json" in self.login["username"]


def form(path: str, *fields: str, name: str = "username", **success) -> dict:
    return {"path": path, "username": {"form": name}, "fields": list(fields), "success": success}


def by_json(path: str, **success) -> dict:
    return {"path": path, "username": {"json": "/username"}, "fields": ["username", "password"], "success": success}


ENHANCED = {"x-sveltekit-action": "true", "accept": "application/json"}
LOGINS = {
    "django": Login("django", form("/accounts/login/", "username", "password", "csrfmiddlewaretoken", "next", redirect_not="/accounts/login/*")),
    "dj-rest-auth": Login("dj-rest-auth", by_json("/auth/login/", status=[200], json={"pointer": "/key"})),
    "flask": Login("flask", form("/login", "username", "password", "csrf_token", redirect_not="/login*")),
    "fastapi": Login("fastapi", by_json("/api/login", json={"pointer": "/access_token"})),
    "express": Login("express", form("/login", "username", "password", redirect_not="/login*")),
    "sveltekit": Login("sveltekit", form("/login", "username", "password", redirect_not="/login*"), headers={"accept": "text/html"}),
    "sveltekit-enhanced": Login("sveltekit", form("/login", "username", "password", json={"pointer": "/type", "equals": "redirect"}), headers=ENHANCED),
    "php": Login("php", form("/login.php", "username", "password", redirect="/me.php"), me="/me.php"),
    "apache": Login("apache", form("/login.php", "username", "password", redirect="/me.php"), me="/me.php"),
    "sinatra": Login("sinatra", form("/login", "username", "password", "authenticity_token", redirect_not="/login*")),
    "servlet": Login("tomcat", form("/login", "username", "password", redirect_not="/login*")),
    "container": Login("tomcat", form("/j_security_check", "j_username", "j_password", name="j_username", redirect_not="/form*"), me="/inside", first="/inside"),
}


def _php_module() -> str:
    """Apache's, of whichever version is installed."""
    return next(iter(sorted(glob.glob(f"{MODULES}/libphp*.so"))), "")


COMMANDS = {
    "django": lambda port, place: [PYTHON, PLACE / "django_app.py", port, place],
    "dj-rest-auth": lambda port, place: [PYTHON, PLACE / "dj_rest_auth_app.py", port, place],
    "flask": lambda port, place: [PYTHON, PLACE / "flask_app.py", port, place],
    "fastapi": lambda port, place: [PYTHON, PLACE / "fastapi_app.py", port, place],
    "express": lambda port, place: ["node", PLACE / "express_app.js", port, place],
    "sveltekit": lambda port, place: ["node", PLACE / "sveltekit/build"],
    "php": lambda port, place: ["php", "-d", f"session.save_path={place}", "-S", f"127.0.0.1:{port}", "-t", PLACE / "php"],
    "apache": lambda port, place: [_apache(), "-f", PLACE / "apache.conf", "-D", "FOREGROUND"],
    "sinatra": lambda port, place: ["ruby", PLACE / "sinatra_app.rb", port],
    "tomcat": lambda port, place: ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", TOMCAT, PLACE / "ServletApp.java", port, place],
}


def _apache() -> str | None:
    return shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")


def missing(name: str) -> str | None:
    """What has to be installed first; tests/setup installs it."""
    match name:
        case "php" if not shutil.which("php"):
            return "php is not installed (Debian: apt-get install php-cli)"
        case "apache" if not (_apache() and _php_module()):
            return "Apache with PHP is not installed (Debian: apt-get install apache2-bin libapache2-mod-php)"
        case "sinatra" if not shutil.which("ruby") or subprocess.run(["ruby", "-e", "require 'sinatra/base'; require 'webrick'"], capture_output=True).returncode:
            return "Sinatra is not installed (Debian: apt-get install ruby ruby-sinatra ruby-webrick)"
        case "tomcat" if not (shutil.which("javac") and TOMCAT.exists()):
            return "Tomcat is not installed (Debian: apt-get install default-jdk-headless libtomcat10-embed-java)"
    return None


class Application:
    """One of them, running once `wait` is over."""

    def __init__(self, name: str):
        self.name = name
        self.port = free_port()
        self.place = self._working_files()
        self._output = (self.place / "log").open("wb")
        command = [str(part) for part in COMMANDS[name](self.port, self.place)]
        environment = os.environ | {"PORT": str(self.port), "HOST": "127.0.0.1", "PLACE": str(self.place), "MODULES": MODULES, "PHP": _php_module()}
        # In a group of its own: Apache, when it ends, ends its whole group.
        self.process = subprocess.Popen(command, cwd=PLACE, env=environment, stdout=self._output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def _working_files(self) -> pathlib.Path:
        if self.name != "apache":
            place = WORK / f"{self.name}-{self.port}-{time.monotonic_ns()}"
            place.mkdir(parents=True)
            return place
        # Started by root, Apache gives up its rights: pages and sessions have to be where another user may read.
        place = pathlib.Path(tempfile.mkdtemp(prefix="envoy-sso-apache-"))
        place.chmod(0o755)
        shutil.copytree(PLACE / "php", place / "php")
        for file in (place / "php").iterdir():
            file.chmod(0o644)
        (place / "php").chmod(0o755)
        (place / "sessions").mkdir()
        (place / "sessions").chmod(0o777)
        return place

    def wait(self) -> "Application":
        eventually(self._up, 180, every=0.2, what=f"the application {self.name} ({self.place}/log)")
        return self

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {(self.place / 'log').read_text(errors='replace')[-3000:]}")
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ends this application and no other process."""
        process.end(self.process, self._output)
        if self.name == "apache":
            shutil.rmtree(self.place, ignore_errors=True)


class Applications:
    """Every application that can run here, started side by side."""

    def __init__(self, names=None):
        names = dict.fromkeys(names or [login.runs for login in LOGINS.values()])
        self.missing = {name: why for name in names if (why := missing(name))}
        self.running: dict[str, Application] = {}
        try:
            for name in names:
                if name not in self.missing:
                    self.running[name] = Application(name)
            for one in self.running.values():
                one.wait()
        except BaseException:
            self.stop()
            raise

    def need(self, name: str) -> Application:
        """Leaves the test out, by name, where the application cannot run."""
        if name in self.missing:
            leave_out(self.missing[name])
        return self.running[name]

    def stop(self) -> None:
        for one in self.running.values():
            one.stop()
