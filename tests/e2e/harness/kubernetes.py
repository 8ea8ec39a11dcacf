"""The schemas of Kubernetes objects, from the Go modules of their own releases."""

import json
import re
import subprocess
from pathlib import Path

import yaml

from .tools import go, leave_out

# Modules with definitions of their own resources.
MODULES = [
    ("github.com/envoyproxy/gateway@v1.9.1", "charts/gateway-crds-helm/templates/generated/*.yaml"),
    ("istio.io/api@v1.27.1", "kubernetes/customresourcedefinitions.gen.yaml"),
]
# Kubernetes' own kinds, in the schema that its clients apply objects by.
CLIENT = "k8s.io/client-go@v0.34.0"
KINDS = {
    ("apps/v1", "Deployment"): "io.k8s.api.apps.v1.Deployment", ("v1", "ConfigMap"): "io.k8s.api.core.v1.ConfigMap",
    ("v1", "Secret"): "io.k8s.api.core.v1.Secret", ("v1", "Service"): "io.k8s.api.core.v1.Service",
}
SCALARS = {"string": {"type": "string"}, "numeric": {"type": "number"}, "boolean": {"type": "boolean"}, "untyped": {}}


def module(name: str) -> Path:
    """The folder of a Go module."""
    done = subprocess.run([go(), "mod", "download", "-json", name], capture_output=True, text=True, timeout=300)
    if done.returncode:
        leave_out(f"{name} cannot be downloaded: {(done.stdout + done.stderr)[-300:]}")
    return Path(json.loads(done.stdout)["Dir"])


def schemas() -> dict:
    """The schema (OpenAPI v3) of each (apiVersion, kind)."""
    found = {}
    for name, pattern in MODULES:
        for file in module(name).glob(pattern):
            # Helm's own lines stand around the definition.
            text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("{{"))
            for crd in filter(None, yaml.safe_load_all(text)):
                for version in crd["spec"]["versions"]:
                    key = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                    found[key] = version["schema"]["openAPIV3Schema"]
    return found | core()


def core() -> dict:
    """Kubernetes' own kinds."""
    text = (module(CLIENT) / "applyconfigurations/internal/internal.go").read_text()
    types = dict(re.findall(r"^- name: (\S+)\n((?: .*\n)+)", text, re.M))

    def of(kind: dict) -> dict:
        if "namedType" in kind:
            return of(yaml.safe_load(types[kind["namedType"]]))
        if "scalar" in kind:
            return SCALARS[kind["scalar"]]
        if "list" in kind:
            return {"type": "array", "items": of(kind["list"]["elementType"])}
        fields = {one["name"]: of(one["type"]) for one in kind["map"].get("fields", [])}
        more = kind["map"].get("elementType")
        return {"type": "object", "properties": fields} | ({"additionalProperties": of(more)} if more else {})

    return {key: of({"namedType": name}) for key, name in KINDS.items()}


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
