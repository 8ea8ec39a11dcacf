"""Marks by the thousand: what ends on a third Envoy, which is only played here, must hold on both that are there."""

import concurrent.futures
import http.client
import itertools
import random
import threading
import time
from pathlib import Path

from ends import MEMBERS
from harness.net import eventually
from harness.seal import Ring
from harness.shared import CHANGES, Setting
from harness.world import SESSION_KEY, World

BATCH = 100  # of one transaction, as an Envoy sends them that has many
HOUR = 3_600_000


class Sessions:
    """Sessions without a login for each: copies of one, with ids of their own."""

    def __init__(self, name: str):
        self.ring = Ring(SESSION_KEY)
        self.setting = Setting(World, name, members=MEMBERS, changes=CHANGES, shared={"timeout": "50s"})
        try:
            eventually(self.setting.all_in_step, 120, what="Envoys in step")
            [(self.cookie, self.value)] = self.setting.signed_in().items()
        except BaseException:
            self.setting.stop()
            raise

    def copies(self, number: int) -> list[tuple[str, str]]:
        return self.ring.copies(self.value, number)

    def mark(self, sessions: list[tuple[str, str]]) -> None:
        until = int(time.time() * 1000) + HOUR
        self.setting.etcd.put_all([(b"sso/1/h", b""), *(self.ring.mark(name, until) for name, _ in sessions)])

    def status(self, session: tuple[str, str], replica: int = 1) -> int:
        return self.setting.ask({self.cookie: session[1]}, replica).status

    def statuses(self, sessions: list[tuple[str, str]], replica: int) -> dict[int, int]:
        """How many were answered how, each asked for once at this Envoy."""
        port, host = self.setting.worlds[replica].port, "acme.app.test"
        counts: dict[int, int] = {}

        def ask(part):
            connection, own = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
            for _, value in part:
                connection.request("GET", "/who", headers={"host": host, "cookie": f"{self.cookie}={value}"})
                answer = connection.getresponse()
                answer.read()
                own.append(answer.status)
            connection.close()
            return own
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for status in itertools.chain(*pool.map(ask, [sessions[n::4] for n in range(4)])):
                counts[status] = counts.get(status, 0) + 1
        return counts

    def all_ended(self, ended: list[tuple[str, str]], others: list[tuple[str, str]]) -> bool:
        """True where both Envoys refuse all of these, and none of the others."""
        good = True
        for replica in (0, 1):
            counts, rest = self.statuses(ended, replica), self.statuses(others, replica)
            lost = sum(number for status, number in counts.items() if status != 401)
            print(f"  Envoy {replica}: {len(ended)} asked for, {lost} lost; {rest.get(200, 0)} of {len(others)} others go on")
            good &= lost == 0 and rest == {200: len(others)}
        return good


class Samples:
    """Takes one of those that were just written, again and again, and asks for it until it has ended."""

    def __init__(self, here: Sessions):
        self.here, self.latest, self.times, self.over = here, None, [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.over.wait(0.02):
            if self.latest is None:
                continue
            written, session = self.latest
            eventually(lambda: self.here.status(session) == 401, 60, 0.001, what="the end of a session")
            self.times.append(time.monotonic() - written)

    def stop(self) -> list[float]:
        self.over.set()
        self.thread.join(60)
        return sorted(self.times)


def a_second(seconds: int, rate: int = 1000) -> int:
    """So many marks a second; none is lost."""
    here = Sessions("bench-marks")
    try:
        batch, number = 20, rate * seconds
        ended, others = here.copies(number), here.copies(100)
        assert here.statuses(ended[:50], 1) == {200: 50}
        samples, began = Samples(here), time.monotonic()
        for n in range(0, number, batch):
            time.sleep(max(0.0, began + n / rate - time.monotonic()))
            part = ended[n:n + batch]
            here.mark(part)
            samples.latest = (time.monotonic(), part[-1])
        took = time.monotonic() - began
        times = samples.stop() or [0.0]
        print(f"{number} marks in {took:.1f} s, {number / took:.0f} a second, {batch} in a transaction; {len(times)} of them asked for "
              f"at once: known after p50 {times[len(times) // 2] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
        eventually(lambda: here.status(ended[-1]) == 401, 60, what="the last mark")
        return 0 if here.all_ended(ended, others) else 1
    finally:
        here.setting.stop()


def memory(world) -> float:
    text = Path(f"/proc/{world.envoy.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def at_start(number: int) -> int:
    """An Envoy that starts reads so many, and lets none of them in meanwhile."""
    here = Sessions("bench-start")
    try:
        ended, others = here.copies(number), here.copies(100)
        for n in range(0, number, BATCH):
            here.mark(ended[n:n + BATCH])
        eventually(lambda: here.status(ended[-1]) == 401, 60, what="the last mark")
        world = here.setting.worlds[1]
        world.envoy.stop()
        world.start()
        listening = time.monotonic()
        # The first requests come before anything was read.
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            first = list(pool.map(here.status, random.sample(ended, 20)))
        answered = time.monotonic() - listening
        eventually(here.setting.in_step, 60, 0.005, what="an Envoy in step")
        print(f"{number} marks: the first requests answered {answered * 1000:.0f} ms after the listener was there, "
              f"{'all refused' if set(first) == {401} else f'WRONG: {first}'}; Envoy takes {memory(world):.0f} MB")
        return 0 if here.all_ended(ended, others) and set(first) == {401} else 1
    finally:
        here.setting.stop()
