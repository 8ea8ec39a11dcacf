"""A provider or directory that hangs holds up nobody of another account: told by what waits, not by time."""

import concurrent.futures
import threading
import time

import pytest

from harness.expect import refused
from harness.net import eventually

# More than a lane takes at once (src/host/lanes.rs), and than all lanes together took before there were any.
HELD, OURS = 80, 12


class Hanging:
    """Answers of a function, held back until `release`."""

    def __init__(self, owner, name: str):
        self.owner, self.name, self.right, self.go = owner, name, getattr(owner, name), threading.Event()
        self.asked = 0
        setattr(owner, name, self._wait)

    def _wait(self, asked):
        self.asked += 1
        self.go.wait(300)
        return self.right(asked)

    def release(self):
        self.go.set()
        setattr(self.owner, self.name, self.right)


@pytest.fixture(scope="module")
def world(make_world):
    """Per kind an account whose server will hang, and one beside it."""
    world = make_world("hanging", concurrency=1, session={"recheck": "2s", "recheck_grace": "0s"})
    for code in ("slow-directory", "fast-directory"):
        world.account(code)
        world.directory(code, timeout="60s")
    for code in ("slow-renewal", "fast-renewal"):
        world.account(code, scope=["openid", "email", "offline_access"], timeout="60s")
    world.start()
    for directory in world.scim.directories.values():
        directory.reset().add("ada", email="ada@acme.com", roles=["owner"], id="ada-1")
    return world


@pytest.mark.parametrize("kind", ["directory", "renewal"])
def test_what_hangs_for_one_account_holds_up_nothing_of_another(world, kind):
    slow, fast = world.accounts[f"slow-{kind}"], world.accounts[f"fast-{kind}"]
    theirs = [slow.signed_in("/who") for _ in range(HELD)]
    ours = [fast.signed_in("/who") for _ in range(OURS)]
    newcomer = slow.client()
    back = newcomer.browse(newcomer.browse(slow.url("/who")).location).location

    def count() -> int:
        return world.scim.directories["fast-directory.scim.test"].count("GET") if kind == "directory" else fast.idp.count("token")

    hanging = [Hanging(slow.idp, "token")]
    if kind == "directory":
        hanging.append(Hanging(world.scim.directories["slow-directory.scim.test"], "answer"))
    time.sleep(2.1)  # all are due
    with concurrent.futures.ThreadPoolExecutor(HELD + 1) as pool:
        try:
            waiting = [pool.submit(one.get, slow.url("/who")) for one in theirs] + [pool.submit(newcomer.browse, back)]
            eventually(lambda: sum(one.asked for one in hanging) >= 30, 60, what="a full lane")
            asked = count()
            for number, one in enumerate(ours, 1):
                reply = one.get(fast.url("/who"))
                assert reply.status == 200, reply
                assert count() == asked + number, "it was asked about, and answered"
            for _ in range(3):
                fast.signed_in("/who")
            assert not any(one.done() for one in waiting), "all of that beside what still hangs"
        finally:
            for one in hanging:
                one.release()
        # The twin: what was held goes on with the answer.
        assert [one.result().status for one in waiting[:-1]] == [200] * HELD
        assert waiting[-1].result().status in (302, 303), waiting[-1].result()


def test_a_server_that_does_not_answer_refuses_its_own_in_time(make_world):
    world = make_world("times-out", concurrency=1, session={"recheck": "2s", "recheck_grace": "0s"})
    account = world.account("slow")
    directory = world.directory("slow", timeout="500ms")
    world.start()
    directory.reset().add("ada", email="ada@acme.com", roles=["owner"], id="ada-1")
    client = account.signed_in("/who")
    held = Hanging(directory, "answer")
    time.sleep(2.1)
    mark = world.app.mark()
    refused(client.get(account.url("/who")), "directory_unavailable")
    world.app.nothing_since(mark)
    held.release()
