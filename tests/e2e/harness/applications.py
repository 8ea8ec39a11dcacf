"""Applications that we did not write around logins that we did not write: tests/e2e/applications."""

import shutil
import socket
import subprocess
import time

import pytest

from . import process
from .net import PROJECT, WORK, eventually, free_port

PLACE = PROJECT / "tests/e2e/applications"
PYTHON = PROJECT / ".venv-applications/bin/python"
COMMANDS = {
    "django": lambda port, place: [PYTHON, PLACE / "django_app.py", port, place],
    "flask": lambda port, place: [PYTHON, PLACE / "flask_app.py", port, place],
    "fastapi": lambda port, place: [PYTHON, PLACE / "fastapi_app.py", port, place],
    "express": lambda port, place: ["node", PLACE / "express_app.js", port, place],
    "php": lambda port, place: ["php", "-d", f"session.save_path={place}", "-S", f"127.0.0.1:{port}", "-t", PLACE / "php"],
}


class Application:
    def __init__(self, name: str):
        if name == "php" and not shutil.which("php"):
            pytest.skip("php is not installed")
        self.port = free_port()
        place = WORK / f"{name}-{self.port}-{time.monotonic_ns()}"
        place.mkdir(parents=True)
        self._output = (place / "log").open("wb")
        command = [str(part) for part in COMMANDS[name](self.port, place)]
        self.process = subprocess.Popen(command, cwd=PLACE, stdout=self._output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        eventually(self._up, 90, every=0.2, what=f"the application {name} ({place}/log)")

    def _up(self) -> bool:
        assert self.process.poll() is None, "the application ended"
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ends this application and no other process."""
        process.end(self.process, self._output)
