"""What goes wrong in the demo is said at once: a configuration with a mistake, a provider that stops, a port that is taken."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from harness.demo import CONFIG, Demo


@pytest.fixture
def demo(tmp_path):
    running = []

    def begin(text, *arguments):
        config = tmp_path / "sso.yaml"
        config.write_text(text)
        running.append(Demo(config, *arguments))
        return running[-1], config

    yield begin
    for one in running:
        one.stop()


MISTAKES = {
    "an unknown field": ("sso: enabled", "soo: enabled", r"accounts\[0\]\.soo: unknown field; did you mean sso\?"),
    "a wrong value": ("mode: invited", "mode: invite", r"accounts\[0\]\.provisioning\.mode: expected"),
    "YAML syntax": ("accounts:\n", "accounts: [\n", r"is neither YAML nor JSON: .* at line \d+ column \d+"),
    "a variable that is not there": ("env: SCIM_TOKEN", "env: SCIM_TOKN", "SCIM_TOKN is not set"),
}


@pytest.mark.parametrize("what", [what for what in MISTAKES if what != "a variable that is not there"])
def test_a_mistake_at_the_start_is_said_and_nothing_starts(demo, what):
    right, wrong, words = MISTAKES[what]
    assert right in CONFIG
    running, _ = demo(CONFIG.replace(right, wrong, 1))
    assert running.process.wait(timeout=240) == 1
    time.sleep(0.5)
    assert re.search(words, running.said), running.said
    assert "nothing was started" in running.said and "Open   " not in running.said


def test_a_filter_that_refuses_its_configuration_is_said(demo, tmp_path):
    """What this command line accepts and that filter refuses: another release, or a file that is not wasm."""
    other = tmp_path / "other.wasm"
    other.write_bytes(b"no wasm")
    running, _ = demo(CONFIG, "--wasm", str(other))
    assert running.process.wait(timeout=240) == 1
    time.sleep(0.5)
    kept = Path(re.search(r"the logs are in (\S+):", running.said)[1])
    subprocess.run(["rm", "-r", kept], check=True)


def test_while_it_runs(demo):
    # The port is taken: the demo finds another.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running, config = demo(CONFIG, "--port", str(port))
        running.waits_for("Ctrl-C stops everything")
    assert f"localhost:{port}/" not in running.said

    # A save with a mistake: its words, and the last good configuration goes on.
    right, wrong, words = MISTAKES["an unknown field"]
    mark = len(running.said)
    config.write_text(CONFIG.replace(right, wrong, 1))
    running.waits_for("the last good configuration goes on", mark)
    assert re.search(words, running.said[mark:]), running.said[mark:]

    # The twin: handed over, and loaded once.
    mark = len(running.said)
    config.write_text(CONFIG.replace("recheck: 30s", "recheck: 31s"))
    running.waits_for('"outcome":"loaded"', mark)
    time.sleep(3)
    assert running.said[mark:].count('"outcome":"loaded"') == 1, running.said[mark:]

    # A provider that stops is a line.
    mark = len(running.said)
    os.kill(running.child("idp.mjs"), signal.SIGTERM)
    running.waits_for("identity provider has stopped .* Everything else goes on", mark)
    time.sleep(1)
    assert running.process.poll() is None

    # Without Envoy the demo ends, and its logs stay.
    mark = len(running.said)
    os.kill(running.child("/envoy.yaml"), signal.SIGKILL)
    assert running.process.wait(timeout=60) == 1
    time.sleep(0.5)
    kept = Path(re.search(r"envoy stopped; the logs are in (\S+):", running.said[mark:])[1])
    assert (kept / "envoy.log").exists()
    subprocess.run(["rm", "-r", kept], check=True)
