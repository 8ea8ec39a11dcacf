"""Every command in every document is run: here, or by the test that is named beside it.

Commands are what stands in `sh` and `console` blocks, in indented blocks, behind `#` at the head of a sample, and in the text
between backquotes, if it begins with a program.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.scim import TOKEN, ScimServer
from test_readme import PAGES, TOP, blocks

PROGRAMS = ("cargo", "cosign", "curl", "docker", "envoy", "envoy-sso", "export", "func-e", "git", "helm", "istioctl", "kubectl",
            "make", "npm", "openssl", "oras", "pip", "python3", "sha256sum", "skopeo", "tests/setup")
SAMPLES = sorted(path for path in (TOP / "envoy").rglob("*.yaml") if "node_modules" not in path.parts)
OPENSSL = 'openssl req -x509 -newkey rsa:3072 -nodes -days 1095 -subj "/CN=app.example.com" -keyout saml.key -out saml.crt'
CURL = ('curl -H "Authorization: Bearer $SCIM_TOKEN" -H "Accept: application/scim+json" '
        "--get --data-urlencode 'filter=userName eq \"ada\"' http://directory.internal/scim/v2/Users")
BEARER = "test_bearer.py::test_a_token_is_the_same_user_as_a_browser"
DEVICE = "test_bearer.py::test_the_device_flow_of_a_real_provider"
LOGIN = "test_login_command.py::test_the_device_flow_prints_and_keeps_a_token_that_counts"
COMPOSE = "test_examples.py::test_compose_without_containers"
IMPORT = "test_commands.py::test_an_imported_configuration_is_checked"
# Commands whose work is a test of its own, by the test that does it.
ELSEWHERE = {
    OPENSSL: "test_commands.py::test_openssl_makes_keys_that_check_takes",
    CURL: "test_commands.py::test_curl_asks_the_directory_as_documented",
    'curl -H "authorization: Bearer $ACCESS_TOKEN" https://app.example.com/api/tables': BEARER,
    'curl -H "authorization: Bearer $TOKEN" https://app.example.com/api/tables': LOGIN,
    "TOKEN=$(envoy-sso login https://app.example.com/api/)": LOGIN,
    'curl -d client_id=script -d scope="openid email" https://idp.example.com/device/auth': DEVICE,
    "curl -d grant_type=urn:ietf:params:oauth:grant-type:device_code -d client_id=script -d device_code=… https://idp.example.com/token": DEVICE,
    "envoy-sso import FILE > sso.yaml": IMPORT,
    "envoy-sso check sso.yaml": IMPORT,
    "envoy-sso uris sso.yaml": IMPORT,
    "cargo build --release --target wasm32-wasip1 --lib": "conftest.py::pytest_report_header",
    "docker compose -f envoy/compose.yaml up": COMPOSE,
    "envoy -c /etc/envoy/envoy.yaml": "test_examples.py::test_envoy_accepts",
    "python3 docs/configuration.py": "test_readme.py::test_the_configuration_reference_is_up_to_date",
    "func-e run -c envoy/minimal.yaml": "test_func_e.py::test_func_e_runs_the_smallest_file",
    "envoy-sso check --online": "test_commands.py::test_check_asks_a_provider_that_is_there",
    "envoy-sso check --online FILE": "test_commands.py::test_check_asks_a_provider_that_is_there",
    "helm template sso envoy/helm/envoy-sso | envoy-sso check -": "test_helm.py::test_check_reads_what_the_chart_renders",
    "helm install sso envoy/helm/envoy-sso --namespace web --values values.yaml": "test_helm.py::test_objects_hold_to_their_schema",
    "skopeo copy oci:dist/oci:0.1.0 docker://registry.example.com/envoy-sso:0.1.0": "test_release.py::test_skopeo_reads_the_image",
    "cosign verify-blob --certificate-oidc-issuer https://token.actions.githubusercontent.com --certificate-identity-regexp "
    "'/release.yml@refs/tags/v' --bundle envoy_sso.wasm.bundle envoy_sso.wasm":
        "test_release.py::test_the_workflow_publishes_what_the_documents_name",
    "make run": "test_examples.py::test_the_demo_runs",
    "make bench": "test_readme.py::test_the_bench_measures",
    "make soak": "test_soak.py::test_",
    "make shared": "test_soak.py::test_ends_are_measured",
    "make dist": "test_release.py::test_the_same_filter_makes_the_same_files",
}
# What a person puts in the place of a word in capitals.
WORDS = {"FILE": "envoy/demo/sso.yaml", "CODE": "role_missing", "policy.yaml": "envoy/gateway/policy.yaml"}


def joined(text: str) -> list[str]:
    """Lines, each with those that a backslash goes on to."""
    return re.sub(r"\s*\\\n\s*", " ", text).splitlines()


def bare(line: str) -> str:
    return re.split(r"\s{2,}#", line)[0].strip()


def is_command(text: str) -> bool:
    first = text.split(" ")[0]
    return first in PROGRAMS or re.match(r"[A-Z_]+=\$\(", text) is not None


def in_page(page: Path):
    for block in blocks(page, "sh") + blocks(page, "bash"):
        yield from filter(None, map(bare, joined(block)))
    for block in blocks(page, "console"):
        yield from (bare(line[2:]) for line in joined(block) if line.startswith("$ "))
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.S | re.M)
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.S | re.M):
        yield from filter(None, map(bare, joined(block)))
    for block in re.findall(r"(?:^    \S.*\n(?:^      .*\n)*)+", text, re.M):
        yield from filter(is_command, map(bare, joined(block)))
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    yield from (span for span in map(str.strip, spans) if " " in span and is_command(span))


def in_sample(file: Path):
    for line in file.read_text().splitlines():
        if (found := re.match(r"#\s{2,}(\S.*)", line)) and is_command(bare(found[1])) and not re.match(r"\S+\s{2,}", found[1]):
            yield bare(found[1])


COMMANDS = sorted({command for page in PAGES for command in in_page(page)} | {command for file in SAMPLES for command in in_sample(file)})


def test_commands_are_found_wherever_they_stand():
    for command in ("make test", "cargo run --quiet -- keygen", OPENSSL, CURL, "envoy-sso import FILE > sso.yaml", "envoy-sso explain CODE",
                    "docker compose -f envoy/compose.yaml up", "envoy -c /etc/envoy/envoy.yaml", "TOKEN=$(envoy-sso login https://app.example.com/api/)"):
        assert command in COMMANDS, command
    assert set(ELSEWHERE) <= set(COMMANDS), f"in no document any more: {sorted(set(ELSEWHERE) - set(COMMANDS))}"


@pytest.fixture(scope="module")
def command_line():
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--bin", "envoy-sso"], cwd=TOP, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "debug/envoy-sso"


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command_line, command):
    if test := ELSEWHERE.get(command):
        file, name = test.split("::")
        assert re.search(rf"^def {name}", (TOP / "tests/e2e" / file).read_text(), re.M), f"there is no test {test}"
        return
    program, verb, *_ = command.split()
    if program == "make":
        assert re.search(rf"^{verb}:", (TOP / "Makefile").read_text(), re.M), f"the Makefile has no {verb}"
        return
    if program == "cargo" and verb in ("test", "build", "install"):
        assert subprocess.run(["cargo", verb, "--help"], capture_output=True).returncode == 0
        return
    if program in ("openssl", "export"):
        text = command.replace("cargo run -q --", str(command_line)) + (" -help" if command == f"{program} {verb}" else "")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return
    assert command.startswith(("cargo run --quiet --", "envoy-sso")), f"say in ELSEWHERE where {command!r} is tested"
    arguments = command.removeprefix("cargo run --quiet --").removeprefix("envoy-sso").split()
    if len(arguments) == 1 and arguments[0] in ("check", "import", "uris", "login"):
        arguments.append("FILE")  # named in a sentence, without its file
    if arguments[0] in ("login", "import"):
        done = subprocess.run([command_line, arguments[0]], capture_output=True, text=True)
        assert done.returncode != 0 and arguments[0] in done.stderr, "it says how it is used"
        return
    done = subprocess.run([command_line, *(WORDS.get(word, word) for word in arguments)], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip(), done.stdout + done.stderr


def test_keygen_makes_keys_that_check_takes(command_line, tmp_path):
    keys = [subprocess.run([command_line, "keygen"], capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert keys[0] != keys[1]
    config = yaml.safe_load((TOP / "envoy/demo/sso.yaml").read_text())
    env = {**os.environ, "SSO_SESSION_KEY": keys[0], "OIDC_SECRET": "x", "SCIM_TOKEN": "y"}
    file = tmp_path / "sso.yaml"
    file.write_text(yaml.safe_dump(config))
    assert subprocess.run([command_line, "check", file], env=env, capture_output=True).returncode == 0
    env["SSO_SESSION_KEY"] = "too short"
    assert subprocess.run([command_line, "check", file], env=env, capture_output=True).returncode == 1


def test_openssl_makes_keys_that_check_takes(command_line, tmp_path):
    """docs/saml.md: the key signs and decrypts, the certificate is shown and would do for a provider's."""
    subprocess.run(OPENSSL, shell=True, cwd=tmp_path, check=True, capture_output=True)
    certificate = (tmp_path / "saml.crt").read_text()
    ours = {"private_key": {"env": "SAML_KEY"}, "certificate": certificate}
    config = {
        "session": {"keys": [{"id": "k", "value": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]}, "clusters": {"*": "idp"},
        "accounts": [{"origins": ["https://app.example.com"], "sso": "enabled", "identity_providers": [{"id": "partners", "saml": {
            "sso_url": "https://idp.partner.com/sso", "issuer": "https://idp.partner.com", "certificates": [certificate],
            "signing": ours, "decryption": ours}}]}]}
    file = tmp_path / "sso.yaml"
    file.write_text(yaml.safe_dump(config))

    def check(key):
        return subprocess.run([command_line, "check", file], capture_output=True, text=True, env={**os.environ, "SAML_KEY": key})

    done = check((tmp_path / "saml.key").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert check(certificate).returncode == 1, "a certificate is not a key"


def test_curl_asks_the_directory_as_documented():
    """docs/scim-server.md: what curl shows is what the filter sees."""
    server = ScimServer()
    try:
        directory = server.directory("directory.internal")
        directory.add("ada", email="ada@acme.com")
        directory.add("bob", email="bob@acme.com")
        command = CURL.replace("http://directory.internal/scim/v2", directory.url)
        command += f" --connect-to {directory.host}::127.0.0.1:{server.port}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ, "SCIM_TOKEN": TOKEN})
        assert done.returncode == 0 and [one["userName"] for one in yaml.safe_load(done.stdout)["Resources"]] == ["ada"], done
        refused = subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ, "SCIM_TOKEN": "wrong"})
        assert "Resources" not in refused.stdout
    finally:
        server.stop()


