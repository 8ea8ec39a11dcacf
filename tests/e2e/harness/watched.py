"""Sessions that are polled at other Envoys while something happens to those, or to the engine."""

import time

from .net import eventually
from .shared import Poll, Setting

STALE = 2.0
# For an engine that stays within reach. However slow the machine: a start waits for the first read.
CLOSED = {"on_outage": "closed", "stale": "2s", "settle": "2s"}


class Watched:
    """Three sessions at other Envoys: one that ended before, one that ends meanwhile (`during`), one that goes on."""

    def __init__(self, setting: Setting, replicas: tuple[int, ...] = (1,)):
        self.setting, self.replicas = setting, replicas
        eventually(setting.all_in_step, 120)
        self.before, self.during, self.other = (setting.signed_in() for _ in range(3))
        setting.log_out(self.before)
        eventually(lambda: self.get(401, self.before) and self.get(200, self.other), 120, what="a beginning")
        self.polls = {replica: [Poll(setting, cookies, replica) for cookies in (self.before, self.during, self.other)]
                      for replica in replicas}
        self.told = None  # when the engine had the end of `during`

    def get(self, status: int, cookies: dict[str, str]) -> bool:
        """True where this is the answer at all of them."""
        return all(self.setting.ask(cookies, replica).status == status for replica in self.replicas)

    def end(self) -> None:
        """`during` is signed out at the first Envoy, and the engine has it."""
        marks = self._marks()
        assert self.setting.log_out(self.during).status == 302
        eventually(lambda: self._marks() > marks, 120, what="the mark in the engine")
        self.told = time.monotonic()

    def _marks(self) -> int:
        return len(self.setting.etcd.keys("sso/1/m/"))

    def go_on(self) -> None:
        """Waits for answers that were asked for from now on."""
        for polls in self.polls.values():
            [poll.goes_on() for poll in polls]

    def go_on_past_stale(self) -> None:
        """Until `closed` owes a refusal, and answers after that."""
        time.sleep(max(0.0, self.told + STALE + 0.02 - time.monotonic()))
        self.go_on()

    def wait(self) -> None:
        """Until the end of `during` is known, and the one that goes on is let in."""
        eventually(lambda: self.get(401, self.during), 120, what="the sign-out")
        eventually(lambda: self.get(200, self.other), 120, what="the session that goes on")
        self.go_on()

    def hold(self, but: tuple[int, ...] = ()) -> None:
        """Ends the polls. Under `open` no 200 came after another answer; under `closed` none that was asked for later than
        `stale` after the engine had the end. `but`: answers that are not the filter's, where a VM trapped."""
        for replica, polls in self.polls.items():
            [poll.stop() for poll in polls]
            before, during, other = (poll.since(0, but) for poll in polls)
            if self.setting.worlds[replica].shared.get("on_outage") != "closed":
                assert (before, during, other) == ([401], [200, 401], [200]), (replica, before, during, other)
                continue
            # A machine that is slow closes for a moment.
            assert {401} <= set(before) <= {401, 503} and {200} <= set(other) <= {200, 503}, (replica, before, other)
            late = polls[1].within(self.told + STALE + 0.01, time.monotonic())
            assert {401} <= late <= {401, 503, *but}, (replica, late, during)
