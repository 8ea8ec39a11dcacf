"""func-e, which people run Envoy with on their machine: it takes the smallest sample, and envoy/find finds its Envoy."""

import os
import subprocess

import pytest

from harness.tools import go_program
from test_examples import ENVOY_DIR, SECRETS, envoy, localised  # noqa: F401

MODULE = "github.com/tetratelabs/func-e/cmd/func-e@v1.6.0"


@pytest.fixture(scope="module")
def func_e(tmp_path_factory, envoy):  # noqa: F811
    """func-e by its own source, with the Envoy that would be downloaded in its place; and its environment."""
    home = tmp_path_factory.mktemp("func-e")
    go_program(MODULE, home / "bin")
    version = subprocess.run(["sed", "-n", "s/^version=//p", ENVOY_DIR / "find"], capture_output=True, text=True, check=True).stdout.strip()
    place = home / "data/envoy-versions" / version / "bin"
    place.mkdir(parents=True)
    (place / "envoy").symlink_to(os.path.realpath(envoy))
    folders = {f"FUNC_E_{name.upper()}": str(home / name.split("_")[0]) for name in ("config_home", "data_home", "state_home", "runtime_dir")}
    own = {name: value for name, value in os.environ.items() if name != "ENVOY"}
    environment = own | SECRETS | folders | {"PATH": f"{home}/bin:{os.environ['PATH']}", "HOME": str(home)}
    # Without a version in use func-e asks the network for the latest.
    subprocess.run(["func-e", "use", version], check=True, capture_output=True, env=environment)
    return place / "envoy", environment


def test_find_takes_the_envoy_of_func_e(func_e):
    theirs, environment = func_e
    done = subprocess.run([ENVOY_DIR / "find"], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == str(theirs), done.stdout + done.stderr


def test_func_e_runs_the_smallest_file(func_e, tmp_path):
    _, environment = func_e
    file = tmp_path / "minimal.yaml"
    file.write_text(localised((ENVOY_DIR / "minimal.yaml").read_text(), tmp_path))

    def run():
        return subprocess.run(["func-e", "run", "-c", file, "--mode", "validate"], capture_output=True, text=True, cwd=tmp_path,
                              env=environment, timeout=120)

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text(file.read_text().replace("sso: enabled", "sso: on"))
    assert run().returncode != 0
