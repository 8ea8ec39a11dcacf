"""Another application beside ours at the same SAML provider: a service provider that pysaml2 makes, with single logout."""

import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.client import Saml2Client
from saml2.config import SPConfig

from .net import WORK, free_port
from .pysaml import SIGNATURES, xmlsec1
from .saml import Key

SIGN_ALG, DIGEST_ALG = SIGNATURES["sha256"]


class OtherServiceProvider:
    """`start` it once its provider serves metadata."""

    def __init__(self, key: Key):
        self.key = key
        self.port = free_port()
        self.origin = f"http://theirs.localhost:{self.port}"
        self.entity, self.acs, self.slo = (f"{self.origin}/{path}" for path in ("metadata", "acs", "slo"))
        self.outstanding: dict[str, str] = {}
        self.sessions: dict[str, object] = {}  # the NameID, by its own cookie
        self._lock = threading.Lock()
        application = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                application.serve(self, parts.path, dict(urllib.parse.parse_qsl(parts.query)), BINDING_HTTP_REDIRECT)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                application.serve(self, self.path, dict(urllib.parse.parse_qsl(body)), BINDING_HTTP_POST)

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)

    def start(self, metadata_url: str) -> None:
        directory = WORK / f"other-sp-{time.monotonic_ns()}"
        directory.mkdir(parents=True)
        (directory / "key.pem").write_text(self.key.private_pem)
        (directory / "cert.pem").write_text(self.key.pem)
        with urllib.request.urlopen(metadata_url, timeout=60) as answer:
            metadata = answer.read().decode()
        self.client = Saml2Client(config=SPConfig().load({
            "entityid": self.entity, "xmlsec_binary": xmlsec1(), "key_file": str(directory / "key.pem"),
            "cert_file": str(directory / "cert.pem"), "allow_unknown_attributes": True, "delete_tmpfiles": True,
            "signing_algorithm": SIGN_ALG, "digest_algorithm": DIGEST_ALG,
            "service": {"sp": {
                "endpoints": {"assertion_consumer_service": [(self.acs, BINDING_HTTP_POST)],
                              "single_logout_service": [(self.slo, BINDING_HTTP_REDIRECT)]},
                "authn_requests_signed": True, "logout_requests_signed": True, "logout_responses_signed": True,
                "want_response_signed": True, "allow_unsolicited": False}},
            "metadata": {"inline": [metadata]}}))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, request, path: str, fields: dict, binding: str) -> None:
        with self._lock:  # pysaml2's client is not made for threads
            status, headers, text = self.answer(request, path, fields, binding)
        request.send_response(status)
        for name, value in [("content-type", "text/html"), ("content-length", str(len(text))), *headers]:
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(text.encode())

    def answer(self, request, path: str, fields: dict, binding: str):
        cookie = (request.headers.get("cookie") or "").partition("theirs=")[2].partition(";")[0]
        if path == "/acs":
            response = self.client.parse_authn_request_response(fields["SAMLResponse"], BINDING_HTTP_POST, self.outstanding)
            self.sessions[response.session_id()] = response.name_id
            return 302, [("location", "/"), ("set-cookie", f"theirs={response.session_id()}; Path=/; HttpOnly")], ""
        if path == "/logout":
            name = self.sessions.pop(cookie)
            sent = self.client.do_logout(name, list(self.client.users.issuers_of_info(name)), "", None, sign=True,
                                         expected_binding=BINDING_HTTP_REDIRECT, sign_alg=SIGN_ALG, digest_alg=DIGEST_ALG)
            [(_, info)] = sent.values()
            return self.sent(info)
        if path == "/slo" and "SAMLRequest" in fields:
            info = self.client.handle_logout_request(
                fields["SAMLRequest"], self.sessions.pop(cookie), binding, sign=True, sign_alg=SIGN_ALG, digest_alg=DIGEST_ALG,
                relay_state=fields.get("RelayState"), sigalg=fields.get("SigAlg"), signature=fields.get("Signature"))
            return self.sent(info)
        if path == "/slo":
            self.client.parse_logout_request_response(fields["SAMLResponse"], binding)
            return 200, [], "goodbye"
        if cookie in self.sessions:
            return 200, [], f"hello {self.sessions[cookie].text}"
        number, info = self.client.prepare_for_authenticate(binding=BINDING_HTTP_REDIRECT, sign=True, sigalg=SIGN_ALG)
        self.outstanding[number] = "/"
        return self.sent(info)

    @staticmethod
    def sent(info):
        """By redirect, or by a form that posts itself."""
        location = dict(info["headers"]).get("Location")
        return (302, [("location", location)], "") if location else (200, [], info["data"])

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