def test_an_imported_configuration_is_checked(command_line, tmp_path):
    """docs/importing.md: import, check, uris."""
    sample = TOP / "tests/samples/import/oauth2-proxy/google.cfg"
    script = 'envoy-sso import FILE > sso.yaml && envoy-sso check sso.yaml && envoy-sso uris sso.yaml'
    done = subprocess.run(script.replace("FILE", str(sample)), shell=True, cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PATH": f"{command_line.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0 and "/oauth2/callback" in done.stdout, done.stdout + done.stderr


def test_check_asks_a_provider_that_is_there(command_line, tmp_path):
    """`check --online` on a configuration whose provider answers, and on one whose provider does not."""
    from harness.net import free_port
    from harness.provider import OidcProvider
    provider = OidcProvider([{"client_id": "app", "client_secret": "the secret", "redirect_uris": ["https://app.example.com/sso/oidc/consume?u=default"]}])
    try:
        def check(port):
            config = {
                "session": {"keys": [{"id": "k", "value": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]}, "clusters": {"*": "idp"},
                "accounts": [{"origins": ["https://app.example.com"], "sso": "enabled", "identity_providers": [{"id": "corp", "title": "Corp", "oidc": {
                    "discovery": f"http://127.0.0.1:{port}/.well-known/openid-configuration", "client_id": "app",
                    "client_secret": {"value": "the secret"}}}]}]}
            file = tmp_path / "sso.yaml"
            file.write_text(yaml.safe_dump(config))
            done = subprocess.run([command_line, "check", "--online", file], capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

        code, said = check(provider.port)
        assert code == 0, said
        code, said = check(free_port())
        assert code != 0, said
    finally:
        provider.stop()
