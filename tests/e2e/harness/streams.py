"""Streams that do not end by themselves: a WebSocket, server-sent events, a gRPC stream."""

import contextlib
import socket
import threading
import time

from . import http2
from .net import Server, eventually


class Endless(Server):
    """An application whose answers do not end: a WebSocket, and events once in a while."""

    def serve(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65536)
            if not data:
                return
            request += data
        if b"upgrade: websocket" in request.lower():
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"8\r\ndata: 1\n\r\n")
            time.sleep(0.1)


class EndlessGrpc(Server):
    """The same by HTTP/2 (RFC 9113): each stream gets a message once in a while."""

    def serve(self, connection):
        connection.sendall(http2.frame(http2.SETTINGS, 0, 0))
        connection.settimeout(0.1)
        buffered, is_begun, streams = b"", False, set()
        while True:
            with contextlib.suppress(TimeoutError):
                data = connection.recv(65536)
                if not data:
                    return
                buffered += data
            if not is_begun and len(buffered) >= len(http2.PREFACE):
                buffered, is_begun = buffered[len(http2.PREFACE):], True
            frames, buffered = http2.split(buffered) if is_begun else ([], buffered)
            for kind, flags, stream, payload in frames:
                if kind in (http2.SETTINGS, http2.PING) and not flags & http2.ACK:
                    connection.sendall(http2.frame(kind, http2.ACK, 0, payload if kind == http2.PING else b""))
                elif kind == http2.HEADERS and stream not in streams:
                    streams.add(stream)
                    head = http2.block([(":status", "200"), ("content-type", "application/grpc")])
                    connection.sendall(http2.frame(http2.HEADERS, http2.END_HEADERS, stream, head))
                elif kind == http2.RESET:
                    streams.discard(stream)
            for stream in streams:
                connection.sendall(http2.frame(http2.DATA, 0, stream, b"\0\0\0\0\x01x"))


def before_endless(setting) -> None:
    """Puts the applications behind a setting that has not started."""
    application, grpc = Endless(), EndlessGrpc()
    for world in setting.worlds:
        world.clusters["app"] = application.port
        world.engines["grpc"] = [grpc.port]
        # As the examples have it: Envoy keeps a connection of HTTP/1 so long after its stream was reset.
        world.envoy_options = {
            "manager": {"delayed_close_timeout": "0.5s"},
            "route": {"cluster": "app", "timeout": "0s"},
            "routes": [{"match": {"prefix": "/rpc."}, "route": {"cluster": "grpc", "timeout": "0s"}}]}


class Open:
    """A stream that a client holds open; it notes when it ended."""

    def __init__(self, kind: str, port: int, host: str, cookies: dict[str, str]):
        self.ended: float | None = None
        self.received = 0
        self.connection = socket.create_connection(("127.0.0.1", port), 30)
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.is_grpc = kind == "grpc"
        if self.is_grpc:
            headers = [(":method", "POST"), (":scheme", "http"), (":authority", host), (":path", "/rpc.Feed/Follow"),
                       ("content-type", "application/grpc"), ("te", "trailers"), ("cookie", cookie)]
            self.connection.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0) + http2.frame(http2.SETTINGS, http2.ACK, 0)
                                    + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.block(headers)))
        else:
            upgrade = ("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"
                       if kind == "websocket" else "")
            self.connection.sendall(f"GET /stream HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n{upgrade}\r\n".encode())
        self.first = b""
        threading.Thread(target=self._read, daemon=True).start()
        # The second message of the application: the first one is Envoy's word that it was answered.
        eventually(lambda: self.received >= 2 or self.ended, 60, what=f"the first messages of a {kind} stream")
        assert self.ended is None, self.first

    def _read(self):
        buffered = b""
        with contextlib.suppress(OSError):
            while data := self.connection.recv(65536):
                self.first = self.first or data
                if not self.is_grpc:
                    self.received += 1
                    continue
                frames, buffered = http2.split(buffered + data)
                self.received += sum(kind == http2.DATA and stream == 1 for kind, _, stream, _ in frames)
                if any(stream == 1 and http2.ends(kind, flags) or kind == http2.GOAWAY for kind, flags, stream, _ in frames):
                    break
        self.ended = time.monotonic()

    def goes_on(self) -> None:
        """Waits for another message."""
        before = self.received
        eventually(lambda: self.received > before or self.ended, 60, what="another message")
        assert self.ended is None, "it has ended"

    def ends(self) -> float:
        """Waits until it has ended, and says when."""
        return eventually(lambda: self.ended, 60, 0.01, what="the end of the stream")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()
