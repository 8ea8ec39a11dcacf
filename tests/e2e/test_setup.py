"""tests/setup on a machine with nothing: it names everything that is missing at once, each with the command that brings it,
before anything is built. Run in an emptied environment, with a PATH of its own and stand-ins for the tools."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
# What every Debian has.
BASE = ["bash", "env", "sed", "head", "grep", "mkdir", "cat", "dirname", "id", "ls", "tail", "tr", "cut", "rm", "touch"]
# Stand-ins, by what they answer.
TOOLS = {
    "cargo": "", "cc": "", "npm": "", "node": "echo 20", "python3": "exit 0",
    "rustc": 'echo "$ROOT"',
}
PARTS = {"chromium": "", "chromedriver": "", "xmlsec1": "", "skopeo": ""}
NAMES = {"cargo": "Rust (cargo)", "cc": "a C compiler", "npm": "npm", "node": "Node 20 or newer", "python3": "Python 3.11 or newer"}


class Machine:
    """A copy of the script beside a PATH with these programs alone."""

    def __init__(self, folder: Path, tools: dict[str, str]):
        self.folder = folder
        (folder / "tests").mkdir()
        shutil.copy(TOP / "tests/setup", folder / "tests/setup")
        shutil.copy(TOP / "rust-toolchain.toml", folder)
        (folder / "rust/lib/rustlib/wasm32-wasip1").mkdir(parents=True)
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in BASE:
            (self.bin / name).symlink_to(shutil.which(name))
        for name, script in tools.items():
            self.add(name, script)

    def add(self, name: str, script: str = "") -> None:
        (self.bin / name).write_text(f"#!{shutil.which('bash')}\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, verb: str, **environment) -> subprocess.CompletedProcess:
        """With nothing in its environment but this."""
        own = {"PATH": str(self.bin), "HOME": str(self.folder), "ROOT": str(self.folder / "rust")} | environment
        return subprocess.run([self.bin / "bash", "tests/setup", verb], cwd=self.folder, env=own, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path):
    return lambda tools: Machine(tmp_path, tools)


def lines(done) -> list[str]:
    """What is missing, a line each."""
    first, *more = done.stderr.splitlines()
    assert first == "Missing:", done.stderr
    return more


def test_with_everything_there_nothing_is_said(machine):
    there = machine(TOOLS)
    for verb in ("wasm", "check", "run"):
        done = there.run(verb)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (verb, done)


@pytest.mark.parametrize("verb, wanted", [
    ("run", ["cargo", "cc", "python3", "node", "npm"]), ("test", ["cargo", "cc", "python3", "node", "npm"]),
    ("check", ["cargo", "cc", "python3"]), ("wasm", ["cargo", "cc"])])
def test_on_an_empty_machine_all_is_named_at_once_and_nothing_is_built(machine, verb, wanted):
    empty = machine({})
    before = sorted(path.name for path in empty.folder.iterdir())
    done = empty.run(verb)
    assert done.returncode == 1 and done.stdout == "", done
    said = lines(done)
    assert [line.strip().split(":")[0].split(",")[0] for line in said] == [NAMES[name].split(",")[0] for name in wanted], said
    assert all(": " in line.strip() for line in said), "each with what brings it"
    assert sorted(path.name for path in empty.folder.iterdir()) == before


@pytest.mark.parametrize("missing", NAMES)
def test_each_missing_tool_is_named_alone(machine, missing):
    done = machine({name: script for name, script in TOOLS.items() if name != missing}).run("run")
    assert done.returncode == 1
    [line] = lines(done)
    assert NAMES[missing] in line


@pytest.mark.parametrize("tool, script, words", [
    ("node", "echo 16", "Node 20 or newer (found: 16)"),
    ("python3", 'case "$*" in --version) echo Python 3.9.2;; *) exit 1;; esac', "Python 3.11 or newer (found: Python 3.9.2)"),
    ("python3", 'case "$*" in *ensurepip*) exit 1;; esac', "Python's venv: apt-get install python3-venv"),
])
def test_a_tool_that_is_too_old_is_named_with_its_version(machine, tool, script, words):
    done = machine(TOOLS | {tool: script}).run("run")
    assert done.returncode == 1 and words in done.stderr, done


def test_an_envoy_that_cannot_be_run_is_named(machine):
    there = machine(TOOLS)
    done = there.run("run", ENVOY="/nowhere/envoy")
    assert done.returncode == 1 and "the Envoy that ENVOY names: /nowhere/envoy cannot be run" in done.stderr
    assert there.run("run", ENVOY=str(there.bin / "node")).returncode == 0


def test_without_rustup_a_missing_target_says_what_to_do(machine):
    there = machine(TOOLS)
    shutil.rmtree(there.folder / "rust")
    done = there.run("run")
    assert done.returncode == 1 and "no target wasm32-wasip1" in done.stderr and "https://rustup.rs" in done.stderr


def test_what_only_some_tests_need_is_left_out_by_name_and_never_with_ci(machine):
    there = machine(TOOLS)
    done = there.run("test")
    assert done.returncode == 0, done
    left = [line for line in done.stdout.splitlines() if "the tests that need it do not run" in line]
    assert {line.strip().split(":")[0] for line in left} >= set(PARTS) and all("apt-get install" in line for line in left)
    assert there.run("report").stdout.splitlines() == ["Left out:", *left], "again at the end, in one line each"
    done = there.run("test", CI="true")
    assert done.returncode == 1 and all(line.strip() in done.stderr for line in left), done
    for name in PARTS:
        there.add(name)
    said = there.run("test").stdout
    assert not [name for name in PARTS if f"  {name}: " in said], said


@pytest.mark.parametrize("part, almost, enough", [
    ("keycloak", {"java": ""}, {"java": "", "mvn": ""}),
    ("dex and hydra", {"go": "echo go version go1.19.8 linux/amd64"}, {"go": "echo go version go1.24.4 linux/amd64"})])
def test_without_java_or_go_the_providers_that_need_them_are_left_out_by_name(machine, part, almost, enough):
    there = machine(TOOLS)
    for tools, left_out in (({}, True), (almost, True), (enough, False)):
        for name, script in tools.items():
            there.add(name, script)
        for said in (there.run("test").stdout, there.run("report").stdout):
            assert (f"  {part}: the tests that need it do not run" in said) == left_out, (tools, said)


def test_debian_packages_are_installed_by_root_alone(machine):
    """`apt-get` is asked once, for all that is missing; a user without sudo is told instead."""
    there = machine(TOOLS)
    there.add("apt-get", f'echo "$@" >>{there.folder}/asked')
    there.run("test")
    asked = there.folder / "asked"
    if os.getuid() == 0:
        update, install = asked.read_text().splitlines()
        assert update.startswith("update") and install.startswith("install -y") and " skopeo" in install and " xmlsec1" in install
    asked.unlink(missing_ok=True)
    there.bin.joinpath("id").unlink()
    there.add("id", "echo 1000")
    done = there.run("test")
    assert done.returncode == 0 and "Left out" in done.stdout and not asked.exists()
