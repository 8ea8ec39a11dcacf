"""The Kubernetes objects under envoy/ hold to the schemas of their own releases."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import kubernetes
from harness.kubernetes import wrong

TOP = Path(__file__).resolve().parents[2]
FILES = sorted(path.relative_to(TOP).as_posix() for folder in ("gateway", "istio") for path in (TOP / "envoy" / folder).glob("*.yaml"))


@pytest.fixture(scope="module")
def schemas():
    return kubernetes.schemas()


def objects(file):
    return [one for one in yaml.safe_load_all((TOP / file).read_text()) if one]


@pytest.mark.parametrize("file", FILES)
def test_objects_hold_to_their_schema(schemas, file):
    for one in objects(file):
        schema = schemas[one["apiVersion"], one["kind"]]
        assert list(wrong(schema, one)) == []
        # The twin: a field that is not there, and one of another type.
        inner = "spec" if "spec" in one else "metadata"
        for change in ({"nosuch": 1}, {next(iter(one[inner])): 7}):
            assert list(wrong(schema, {**one, inner: {**one[inner], **change}}))


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
