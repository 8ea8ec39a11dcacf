"""The application behind the filter: it records every byte of every connection and says what it saw."""

import base64
import json
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Seen:
    """One request as it arrived."""

    connection: int
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def path(self) -> str:
        return self.target.split("?")[0]

    def named(self, beginning: str) -> list[str]:
        """The headers whose name, with _ and . read as -, begins so."""
        return [key for key, _ in self.headers if key.lower().replace("_", "-").replace(".", "-").startswith(beginning)]


@dataclass
class Answer:
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    raw: bytes | None = None  # in the place of all that: these bytes, and the end of the connection


class App:
    """A small HTTP/1.1 server. `routes[path]` is a function from Seen to Answer; else it echoes as JSON."""

    def __init__(self):
        self._lock = threading.Lock()
        self.requests: list[Seen] = []
        self.bytes: dict[int, bytes] = {}
        self.routes = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self._closing = True
        self._listener.close()

    def mark(self) -> tuple[int, int]:
        """A place in the record, for `since` and `nothing_since`."""
        with self._lock:
            return len(self.requests), sum(map(len, self.bytes.values()))

    def since(self, mark) -> list[Seen]:
        with self._lock:
            return self.requests[mark[0]:]

    def nothing_since(self, mark) -> None:
        """Asserts that not one byte arrived since, whole request or not."""
        with self._lock:
            count = sum(map(len, self.bytes.values()))
            assert count == mark[1], f"the application saw {count - mark[1]} bytes: {self.requests[mark[0]:]}"

    def _accept(self):
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            with self._lock:
                self.bytes[number] = b""
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int):
        buffered = b""

        def more() -> bool:
            nonlocal buffered
            data = connection.recv(65536)
            with self._lock:
                self.bytes[number] += data
            buffered += data
            return bool(data)

        try:
            with connection:
                while not self._closing:
                    while b"\r\n\r\n" not in buffered:
                        if not more():
                            return
                    head, buffered = buffered.split(b"\r\n\r\n", 1)
                    lines = head.decode("latin-1").split("\r\n")
                    method, target, _ = lines[0].split(" ", 2)
                    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
                    by_name = {name.lower(): value for name, value in headers}
                    body, trailers = b"", []
                    if "chunked" in by_name.get("transfer-encoding", ""):
                        while True:
                            while b"\r\n" not in buffered:
                                if not more():
                                    return
                            size, buffered = buffered.split(b"\r\n", 1)
                            length = int(size.split(b";")[0], 16)
                            if length == 0:
                                while not buffered.startswith(b"\r\n") and b"\r\n\r\n" not in buffered:
                                    if not more():
                                        return
                                text, buffered = buffered.split(b"\r\n" if buffered.startswith(b"\r\n") else b"\r\n\r\n", 1)
                                trailers = [tuple(part.strip() for part in line.split(":", 1))
                                            for line in text.decode("latin-1").splitlines()]
                                break
                            while len(buffered) < length + 2:
                                if not more():
                                    return
                            body += buffered[:length]
                            buffered = buffered[length + 2:]
                    else:
                        length = int(by_name.get("content-length", 0))
                        while len(buffered) < length:
                            if not more():
                                return
                        body, buffered = buffered[:length], buffered[length:]
                    seen = Seen(number, method, target, headers, body, head, trailers)
                    with self._lock:
                        self.requests.append(seen)
                    if by_name.get("upgrade", "").lower() == "websocket":
                        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                                           b"connection: upgrade\r\n\r\n")
                        while more():
                            pass
                        return
                    route = self.routes.get(seen.path)
                    answer = route(seen) if route else self._echo(seen)
                    if answer.raw is not None:
                        connection.sendall(answer.raw)
                        return
                    self._send(connection, answer, method)
        except OSError:
            return

    @staticmethod
    def _echo(seen: Seen) -> Answer:
        said = {"method": seen.method, "target": seen.target, "headers": seen.headers,
                "body": base64.b64encode(seen.body).decode()}
        return Answer(200, [("content-type", "application/json")], json.dumps(said).encode())

    @staticmethod
    def _send(connection, answer: Answer, method: str):
        lines = [f"HTTP/1.1 {answer.status} X"] + [f"{name}: {value}" for name, value in answer.headers]
        lines.append(f"content-length: {len(answer.body)}")
        body = b"" if method == "HEAD" else answer.body
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
