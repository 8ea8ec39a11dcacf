"""envoy/compose.yaml, read by Compose's own reader."""

import json
import subprocess

import pytest

from harness.tools import go_program
from test_examples import ENVOY_DIR, SECRETS

READER = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    reader = go_program(READER, tmp_path_factory.mktemp("compose"))
    return lambda *arguments: subprocess.run([reader, *arguments], capture_output=True, text=True)


def test_compose_reads_the_sample(read, tmp_path):
    done = read("-no-interpolation", "-format", "json", ENVOY_DIR / "compose.yaml")
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {name: set(one.get("depends_on", {})) for name, one in services.items()} == {
        "envoy": {"app", "etcd", "idp", "saml"}, "other-envoy": {"app", "etcd", "idp", "saml"},
        "app": set(), "etcd": set(), "idp": set(), "saml": set()}
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((ENVOY_DIR / "compose.yaml").read_text().replace("    image: ", "    imag: "))
    assert read("-no-interpolation", wrong).returncode != 0


def test_a_variable_that_is_missing_is_named_with_the_way_out(read):
    done = read(ENVOY_DIR / "compose.yaml")
    assert done.returncode != 0
    for name in SECRETS:
        assert f"required variable {name} is missing a value: see the head of this file" in done.stderr, name
