"""What `make dist` makes of a built filter, read back by tools that we did not write; and the workflow that publishes it."""

import importlib.machinery
import importlib.util
import io
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.tools import go_program, need

TOP = Path(__file__).resolve().parents[2]
WASM = TOP / "target/wasm32-wasip1/release/envoy_sso.wasm"
# In the place of the project's own folder, which may have the name that compilers are told.
FOLDER = TOP / "tests"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
# What Istio and Envoy Gateway read: the wasm's own media types, and an ordinary image with plugin.wasm.
KINDS = {
    "1.2.3": ("application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm"),
    "1.2.3-compat": ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"),
}


def dist(folder: Path):
    """envoy/release/dist as a module that writes into this folder."""
    loader = importlib.machinery.SourceFileLoader("release_dist", str(TOP / "envoy/release/dist"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("release_dist", loader))
    loader.exec_module(module)
    module.OUT = folder
    return module


def written(folder: Path) -> Path:
    folder.mkdir()
    made = dist(folder)
    made.write_layout(WASM.read_bytes(), "1.2.3")
    made.write_checksums()
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def skopeo(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([need("skopeo", debian="skopeo"), "--insecure-policy", *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.parametrize("tag", KINDS)
def test_skopeo_reads_the_image(tmp_path, tag):
    oci = written(tmp_path / "dist") / "oci"
    done = skopeo("inspect", "--raw", f"oci:{oci}:{tag}")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert (manifest["config"]["mediaType"], manifest["layers"][0]["mediaType"]) == KINDS[tag]
    done = skopeo("copy", f"oci:{oci}:{tag}", f"dir:{tmp_path}/copy")
    assert done.returncode == 0, done.stderr
    layer = (tmp_path / "copy" / manifest["layers"][0]["digest"].removeprefix("sha256:")).read_bytes()
    if tag.endswith("compat"):
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            assert tar.getnames() == ["plugin.wasm"]
            layer = tar.extractfile("plugin.wasm").read()
    assert layer == WASM.read_bytes()
    # The twin: one byte of the layer is another.
    blob = oci / "blobs/sha256" / manifest["layers"][0]["digest"].removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    assert skopeo("copy", f"oci:{oci}:{tag}", f"dir:{tmp_path}/again").returncode != 0


def test_the_same_filter_makes_the_same_files(tmp_path):
    first, second = (tree(written(tmp_path / name)) for name in ("first", "second"))
    assert first == second and any(name.startswith("oci/blobs/sha256/") for name in first)


def test_the_checksums_are_those_of_the_files(tmp_path):
    folder = written(tmp_path / "dist")
    check = ["sha256sum", "--check", "--strict", "sha256sums.txt"]
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 0
    (folder / "oci/index.json").write_text("{}")
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode != 0


def test_all_that_is_published_is_written_and_summed(tmp_path, monkeypatch):
    """The whole of `make dist` but for the compilers and the bill of materials, which the release workflow runs."""
    cargo_home = tmp_path / "cargo"
    monkeypatch.setenv("CARGO_HOME", str(cargo_home))
    monkeypatch.setattr("sys.argv", ["dist", "--without-bill"])
    made = dist(tmp_path / "dist")
    wasm, command = tmp_path / "built.wasm", tmp_path / "built"
    wasm.write_bytes(b"\0asm a filter")
    command.write_bytes(b"a command line")
    made.build_wasm, made.build_command = lambda: wasm, lambda: command
    assert made.main() == 0
    files = {line.split("  ")[1] for line in (tmp_path / "dist/sha256sums.txt").read_text().splitlines()}
    version = made.version()
    assert {"envoy_sso.wasm", "oci/index.json", "oci/oci-layout"} < files
    assert [name for name in files if name.startswith(f"envoy-sso-{version}-linux-")]
    assert subprocess.run(["sha256sum", "--check", "--strict", "sha256sums.txt"], cwd=tmp_path / "dist", capture_output=True).returncode == 0
    assert skopeo("inspect", "--raw", f"oci:{tmp_path}/dist/oci:{version}").returncode == 0
    # A path of this machine would make another filter on another.
    for built in (wasm, command):
        whole = built.read_bytes()
        built.write_bytes(whole + f"{cargo_home}/registry/src/a.rs".encode())
        with pytest.raises(SystemExit, match="holds a path of this machine"):
            made.main()
        built.write_bytes(whole)
    assert made.main() == 0


@pytest.mark.parametrize("text", ["/root/.cargo/registry/src/a.rs", "of a text/root/.cargo/git/b.rs", f"{FOLDER}/src/lib.rs", f"{FOLDER}/target/c.rs"])
def test_a_path_of_this_machine_is_refused(tmp_path, monkeypatch, text):
    made = machine(tmp_path, monkeypatch, "/root/.cargo")
    with pytest.raises(SystemExit, match="holds a path of this machine"):
        made.refuse_paths_of_this_machine("the wasm", text.encode())


@pytest.mark.parametrize("text", ["src/proxy/root.rs", "/rustc/1f/library/alloc/src/c.rs", "/cargo/registry/src/a.rs", "/envoy-sso/src/lib.rs"])
@pytest.mark.parametrize("cargo_home", ["/root/.cargo", "/cargo"])
def test_other_paths_are_not(tmp_path, monkeypatch, cargo_home, text):
    """As root every filter was refused: it holds the name of `src/proxy/root.rs`."""
    machine(tmp_path, monkeypatch, cargo_home).refuse_paths_of_this_machine("the wasm", text.encode())


def test_the_bill_of_materials_names_no_folder(tmp_path):
    made = dist(tmp_path)
    made.TOP = Path("/home/ada/project")
    bill = '{"bom-ref": "path+file:///home/ada/project#envoy-sso@0.1.0 bin-target-0"}'
    assert made.without_this_folder(bill) == '{"bom-ref": "path+file:///envoy-sso#envoy-sso@0.1.0 bin-target-0"}'
    for left in ("/home/ada/project/src/lib.rs", "dir:/home/ada/project#envoy-sso"):
        with pytest.raises(SystemExit, match="holds a path of this machine"):
            made.without_this_folder(left)


def machine(tmp_path, monkeypatch, cargo_home: str):
    monkeypatch.setenv("CARGO_HOME", cargo_home)
    made = dist(tmp_path)
    made.TOP = FOLDER
    return made


def test_workflows_are_valid(tmp_path):
    """By actionlint: keys, expressions, jobs that need each other, permissions."""
    actionlint = go_program(ACTIONLINT, tmp_path)

    def lint(text: str):
        return subprocess.run([actionlint, "-shellcheck=", "-"], input=text, capture_output=True, text=True)

    for file in (TOP / ".github/workflows").glob("*.yml"):
        text = file.read_text()
        done = lint(text)
        assert done.returncode == 0, done.stdout
        assert lint(text.replace("runs-on:", "runs_on:", 1)).returncode != 0


def test_the_workflow_publishes_what_the_documents_name():
    workflow = (TOP / ".github/workflows/release.yml").read_text()
    install = (TOP / "docs/install.md").read_text()
    assert "make dist" in workflow and "cosign sign-blob" in workflow and '--bundle "$file.bundle"' in workflow
    assert "--bundle envoy_sso.wasm.bundle envoy_sso.wasm" in install and "/release.yml@refs/tags/v" in install
    assert re.search(r"skopeo copy .*oci:built/first/oci:\$tag", workflow) and "skopeo copy oci:dist/oci:" in install
    assert "id-token: write" in workflow, "cosign signs with the workflow's own identity"
