"""The Helm chart: rendered by Helm's own engine, held against the schemas of Kubernetes, Istio and Envoy Gateway, against a
real Envoy, and against the filter's own check."""

import json
import os
import subprocess

import pytest
import yaml

from harness import kubernetes
from harness.kubernetes import wrong
from harness.tools import leave_out
from test_examples import ENVOY_DIR, SECRETS, WASM, bootstrap, command_line, envoy, find_all, validate  # noqa: F401

try:
    import helm_python as helm
except ImportError:  # its wheels are for Linux on x86-64
    leave_out("helm-python-sdk is not installed (pip install -r tests/e2e/requirements.txt)")

CHART = ENVOY_DIR / "helm/envoy-sso"
# Values of each kind beside the defaults.
VALUES = {
    "envoy": {"envoy": {"replicas": 3, "service": {"type": "LoadBalancer", "port": 8443}}, "image": {"digest": "sha256:" + "0" * 64}},
    "istio": {"istio": {"selector": {"app": "ingress"}}},
    "gateway": {"gateway": {"name": "eg", "passwords": "default/eg/https"}},
}
HOSTS = {"hosts": [
    {"host": "idp.example.com"}, {"host": "directory.people.svc", "port": 8080}, {"host": "x.example.com", "port": 8443, "tls": True}]}


@pytest.fixture(scope="module")
def schemas():
    return kubernetes.schemas()


def render(kind: str, **values) -> list[dict]:
    """The objects that an installation would make."""
    values = {"kind": kind} | values
    with helm.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="sso", namespace="web")
    return [one for name, text in sorted(files.items()) if name.endswith(".yaml") for one in yaml.safe_load_all(text) if one]


def of_kind(objects: list[dict], kind: str) -> dict:
    [found] = [one for one in objects if one["kind"] == kind]
    return found


def envoy_configuration(objects: list[dict]) -> str:
    """What the pods of the chart give to Envoy, with the filter of this machine."""
    return of_kind(objects, "ConfigMap")["data"]["envoy.yaml"].replace("/var/lib/envoy-sso/plugin.wasm", str(WASM))


def test_helm_finds_no_fault():
    for values in [{}, *({"kind": kind} | more | HOSTS for kind, more in VALUES.items())]:
        said = helm.lint(str(CHART), values)
        assert said["errors"] == [], said
    cargo = (ENVOY_DIR.parent / "Cargo.toml").read_text()
    with helm.Chart.load(str(CHART)) as chart:
        assert f'\nversion = "{chart.version}"\n' in cargo and chart.metadata["appVersion"] == chart.version


@pytest.mark.parametrize("values", [
    {"knd": "envoy"}, {"kind": "nginx"}, {"hosts": [{"host": "idp.example.com", "prt": 443}]}, {"hosts": [{"host": "https://idp.example.com"}]},
    {"config": {"accounts": []}}, {"image": {"digest": "latest"}}, {"variables": ["not a name"]}, {"gateway": {"passwords": "https"}},
    {"upstream": {"prt": 1}}, {"istio": {"wasm": "envoy_sso.wasm"}}], ids=json.dumps)
def test_wrong_values_are_refused(values):
    with helm.Chart.load(str(CHART)) as chart:
        chart.validate_schema({"kind": "envoy"})
        with pytest.raises(helm.HelmError):
            chart.validate_schema({"kind": "envoy"} | values)


@pytest.mark.parametrize("more", [{}, HOSTS, {"hosts": []}], ids=["one host", "hosts", "no host"])
@pytest.mark.parametrize("kind", VALUES)
def test_objects_hold_to_their_schema(schemas, kind, more):
    objects = render(kind, **VALUES[kind], **more)
    assert objects and not [one for one in objects if one["kind"] == "Secret"], "secrets are the operator's"
    for one in objects:
        schema, inner = schemas[one["apiVersion"], one["kind"]], "spec" if "spec" in one else "metadata"
        assert list(wrong(schema, one)) == [], one["kind"]
        assert list(wrong(schema, {**one, inner: {**one[inner], "nosuch": 1}})), one["kind"]


@pytest.mark.parametrize("kind", VALUES)
def test_check_reads_what_the_chart_renders(command_line, kind):  # noqa: F811
    def check(**values):
        text = yaml.safe_dump_all(render(kind, **VALUES[kind], **values))
        done = subprocess.run([command_line, "check", "-"], input=text, capture_output=True, text=True, env=os.environ | SECRETS)
        return done.returncode, done.stdout + done.stderr

    assert check() == (0, "-: ok\n")
    code, said = check(config={"session": {"idle": "soon"}})
    assert code == 1 and "session.idle: expected a duration" in said, said
    code, said = check(variables=["SSO_SESSION_KEY"])
    assert code == 1 and "OIDC_SECRET is not in" in said, said


