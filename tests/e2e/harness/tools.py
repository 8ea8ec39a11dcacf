"""Programs that some tests need: left out by name where they are missing, never with CI=true."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def need(name: str, *names: str, debian: str) -> str:
    """The path of a program: of the variable that its name gives (`CHROMIUM`), or on the PATH by one of its names."""
    for one in (name, *names):
        found = os.environ.get(one.upper().replace("-", "_")) or shutil.which(one)
        if found:
            return found
    leave_out(f"{name} is not installed (Debian: apt-get install {debian})")


def go() -> str:
    """The Go toolchain."""
    return shutil.which("go") or leave_out("go is not installed (Debian: apt-get install golang-go)")


def go_program(package: str, folder: Path) -> Path:
    """A program built from its Go module (`example.com/module/cmd/name@v1.2.3`) into this folder."""
    done = subprocess.run([go(), "install", package], capture_output=True, text=True, env=os.environ | {"GOBIN": str(folder)})
    if done.returncode:
        leave_out(f"{package} cannot be built: {done.stderr[-300:]}")
    return folder / package.partition("@")[0].rpartition("/")[2]


def leave_out(why: str) -> None:
    """Ends the test: skipped where a person runs it, failed with CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"with CI=true nothing may be left out: {why}")
    pytest.skip(f"left out: {why}", allow_module_level=True)
