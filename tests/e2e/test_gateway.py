"""The Kubernetes objects under envoy/ hold to the schemas of their own releases, which Go's module proxy has."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.tools import leave_out

TOP = Path(__file__).resolve().parents[2]
MODULES = {
    "gateway.envoyproxy.io": ("github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-crds-helm/templates/generated/*.yaml"),
    "istio.io": ("istio.io/api@v1.27.1", "kubernetes/customresourcedefinitions.gen.yaml"),
}
FILES = sorted(path.relative_to(TOP).as_posix() for folder in ("gateway", "istio") for path in (TOP / "envoy" / folder).glob("*.yaml"))


@pytest.fixture(scope="module")
def schemas():
    """The schema of each (apiVersion, kind)."""
    go = shutil.which("go") or leave_out("go is not installed (Debian: apt-get install golang-go)")
    found = {}
    for module, pattern in MODULES.values():
        done = subprocess.run([go, "mod", "download", "-json", module], capture_output=True, text=True, timeout=300)
        if done.returncode:
            leave_out(f"{module} cannot be downloaded: {(done.stdout + done.stderr)[-300:]}")
        for file in Path(json.loads(done.stdout)["Dir"]).glob(pattern):
            # Helm's own lines stand around the definition.
            text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("{{"))
            for crd in filter(None, yaml.safe_load_all(text)):
                for version in crd["spec"]["versions"]:
                    key = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                    found[key] = version["schema"]["openAPIV3Schema"]
    return found


def wrong(schema, value, path=""):
    """What of the value the schema (OpenAPI v3 as Kubernetes reads it) does not allow."""
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    if schema.get("x-kubernetes-preserve-unknown-fields") and "properties" not in schema:
        return
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    kind = schema.get("type")
    if kind in kinds and not isinstance(value, kinds[kind]):
        yield f"{path}: expected {kind}, found {value!r}"
    elif isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name in schema.get("required", []):
            if name not in value:
                yield f"{path}.{name}: is missing"
        for name, member in value.items():
            if name in properties:
                yield from wrong(properties[name], member, f"{path}.{name}")
            elif isinstance(more, dict):
                yield from wrong(more, member, f"{path}.{name}")
            elif not schema.get("x-kubernetes-preserve-unknown-fields") and path and properties:
                yield f"{path}.{name}: unknown field"
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from wrong(schema.get("items", {}), item, f"{path}[{i}]")
    elif isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: does not match {schema['pattern']}"


def objects(file):
    return [one for one in yaml.safe_load_all((TOP / file).read_text()) if one]


@pytest.mark.parametrize("file", FILES)
def test_objects_hold_to_their_schema(schemas, file):
    for one in objects(file):
        key = one["apiVersion"], one["kind"]
        if key[0] in ("v1", "apps/v1"):
            continue
        assert list(wrong(schemas[key], one)) == []
        # The twin: a field that is not there, and one of another type.
        for change in ({"nosuch": 1}, {next(iter(one["spec"])): 7}):
            assert list(wrong(schemas[key], {**one, "spec": {**one["spec"], **change}}))


def test_check_takes_the_policy_and_asks_for_the_patch_of_password_logins(tmp_path):
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "envoy-sso"], cwd=TOP, check=True)
    command = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "debug/envoy-sso"

    def check(text):
        done = subprocess.run([command, "check", "-"], input=text, capture_output=True, text=True)
        return done.returncode, done.stdout

    text = (TOP / "envoy/gateway/policy.yaml").read_text()
    assert check(text) == (0, "-: ok\n")
    code, said = check(text.replace(", OIDC_SECRET]", "]"))
    assert code == 1 and "OIDC_SECRET is not in spec.wasm[0].env.hostKeys" in said
    login = "password: { mode: enabled, logins: [{ path: /login, username: { form: user }, fields: [user, password], success: { status: [303], cookie: app } }] }"
    code, said = check(text.replace("            access:", f"            {login}\n            access:"))
    assert code == 0 and "EnvoyPatchPolicy" in said


def test_the_patch_names_the_filter_of_the_policy():
    policy, patch = objects("envoy/gateway/policy.yaml")[0], objects("envoy/gateway/passwords.yaml")[0]
    name = f"envoyextensionpolicy/{policy['metadata']['namespace']}/{policy['metadata']['name']}/wasm/0"
    operation = patch["spec"]["jsonPatches"][0]["operation"]
    assert name in operation["jsonPath"] and operation["path"] == "/allow_on_headers_stop_iteration"
    assert patch["spec"]["targetRef"] == policy["spec"]["targetRefs"][0]
    secret, proxy = objects("envoy/gateway/proxy.yaml")
    given = {one["name"] for one in proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"]["env"]}
    assert given == set(policy["spec"]["wasm"][0]["env"]["hostKeys"]) == set(secret["stringData"])
    clusters = {one["name"] for one in yaml.safe_load(proxy["spec"]["bootstrap"]["value"])["static_resources"]["clusters"]}
    assert set(policy["spec"]["wasm"][0]["config"]["clusters"].values()) <= clusters