@pytest.mark.parametrize("more", [{}, HOSTS], ids=["one host", "hosts"])
def test_envoy_takes_what_the_chart_gives_it(envoy, tmp_path, more):  # noqa: F811
    objects = render("envoy", **more)
    file = tmp_path / "envoy.yaml"
    file.write_text(envoy_configuration(objects))
    done = validate(envoy, file)
    assert done.returncode == 0, done.stderr[-3000:]
    file.write_text(envoy_configuration(render("envoy", **more, config={"session": {"idle": "soon"}})))
    done = validate(envoy, file)
    assert done.returncode != 0, "Envoy runs the filter, which reads its configuration"
    deployment, service = of_kind(objects, "Deployment")["spec"], of_kind(objects, "Service")["spec"]
    pod = deployment["template"]
    [container] = pod["spec"]["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["spec"]["volumes"]}
    assert {one["name"] for one in container["env"]} == {"SSO_SESSION_KEY", "OIDC_SECRET"}
    assert pod["metadata"]["labels"].items() >= deployment["selector"]["matchLabels"].items()
    assert deployment["selector"]["matchLabels"] == service["selector"]
    # Another configuration makes other pods.
    other = of_kind(render("envoy", **more, upstream={"host": "other", "port": 1}), "Deployment")["spec"]["template"]
    assert other["metadata"]["annotations"] != pod["metadata"]["annotations"]


def test_envoy_takes_the_parts_for_istio_and_envoy_gateway(envoy, tmp_path):  # noqa: F811
    """The EnvoyFilter's plugin, and the clusters that the EnvoyProxy adds to Envoy's own configuration."""
    patches = of_kind(render("istio", **HOSTS), "EnvoyFilter")["spec"]["configPatches"]
    extension, http_filter = (patch["patch"]["value"] for patch in patches)
    assert extension["name"] == http_filter["name"] == "web.sso"
    proxy = of_kind(render("gateway", **HOSTS, **VALUES["gateway"]), "EnvoyProxy")
    clusters = yaml.safe_load(proxy["spec"]["bootstrap"]["value"])["static_resources"]["clusters"]
    assert [one["name"] for one in clusters] == ["idp.example.com:443", "directory.people.svc:8080", "x.example.com:8443"]
    assert ["transport_socket" in one for one in clusters] == [True, False, True]
    config = bootstrap(8080, [{"name": extension["name"], "typed_config": extension["typed_config"]}])
    config["static_resources"]["clusters"] = clusters
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(config).replace("/var/lib/envoy-sso/envoy_sso.wasm", str(WASM)))
    done = validate(envoy, file)
    assert done.returncode == 0, done.stderr[-3000:]
    file.write_text(file.read_text().replace("LOGICAL_DNS", "LOGICAL"))
    assert validate(envoy, file).returncode != 0


def test_names_of_one_object_are_those_of_the_others():
    objects = render("gateway", **VALUES["gateway"], variables=["SSO_SESSION_KEY"])
    policy, patch, proxy = (of_kind(objects, kind) for kind in ("EnvoyExtensionPolicy", "EnvoyPatchPolicy", "EnvoyProxy"))
    operation = patch["spec"]["jsonPatches"][0]["operation"]
    assert f"envoyextensionpolicy/web/{policy['metadata']['name']}/wasm/0" in operation["jsonPath"]
    assert patch["spec"]["targetRef"] == policy["spec"]["targetRefs"][0]
    env = proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"]["env"]
    assert [one["name"] for one in env] == policy["spec"]["wasm"][0]["env"]["hostKeys"] == ["SSO_SESSION_KEY"]
    objects = render("istio", **HOSTS)
    hosts = [one["spec"]["hosts"] for one in objects if one["kind"] == "ServiceEntry"]
    assert hosts == [[one["spec"]["host"]] for one in objects if one["kind"] == "DestinationRule"] == [["idp.example.com"], ["x.example.com"]]


def test_a_table_of_clusters_stands_as_the_operator_wrote_it():
    for kind, default in [("envoy", "{host}:{port}"), ("istio", "outbound|{port}||{host}"), ("gateway", "{host}:{port}")]:
        def clusters(**values):
            objects = render(kind, **values)
            maps = [yaml.safe_load(text) for one in objects for text in one.get("data", {}).values()]
            return next(find_all(objects + maps, lambda node: "accounts" in node))["clusters"]  # noqa: B023

        assert clusters() == {"*": default}
        own = {"a.example.com": "a"}
        assert clusters(config={"clusters": own}) == own
