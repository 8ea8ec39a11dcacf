"""Clients that hang up, and a proxy that closes connections at the worst moment."""

import socket
import struct
import threading
import time

from .net import Server, free_port


def closes(port: int, head: bytes, wait: float = 0.0) -> None:
    """HTTP/1: sends a request, and closes the connection with a reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.sendall(head)
        time.sleep(wait)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header field without indexing, nothing compressed (RFC 7541 section 6.2.2)."""
    def text(value: bytes) -> bytes:
        size = len(value)
        if size < 127:
            return bytes([size]) + value
        out, rest = bytearray([127]), size - 127
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        return bytes(out) + bytes([rest]) + value
    return b"\x00" + text(name.encode()) + text(value.encode())


class Http2:
    """One connection: requests that are reset in the packet that sends them, and one that is answered."""

    def __init__(self, port: int):
        self.plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
        self.stream = -1

    def _headers(self, headers: dict[str, str], ends: bool = True) -> bytes:
        self.stream += 2
        flags = 0x5 if ends else 0x4
        return _frame(1, flags, self.stream, b"".join(_literal(name, value) for name, value in headers.items()))

    def reset(self, headers: dict[str, str]) -> None:
        sent = self._headers(headers)
        self.plain.sendall(sent + _frame(3, 0, self.stream, struct.pack(">I", 8)))

    def half(self, headers: dict[str, str], body: bytes) -> None:
        """A request whose body ends in a reset, half sent."""
        sent = self._headers(headers, ends=False) + _frame(0, 0, self.stream, body)
        self.plain.sendall(sent + _frame(3, 0, self.stream, struct.pack(">I", 8)))

    def reaches(self, headers: dict[str, str]) -> bytes:
        """The frames that come until the stream of this request ends."""
        self.plain.sendall(self._headers(headers))
        read, seen = self.plain.makefile("rb"), b""
        while True:
            head = read.read(9)
            assert len(head) == 9, "the connection ended"
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            payload = read.read(size)
            if kind == 4 and not flags & 1:
                self.plain.sendall(_frame(4, 1, 0, b""))
            if int.from_bytes(head[5:], "big") == self.stream:
                seen += payload
                if flags & 1 or kind == 3:
                    return seen

    def close(self) -> None:
        self.plain.close()


class ForgetfulProxy(Server):
    """A TCP proxy that resets a connection on which a second request arrives, as a load balancer does that has forgotten
    it, or closes it in order, as a server does that was idle for too long. `resets` counts them."""

    def __init__(self, target: int, abrupt: bool = True):
        self.target, self.resets, self.forgets, self.abrupt = target, 0, True, abrupt
        super().__init__(free_port())

    def serve(self, client: socket.socket):
        server = socket.create_connection(("127.0.0.1", self.target))
        answered = threading.Event()

        def back():
            try:
                while data := server.recv(65536):
                    answered.set()
                    client.sendall(data)
            except OSError:
                pass

        threading.Thread(target=back, daemon=True).start()
        try:
            while data := client.recv(65536):
                if answered.is_set() and self.forgets:
                    self.resets += 1
                    if self.abrupt:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                server.sendall(data)
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    def stop(self):
        self.listener.close()
