"""Ports, polling, and where the project is."""

import contextlib
import fcntl
import pathlib
import random
import socket
import tempfile
import threading
import time

PROJECT = pathlib.Path(__file__).resolve().parents[3]
WORK = PROJECT / ".work" / "e2e"

# Ports outside the range that the kernel takes for outgoing connections, in slots: a process that hands out ports owns
# a slot of them while it runs, so that tests beside it, of this clone or another, never take the same one.
FIRST, SLOTS, IN_SLOT = 10000, 55, 400
_slot = None
_next = 0


def _own_slot() -> int:
    """The first port of a slot that is this process's own until it ends."""
    global _slot, _next
    if _slot is None:
        start = random.randrange(SLOTS)
        for turn in range(SLOTS):
            number = (start + turn) % SLOTS
            lock = open(pathlib.Path(tempfile.gettempdir()) / f"envoy-sso-ports-{number}.lock", "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            _slot, _next = (lock, FIRST + number * IN_SLOT), random.randrange(IN_SLOT)
            break
        else:
            raise RuntimeError("every slot of ports is taken")
    return _slot[1]


def free_port() -> int:
    """A port that nobody listens at and that this process has not handed out lately."""
    global _next
    first = _own_slot()
    for _ in range(IN_SLOT):
        port = first + _next % IN_SLOT
        _next += 1
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("every port of the slot is taken")


class Never(Exception):
    """What must not happen even once: `eventually` does not wait for it to pass."""


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


class Server:
    """Accepts connections, each served by a thread of its own."""

    def __init__(self, port: int = 0):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket):
        with connection, contextlib.suppress(OSError):
            self.serve(connection)
