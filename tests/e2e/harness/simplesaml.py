"""SimpleSAMLphp (Debian's package) as an identity provider with a login form, under PHP's own web server."""

import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

from . import process
from .client import Client, Reply, form_of
from .net import WORK, eventually, free_port
from .saml import Key, form
from .tools import leave_out

WWW = pathlib.Path("/usr/share/simplesamlphp/www")
CONSENT = {"authproc": [{"class": "consent:Consent"}]}  # for `add`: the user is asked
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:"

CONFIG = """<?php
$config = [
    'baseurlpath' => '{url}/', 'certdir' => '{directory}/', 'loggingdir' => '{directory}/', 'datadir' => '{directory}/',
    'tempdir' => '{directory}/tmp', 'metadatadir' => '{directory}/metadata/', 'secretsalt' => 'only for tests',
    'auth.adminpassword' => 'only for tests', 'technicalcontact_name' => 'x', 'technicalcontact_email' => 'x@acme.com',
    'timezone' => 'UTC', 'enable.saml20-idp' => true, 'module.enable' => ['consent' => true, 'exampleauth' => true, 'core' => true, 'saml' => true],
    'session.cookie.secure' => false, 'session.phpsession.savepath' => '{directory}/tmp', 'session.cookie.samesite' => null,
    'language.cookie.secure' => false, 'language.cookie.samesite' => null, 'session.phpsession.httponly' => true,
    'store.type' => 'phpsession', 'logging.handler' => 'file', 'logging.level' => 7, 'showerrors' => true,
    'errorreporting' => false, 'debug' => ['saml' => true, 'backtraces' => true, 'validatexml' => false],
    'metadata.sources' => [['type' => 'flatfile']], 'session.cookie.name' => 'SimpleSAMLSessionID',
    'session.phpsession.cookiename' => 'SimpleSAML', 'session.authtoken.cookiename' => 'SimpleSAMLAuthToken',
    'trusted.url.domains' => null, 'authproc.idp' => [],
];
"""
SOURCES = """<?php
$config = ['admin' => ['core:AdminPassword'], 'people' => ['exampleauth:UserPass',
    'ada:lovelace' => ['email' => ['ada@acme.com'], 'groups' => ['lakehouse-admins', 'staff']],
    'bob:builder' => ['email' => ['bob@acme.com']], 'root:builder' => ['email' => ['root@acme.com']],
    'carol:builder' => ['email' => ['carol@acme.com']],
]];
"""
HOSTED = """<?php
$metadata['{url}/idp'] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', 'certificate' => 'idp.crt', 'auth' => 'people',
    'signature.algorithm' => 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'sign.logout' => true,
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic'];
"""


def missing() -> str | None:
    """What has to be installed first."""
    if not shutil.which("php"):
        return "php is not on the PATH (Debian: apt-get install simplesamlphp php-cli php-xml php-mbstring)"
    if not WWW.exists():
        return f"{WWW} is not there (Debian: apt-get install simplesamlphp)"
    return None


class SimpleSaml:
    """`add` what it may sign people in to, then `start`."""

    def __init__(self, key: Key, name: str | None = None):
        """With a `name`, TLS ends before it and browsers know it as https://NAME."""
        if missing():
            leave_out(missing())
        self.key = key
        self.port = free_port()
        self.local = f"http://127.0.0.1:{self.port}"
        self.url = f"https://{name}" if name else self.local
        self.entity = f"{self.url}/idp"
        self.sso = f"{self.url}/saml2/idp/SSOService.php"
        self.slo = f"{self.url}/saml2/idp/SingleLogoutService.php"
        self.metadata = f"{self.url}/saml2/idp/metadata.php"
        self.parties: dict[str, dict] = {}
        self.directory = WORK / f"simplesaml-{self.port}-{time.monotonic_ns()}"
        self.process = None

    @property
    def settings(self) -> dict:
        """Of an account that signs people in here."""
        return {"sso_url": self.sso, "issuer": self.entity, "certificates": [self.key.pem], "slo_url": self.slo}

    def add(self, account, certificate: Key, **more) -> None:
        self.parties[account.entity] = {
            "AssertionConsumerService": account.acs, "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            "SingleLogoutService": [{"Binding": f"{BINDING}HTTP-Redirect", "Location": account.slo}],
            "simplesaml.nameidattribute": "email", "certData": certificate.base64, "saml20.sign.response": True,
            "saml20.sign.assertion": True, "validate.logout": True, "sign.logout": True} | more

    def start(self) -> "SimpleSaml":
        for name in ("", "tmp", "metadata"):
            (self.directory / name).mkdir(parents=True)

        def write(name: str, text: str) -> None:
            (self.directory / name).write_text(text.replace("{url}", self.url).replace("{directory}", str(self.directory)))

        write("config.php", CONFIG)
        write("authsources.php", SOURCES)
        write("idp.key", self.key.private_pem)
        write("idp.crt", self.key.pem)
        write("metadata/saml20-idp-hosted.php", HOSTED)
        self.write_parties()
        write("metadata/saml20-sp-remote.php", "<?php $metadata = json_decode(file_get_contents(__DIR__ . '/parties.json'), true);")
        self._output = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            ["php", "-d", "error_reporting=0", "-S", f"127.0.0.1:{self.port}", "-t", str(WWW)], cwd=self.directory,
            env=os.environ | {"SIMPLESAMLPHP_CONFIG_DIR": str(self.directory)}, stdout=self._output,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        eventually(self._up, 60, every=0.2, what="SimpleSAMLphp")
        return self

    def write_parties(self) -> None:
        """It reads them at each request."""
        (self.directory / "metadata/parties.json").write_text(json.dumps(self.parties))

    def _up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"php ended: {(self.directory / 'log').read_text()[-3000:]}")
        with urllib.request.urlopen(f"{self.local}/saml2/idp/metadata.php", timeout=10) as answer:
            return answer.status == 200

    def sign_in(self, client: Client, start: Reply, name: str = "ada", password: str = "lovelace") -> list[Reply]:
        """Through its form with a name and a password, as far as the browser comes."""
        return self.go_on(client, client.follow(start), login=name, password=password)

    def go_on(self, client: Client, hops: list[Reply], *, login: str = "ada", password: str = "lovelace", consent: str = "yes") -> list[Reply]:
        """Through the login form, where `hops` end at it, and through the question for consent, where there is one."""
        page = hops[-1]
        fields = dict(form_of(page).fields)
        if "username" in fields:  # else it knows the browser
            where = page.url.split("?")[0] if form_of(page).action in ("", "?") else page.url
            hops = hops + client.follow(client.request("POST", where, body=fields | {"username": login, "password": password}, navigation=True))
        page = hops[-1]
        if page.url.startswith(f"{self.url}/module.php/consent/getconsent.php"):
            where = page.url.split("?")[0].replace("getconsent", "getconsent" if consent == "yes" else "noconsent")
            asked = {"StateId": dict(form_of(page).fields)["StateId"], consent: ""}
            hops = hops + client.follow(client.browse(f"{where}?{urllib.parse.urlencode(asked)}"))
        return hops

    def stop(self) -> None:
        if self.process:
            process.end(self.process, self._output)
