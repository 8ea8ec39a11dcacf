"""One request by HTTP/2 with prior knowledge, frame by frame (RFC 9113): bodies without a length, trailers, empty frames."""

import contextlib
import socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(headers: list[tuple[str, str]]) -> bytes:
    """HPACK literals without indexing, without Huffman coding (RFC 7541 section 6.2.2)."""

    def text(value: str) -> bytes:
        data = value.encode("latin-1")
        assert len(data) < 127, value
        return bytes([len(data)]) + data

    return b"".join(b"\x00" + text(name) + text(value) for name, value in headers)


def send(port: int, headers: list[tuple[str, str]], body: list[bytes], trailers: list[tuple[str, str]] = ()) -> None:
    """Sends it and waits until the stream is answered to its end; what came is in Envoy's access log."""
    out = PREFACE + frame(SETTINGS, 0, 0)
    out += frame(HEADERS, END_HEADERS | (0 if body or trailers else END_STREAM), 1, block(headers))
    for n, piece in enumerate(body):
        out += frame(DATA, END_STREAM if n == len(body) - 1 and not trailers else 0, 1, piece)
    if trailers:
        out += frame(HEADERS, END_HEADERS | END_STREAM, 1, block(list(trailers)))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(out)
        connection.sendall(frame(SETTINGS, 1, 0))
        buffered = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65536):
                buffered += data
                while len(buffered) >= 9 and len(buffered) >= 9 + (length := int.from_bytes(buffered[:3], "big")):
                    kind, flags, stream = buffered[3], buffered[4], int.from_bytes(buffered[5:9], "big")
                    buffered = buffered[9 + length:]
                    if stream == 1 and (kind == 3 or kind in (DATA, HEADERS) and flags & END_STREAM):
                        return
