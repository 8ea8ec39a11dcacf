"""A certificate authority of a test's own, and servers that speak real TLS: one that works, and some that do not."""

import datetime
import pathlib
import socket
import ssl
import struct
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .envoy import TYPE, cluster
from .net import Server


class Authority:
    """Issues certificates for server names."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._made(name, self.key.public_key(), name, x509.BasicConstraints(ca=True, path_length=0))

    def _made(self, subject: str, public, issuer: str, *extensions) -> x509.Certificate:
        def called(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (x509.CertificateBuilder().subject_name(called(subject)).issuer_name(called(issuer)).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=30)))
        for extension in extensions:
            made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return made.sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server(self, name: str) -> ssl.SSLContext:
        """A server's side of TLS with a certificate for this name."""
        own = ec.generate_private_key(ec.SECP256R1())
        made = self._made(name, own.public_key(), self.name, x509.SubjectAlternativeName([x509.DNSName(name)]))
        place = self.folder / f"{self.name}-{name}.pem"
        place.write_bytes(made.public_bytes(serialization.Encoding.PEM) + own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place)
        return context


def tls_cluster(name: str, port: int, host: str, trusted: str) -> dict:
    """A cluster as docs/operations.md has it: TLS, the name asked for, and the authority that may say so."""
    return cluster(name, port) | {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": host,
        "common_tls_context": {"validation_context": {
            "trusted_ca": {"inline_string": trusted},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}]}}}}}


class TlsServer(Server):
    """Speaks TLS. `then`: "relay" to a port in plain text, "reset" once a request has come, "hang" without an answer."""

    def __init__(self, context: ssl.SSLContext, then: str, target: int = 0):
        self.context, self.then, self.target = context, then, target
        self.over = threading.Event()
        super().__init__()

    def serve(self, plain: socket.socket):
        with self.context.wrap_socket(plain, server_side=True) as secured:
            if self.then == "relay":
                return self._relay(secured)
            secured.recv(65536)
            if self.then == "hang":
                self.over.wait(300)
            secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _relay(self, secured: ssl.SSLSocket):
        """One request and its answer at a time; the provider's answers have a length."""
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            while asked := secured.recv(65536):
                server.sendall(asked)
                answer = b""
                while not _is_whole(answer):
                    more = server.recv(65536)
                    if not more:
                        return
                    answer += more
                secured.sendall(answer)

    def stop(self):
        self.over.set()
        self.listener.close()


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0])
