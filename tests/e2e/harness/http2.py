"""One request by HTTP/2 with prior knowledge, frame by frame (RFC 9113): bodies without a length, trailers, empty frames."""

import contextlib
import socket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = 1
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def split(buffered: bytes) -> tuple[list[tuple[int, int, int, bytes]], bytes]:
    """The frames that are there as a whole (kind, flags, stream, payload), and the rest."""
    frames = []
    while len(buffered) >= 9 and len(buffered) >= 9 + (length := int.from_bytes(buffered[:3], "big")):
        frames.append((buffered[3], buffered[4], int.from_bytes(buffered[5:9], "big"), buffered[9:9 + length]))
        buffered = buffered[9 + length:]
    return frames, buffered


def ends(kind: int, flags: int) -> bool:
    """True where a frame ends its stream."""
    return kind == RESET or kind in (DATA, HEADERS) and bool(flags & END_STREAM)


def block(headers: list[tuple[str, str]]) -> bytes:
    """HPACK literals without indexing, without Huffman coding (RFC 7541 section 6.2.2)."""

    def text(value: str) -> bytes:
        data = value.encode("latin-1")
        if len(data) < 127:
            return bytes([len(data)]) + data
        # The rest of the length in groups of seven bits, the lowest first (section 5.1).
        length, rest = b"\x7f", len(data) - 127
        while rest >= 128:
            length, rest = length + bytes([rest % 128 + 128]), rest // 128
        return length + bytes([rest]) + data

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
                frames, buffered = split(buffered)
                if any(stream == 1 and ends(kind, flags) for kind, flags, stream, _ in frames):
                    return
