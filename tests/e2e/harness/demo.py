"""The demo, as `make run` starts it: envoy/demo/run, and what it says."""

import re
import subprocess
import threading
import time
from pathlib import Path

from .net import PROJECT

RUN = PROJECT / "envoy/demo/run"
CONFIG = (PROJECT / "envoy/demo/sso.yaml").read_text()


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

    def address(self, name: str) -> str:
        """An address as it is printed for people, such as `Open` or `Provider`, without a path."""
        return re.search(rf"^  {name} +(https?://[^/\s]+)", self.said, re.M)[1]
