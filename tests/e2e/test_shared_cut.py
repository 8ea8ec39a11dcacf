"""One Envoy is cut off from the engine without a reset: who has signed out stays signed out."""

import pytest

from harness.line import Line
from harness.net import eventually
from harness.shared import CHANGES, compacted, emptied, set_back, stopped
from test_shared_outages import CLOSED, holds_through, is_closed_through


def cut_off(setting):
    """The second Envoy's connections lead nowhere, until it has noticed; the first one's go on."""
    setting.line.cut()
    eventually(lambda: not setting.in_step(1), 60, what="an Envoy out of step")
    return setting.line.heal


def killed_and_set_back(setting):
    heal = set_back(setting)
    setting.etcd.kill()
    return heal


def with_a_line(make_setting, name: str, **options):
    setting = make_setting(name, start=False, **options)
    setting.line = Line(setting.etcd.port)
    setting.worlds[1].engines = {"etcd": [setting.line.port]}
    setting.start()
    return setting


@pytest.mark.slow
def test_a_session_that_ended_while_one_envoy_was_cut_off_stays_ended(make_setting):
    holds_through(with_a_line(make_setting, "shared-cut", changes=CHANGES), cut_off)


@pytest.fixture(scope="module")
def closed(make_setting):
    return with_a_line(make_setting, "shared-cut-closed", shared=CLOSED)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [cut_off, stopped, emptied, killed_and_set_back, compacted])
def test_closed_lets_nobody_in_who_may_have_signed_out(closed, outage):
    is_closed_through(closed, outage)
