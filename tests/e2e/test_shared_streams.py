"""Streams that outlive their session are closed, on the Envoy where it ended and on the others."""

import time

import pytest

from harness.net import eventually
from harness.streams import Open, before_endless


@pytest.fixture(scope="module")
def endless(make_setting):
    setting = make_setting("shared-streams", start=False)
    before_endless(setting)
    setting.start()
    return setting


def opened(setting, kind, cookies, replica) -> Open:
    return Open(kind, setting.worlds[replica].port, "acme.app.test", cookies)


@pytest.mark.parametrize("kind", ["events", "websocket", "grpc"])
def test_an_open_stream_ends_with_its_session_here_and_on_the_other_envoy(endless, kind):
    eventually(endless.in_step, 60)
    ended, other = endless.signed_in_without_an_answer(), endless.signed_in_without_an_answer()
    # Each connection comes to a worker of its own.
    streams = [opened(endless, kind, ended, replica) for replica in (0, 1, 0, 1)]
    others = [opened(endless, kind, other, replica) for replica in (0, 1)]
    [one.goes_on() for one in streams + others]
    began = time.monotonic()
    endless.log_out(ended)
    answered = time.monotonic()
    ends = [one.ends() - answered for one in streams]
    print(f"{kind}: the sign-out took {answered - began:.3f} s; closed after {', '.join(f'{end:.3f}' for end in ends)} s")
    [one.goes_on() for one in others]
    counted = [world.envoy.stats("sso_streams_closed") for world in endless.worlds]
    assert all(sum(stats.values()) >= 2 for stats in counted), counted
    [one.close() for one in others]
