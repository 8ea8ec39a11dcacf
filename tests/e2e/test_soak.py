"""The soak (`make soak`) for a few seconds: it runs, and it finds what it is there to find."""

import os
import re
import subprocess
import sys

import pytest

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


def shared(*part: str) -> str:
    """A short run of a part of `make shared`; how soon depends on the machine."""
    done = subprocess.run([sys.executable, PROJECT / "tests/bench/shared", *part], capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return done.stdout


def test_ends_are_measured():
    output = shared("ends", "8")
    assert "lost: none" in output and re.search(r"^all +8 ×", output, re.M), output


def test_marks_are_counted():
    assert shared("marks", "1").count("1000 asked for, 0 lost; 100 of 100 others go on") == 2
    output = shared("start", "1500")
    assert "all refused" in output and output.count("1500 asked for, 0 lost; 100 of 100 others go on") == 2, output


@pytest.mark.parametrize("part, number, said", [
    ("streams", "1", r"^grpc +1 × closed here"), ("guesses", "1", r"^1 of 1 bursts"), ("quiet", "1", r"^5000 requests with a session")])
def test_the_other_parts_are_measured(part, number, said):
    output = shared(part, number)
    assert re.search(said, output, re.M), output
