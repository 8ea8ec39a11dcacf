"""The soak (`make soak`) for a few seconds: it runs, and it finds what it is there to find."""

import os
import re
import subprocess
import sys

from harness.net import PROJECT


def soak(**environment):
    return subprocess.run(
        [sys.executable, PROJECT / "tests/soak/run"], capture_output=True, text=True, timeout=600,
        env=os.environ | {"SOAK_MINUTES": "0.2", "SOAK_WORKERS": "2"} | environment)


def test_nothing_is_wrong_in_a_few_seconds():
    done = soak()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no wrong ruling, no VM failed, every worker at work" in done.stdout


def test_without_the_filter_everything_is_wrong():
    done = soak(ENVOY_SSO_E2E_WITHOUT_FILTER="1")
    assert done.returncode == 1, done.stdout + done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if " ms " in line}
    for name in ("page", "login", "anonymous", "open", "program", "role", "password"):
        assert "WRONG" in rows[name] and "as it must" not in rows[name], rows


def test_ends_are_measured():
    """A short run of `make shared`; how soon depends on the machine."""
    done = subprocess.run([sys.executable, PROJECT / "tests/bench/shared", "ends", "6"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost: none" in done.stdout and re.search(r"^all +6 ×", done.stdout, re.M), done.stdout
