"""What every end-to-end test shares."""

import contextlib
import os
import signal
import time

import pytest

from harness import envoy as envoy_module
from harness import keycloak
from harness.shared import Setting
from harness.world import World


@pytest.fixture(scope="module")
def make_world():
    """Makes worlds that end with the module; each must end with every VM unharmed."""
    worlds = []

    def make(name: str, **options) -> World:
        world = World(name, **options)
        worlds.append(world)
        return world

    yield make
    problems = []
    for world in worlds:
        try:
            if world.envoy and not getattr(world, "may_be_harmed", False):
                world.envoy.assert_healthy()
        except AssertionError as failed:
            problems.append(f"{world.name}: {failed}")
        finally:
            world.stop()
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def make_setting(make_world):
    """Makes several Envoys with an engine between them, which ends with the module."""
    settings = []

    def make(*arguments, **options) -> Setting:
        setting = Setting(make_world, *arguments, **options)
        settings.append(setting)
        return setting

    yield make
    for setting in settings:
        setting.etcd.stop()


@pytest.fixture
def ada(center):
    """An administrator of a module's `center`, who finds nothing of the tests before."""
    client = center.signed_in("ada")
    center.reset(client)
    return client


@pytest.fixture(scope="module")
def stack():
    """What it is given is ended with the module, whatever fails."""
    with contextlib.ExitStack() as stack:
        yield stack


def pytest_report_header(config):
    return [f"envoy: {' '.join(envoy_module.find_envoy())}", f"wasm: {envoy_module.WASM}"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for a time that the product promises; runs beside others")
    config.own_run = not os.environ.get(keycloak.RUN)
    if config.own_run:
        os.environ[keycloak.RUN] = f"{os.getpid()}-{time.monotonic_ns()}"
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=3))


def pytest_unconfigure(config):
    if config.own_run:
        keycloak.end()
