"""What goes wrong in the demo is said at once: a configuration with a mistake, a provider that stops, a port that is taken."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
RUN = TOP / "envoy/demo/run"
CONFIG = (TOP / "envoy/demo/sso.yaml").read_text()


class Demo:
    """A demo that runs, and what it has said so far."""

    def __init__(self, config, *arguments):
        self.process = subprocess.Popen(
            [RUN, "--config", config, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        self.said = ""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.said += line

    def waits_for(self, words, since=0, seconds=240):
        end = time.monotonic() + seconds
        while not re.search(words, self.said[since:]):
            assert time.monotonic() < end and self.process.poll() is None, f"never said {words!r}:\n{self.said}"
            time.sleep(0.1)

    def child(self, name):
        """The process of the demo whose command line holds the name."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (entry / "cmdline").read_text()
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and name in command:
                return int(entry.name)
        raise AssertionError(f"no child {name}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=30)


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
