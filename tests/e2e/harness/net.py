"""Ports, polling, and where the project is."""

import pathlib
import random
import socket
import time

PROJECT = pathlib.Path(__file__).resolve().parents[3]
WORK = PROJECT / ".work" / "e2e"


def free_port() -> int:
    """A free port outside the range the kernel takes for outgoing connections, so that it stays free."""
    while True:
        port = random.randint(12000, 31999)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def eventually(check, limit: float = 30, every: float = 0.05, what: str = "condition"):
    """Waits until `check()` is true and returns its value. An assertion inside counts as not yet."""
    end = time.monotonic() + limit
    while True:
        try:
            value = check()
            if value:
                return value
            problem = f"last value {value!r}"
        except (AssertionError, OSError) as failed:
            problem = repr(failed)
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {limit} s: {problem}")
        time.sleep(every)
