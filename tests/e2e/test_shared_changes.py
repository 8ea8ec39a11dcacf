"""Envoys are killed, restarted and configured anew: who has signed out stays signed out, under `open` and under `closed`."""

import time

import pytest

from harness import trap
from harness.watched import CLOSED, Watched


def changing(make_setting, name: str, **options):
    """The first Envoy ends sessions, the second one is `open`, the third one `closed`."""
    setting = make_setting(name, replicas=3, start=False, shared={"timeout": "50s"}, **options)
    setting.worlds[2].shared |= CLOSED
    setting.start()
    return setting


@pytest.fixture(scope="module")
def setting(make_setting):
    return changing(make_setting, "shared-changes")


def killed(world) -> None:
    """No time to say goodbye."""
    world.envoy.process.kill()
    world.envoy.process.wait()


@pytest.mark.slow
def test_an_envoy_that_is_killed_forgets_nothing(setting):
    watched = Watched(setting, (1, 2))
    [killed(world) for world in setting.worlds[1:]]
    watched.end()
    [world.start() for world in setting.worlds[1:]]
    watched.wait()
    watched.go_on_past_stale()
    watched.hold()


@pytest.mark.slow
def test_a_sign_out_outlives_the_envoy_that_answered_it(setting):
    watched = Watched(setting, (1, 2))
    assert setting.log_out(watched.during).status == 302
    killed(setting.worlds[0])
    watched.told = time.monotonic()
    setting.worlds[0].start()
    watched.wait()
    assert [setting.ask(cookies, 0).status for cookies in (watched.during, watched.other)] == [401, 200]
    watched.go_on_past_stale()
    watched.hold()


@pytest.mark.slow
def test_a_hot_restart_forgets_nothing(setting):
    """What ends while the old process and the new one run, both know."""
    watched = Watched(setting, (1, 2))
    _, second, third = (world.envoy for world in setting.worlds)
    second.hot_restart(lambda: third.hot_restart(watched.end))
    watched.wait()
    second.hot_restart(third.hot_restart)
    watched.go_on_past_stale()
    watched.hold()


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """Another wasm, which has VMs of its own beside those of the one before."""
    return trap.module(tmp_path_factory.mktemp("newer"))


def configured_anew(setting, newer):
    """Three times, and the sign-out between; the last time with a newer filter."""
    watched = Watched(setting, (1, 2))
    for n in range(3):
        for world in setting.worlds:
            world.session = world.session | {"idle": f"{30 + n}m"}
            world.filter_options = {"wasm": newer} if n == 2 else {}
            assert world.update()
        if n == 1:
            watched.end()
        watched.go_on()
    watched.wait()
    watched.go_on_past_stale()
    watched.hold()


@pytest.mark.slow
def test_a_new_listener_forgets_nothing(setting, newer):
    """By LDS."""
    configured_anew(setting, newer)


@pytest.mark.slow
def test_a_new_filter_forgets_nothing(make_setting, newer):
    """By ECDS."""
    configured_anew(changing(make_setting, "shared-ecds", ecds=True), newer)
