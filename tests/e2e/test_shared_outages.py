"""Several Envoys and an engine that goes and comes back: who has signed out stays signed out."""

import time

import pytest

from harness.expect import refused
from harness.net import eventually
from harness.shared import CHANGES, Poll, compacted, emptied, frozen, killed, set_back, stopped
from harness.watched import CLOSED as CLOSED_AT_ONCE
from harness.watched import STALE, Watched

# However slow the machine: both Envoys have reached the engine before either opens.
CLOSED = {"on_outage": "closed", "stale": "2s", "settle": "15s"}


@pytest.fixture(scope="module")
def two(make_setting):
    return make_setting("shared-outages", changes=CHANGES)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [killed, stopped, frozen, emptied, set_back, compacted])
def test_a_session_that_ended_in_an_outage_stays_ended_after_it(two, outage):
    holds_through(two, outage)


def holds_through(setting, outage):
    watched = Watched(setting)
    heal = outage(setting)
    time.sleep(1)
    assert setting.log_out(watched.during).status == 302, "it holds here, and is told later"
    assert setting.ask(watched.during, 0).status == 401
    heal()
    watched.wait()
    time.sleep(1)
    watched.hold()


@pytest.fixture(scope="module")
def closed(make_setting):
    return make_setting("shared-closed", shared=CLOSED)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [killed, frozen])
def test_closed_lets_nobody_in_who_may_have_signed_out(closed, outage):
    is_closed_through(closed, outage)


def is_closed_through(setting, outage):
    def is_ready():
        return all(setting.client(n).get(setting.account.url("/sso/ready")).status == 200 for n in (0, 1))
    eventually(is_ready, 120)
    ended, other = setting.signed_in(), setting.signed_in()
    eventually(lambda: all(setting.ask(cookies, 1).status == 200 for cookies in (ended, other)), 60)
    polls = [Poll(setting, cookies) for cookies in (ended, other)]
    heal = outage(setting)
    began = time.monotonic()
    setting.log_out(ended)
    refused(eventually(lambda: (reply := setting.ask(other, 1)).status == 503 and reply, 60), "not_ready")
    assert setting.ask(ended, 0).status == 401, "this Envoy knows it"
    assert setting.ask({}, 1, "/healthz").status == 200 and setting.ask({}, 1, "/api/sql/x").status == 200
    assert setting.client(1).get(setting.account.url("/sso/ready")).status == 503
    refused(setting.client(1).get(setting.account.url("/sso/oidc/consume?u=acme&code=1&state=2")), "not_ready")
    time.sleep(max(0.0, began + STALE + 0.5 - time.monotonic()))
    [poll.goes_on() for poll in polls]
    healed = time.monotonic()
    heal()
    eventually(lambda: setting.ask(other, 1).status == 200, 120)
    time.sleep(1)
    runs = [poll.stop() for poll in polls]
    # A machine that is slow may close once more: what came last is not told.
    assert runs[0][-1] == 401 and set(runs[1]) == {200, 503} and 200 in polls[1].within(healed, time.monotonic()), runs
    # The last proof was asked for before the outage: from `stale` after it no session counts, and the one that ended in it
    # never again.
    assert [poll.within(began + STALE + 0.01, healed) for poll in polls] == [{503}, {503}]
    assert 200 not in polls[0].within(began + STALE + 0.01, time.monotonic()), runs


@pytest.mark.slow
def test_an_envoy_that_starts_knows_what_ended_before(two):
    ended, other = two.signed_in(), two.signed_in()
    two.log_out(ended)
    world = two.worlds[1]
    world.envoy.stop()
    world.start()
    polls = [Poll(two, cookies) for cookies in (ended, other)]
    time.sleep(2)
    runs = [poll.stop() for poll in polls]
    assert runs == [[401], [200]], runs


# Three members.

def one_killed(setting):
    leader = setting.etcd.leader()
    next(member for member in setting.etcd.members if member is not leader).kill()
    return setting.etcd.start


def leader_killed(setting):
    setting.etcd.leader().kill()
    return setting.etcd.start


def leader_frozen(setting):
    leader = setting.etcd.leader()
    leader.freeze()

    def thaw():
        leader.thaw()
        setting.etcd.healthy()
    return thaw


def quorum_lost(setting):
    [member.kill() for member in setting.etcd.members[1:]]
    return setting.etcd.start


@pytest.fixture(scope="module")
def three(make_setting):
    """The third Envoy is `closed`."""
    setting = make_setting("shared-three", replicas=3, members=3, changes=CHANGES, start=False)
    setting.worlds[2].shared |= CLOSED_AT_ONCE
    setting.start()
    return setting


@pytest.mark.slow
@pytest.mark.parametrize("outage", [one_killed, leader_killed, leader_frozen, quorum_lost, frozen, emptied, compacted])
def test_a_session_that_ended_stays_ended_with_three_members(three, outage):
    holds_through(three, outage)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [one_killed, leader_killed, leader_frozen])
def test_with_two_members_left_a_sign_out_is_told(three, outage):
    watched = Watched(three, (1, 2))
    heal = outage(three)
    watched.end()
    watched.wait()
    watched.go_on_past_stale()
    watched.hold()
    heal()


@pytest.mark.slow
def test_closed_without_a_quorum_lets_nobody_in(make_setting):
    is_closed_through(make_setting("shared-three-closed", members=3, shared=CLOSED), quorum_lost)
