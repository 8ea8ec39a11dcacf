"""The documents say what is so: links lead somewhere, tables are up to date. Their commands: test_commands.py."""

import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path for path in TOP.rglob("*.md")
    if not any(part in ("target", "node_modules", ".work") or part.startswith(".venv") for part in path.relative_to(TOP).parts)
)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(TOP).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text()), f"{page.name} links to {target}"


def anchors(text):
    """The anchors of a page: those that are written, and those that a forge makes of its headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'id="([^"]+)"', text))


def test_the_configuration_reference_is_up_to_date():
    done = subprocess.run([sys.executable, TOP / "docs/configuration.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_yaml_example_is_yaml():
    found = [(page, block) for page in PAGES for block in blocks(page, "yaml")]
    assert found
    for page, block in found:
        yaml.safe_load(block)


def test_readme_configuration_is_accepted(tmp_path):
    block = next(block for block in blocks(TOP / "README.md", "yaml") if block.startswith("session:"))
    file = tmp_path / "sso.yaml"
    file.write_text(block)
    done = subprocess.run(["cargo", "run", "--quiet", "--", "check", file], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", blocks(TOP / "docs/idps.md", "yaml"))
def test_providers_as_documented_are_accepted(tmp_path, block):
    given = yaml.safe_load(block.replace("…", "app"))
    mapping = given.pop("mapping", None)
    account = {
        "origins": ["https://app.example.com"], "sso": "enabled",
        "identity_providers": [{"id": "idp", **given}], **({"mapping": mapping} if mapping else {}),
    }
    config = {"session": {"keys": [{"id": "a", "env": "SSO_SESSION_KEY"}]}, "clusters": {"*": "egress"}, "accounts": [account]}
    file = tmp_path / "sso.yaml"
    file.write_text(yaml.safe_dump(config))
    done = subprocess.run(["cargo", "run", "--quiet", "--", "check", file], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_code_is_documented():
    """The table of docs/errors.md has the codes of src/fault.rs, with their statuses."""
    source = (TOP / "src/fault.rs").read_text()
    names = dict(re.findall(r'(\w+) => "([a-z_]+)"', source))
    statuses = {}
    for variants, status in re.findall(r"^\s+([A-Z][\w\s|]*?) => (\d{3}),", source, re.M):
        statuses.update({variant.strip(): status for variant in variants.split("|")})
    expected = {code: statuses[name] for name, code in names.items()}
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([\d, ]+) \|", (TOP / "docs/errors.md").read_text(), re.M))
    assert set(rows) == set(expected)
    assert all(status in rows[code] for code, status in expected.items())


def test_every_dependency_has_its_reason():
    cargo = (TOP / "Cargo.toml").read_text()
    section = cargo[cargo.index("[dependencies]"):cargo.index("[profile.release]")]
    crates = set(re.findall(r"^([a-z][\w-]*) = ", section, re.M))
    reasons = set(re.findall(r"`([a-z][\w-]*)`", (TOP / "docs/dependencies.md").read_text()))
    assert crates <= reasons, f"docs/dependencies.md lacks {sorted(crates - reasons)}"


def test_metrics_are_documented():
    source = "".join(path.read_text() for path in (TOP / "src").rglob("*.rs"))
    names = set(re.findall(r'(?:count|observe)\(&?(?:format!\()?"(sso_[a-z_]+)', source))
    text = (TOP / "docs/operations.md").read_text()
    assert names and all(f"`{name}`" in text for name in names), names


def test_the_bench_measures():
    """A short run of `make bench`: every row answers as it should, and the result has its shape. What it costs depends on
    what else the machine does, and is judged by long runs alone."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.json"
        done = subprocess.run(
            [TOP / "tests/bench/run", "--rounds", "1", "--requests", "400", "--logins", "2", "--sessions", "2", "--memory", "400",
             "--without-comparison", "--json", file],
            capture_output=True, text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(file.read_text())
    rows = {"noop", "sso", "sso.short", "sso.groups20", "sso.groups200", "user", "assertion", "bearer", "refused", "redirect", "stale", "stale_redirect"}
    others = {"none.keycloak", "oauth2.keycloak", "oauth2.groups200", "oauth2_jwt.keycloak", "oauth2_jwt.groups200", "oauth2_redirect"}
    assert rows | others <= set(result["cpu_us"]) and min(result["cookies_bytes"].values()) >= 1200
    assert {"session", "session beside OAuth2 and jwt_authn", "302 beside its 302", "SAML login, encrypted"} <= set(result["ratios"])


def test_a_dearer_row_of_the_bench_is_told(monkeypatch):
    monkeypatch.syspath_prepend(TOP / "tests/bench")
    rows = importlib.import_module("rows")
    kept = {"tolerance": {"cpu": 0.15, "wasm_bytes": 0.01}, "rows": {"session": 0.5, "login": 2.0, "wasm_bytes": 1000}}

    def told(medians, least, size=1000):
        named = [dict(zip(("session", "login"), ratios)) for ratios in (medians, least)]
        return rows.dearer({"ratios": named[0], "least_ratios": named[1], "wasm_bytes": size}, kept)

    assert told((0.57, 2.29), (0.57, 2.29), 1010) == []
    assert told((0.59, 2.31), (0.59, 2.31), 1011) == ["session", "login", "wasm_bytes"]
    assert told((0.9, 2.2), (0.5, 9.9)) == [], "what else the machine does moves one of the two'"


def test_the_words_of_saml_problems_are_those_of_the_log():
    """docs/saml.md quotes the log; each quotation stands in the verifier's source."""
    source = " ".join(re.sub(r"\\\n\s*", "", file.read_text()) for file in (TOP / "src").rglob("*.rs"))
    table = (TOP / "docs/saml.md").read_text().split("| the log says |")[1].split("\n\n")[0]
    quoted = [part.strip() for row in table.splitlines()[2:] for quotation in re.findall(r"`([^`]*)`", row.split("|")[1])
              for part in re.split(r"…|\[…\]", quotation) if len(part.strip()) > 3]
    assert len(quoted) > 20
    missing = [part for part in quoted if part.strip(" ,:") not in source]
    assert not missing, missing
