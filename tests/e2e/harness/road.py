"""The way from Envoy to a provider, which can be closed and opened: a provider that is down, while browsers still reach it."""

import contextlib
import socket
import threading

from .net import Server, free_port


class Road:
    """While it is closed, connections are refused, as those of a server whose process has ended."""

    def __init__(self, to: int):
        self.to, self.port = to, free_port()
        self._lane = _Lane(self.port, to)

    def close(self) -> None:
        if self._lane:
            self._lane.end()
        self._lane = None

    def open(self) -> None:
        self._lane = self._lane or _Lane(self.port, self.to)


class _Lane(Server):
    def __init__(self, port: int, to: int):
        self.to, self.lock, self.sockets, self.over = to, threading.Lock(), set(), False
        super().__init__(port)

    def serve(self, connection):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as far:
            with self.lock:
                self.sockets |= {connection, far}
                if self.over:
                    return
            back = threading.Thread(target=self._pump, args=(far, connection), daemon=True)
            back.start()
            self._pump(connection, far)
            back.join()
            with self.lock:
                self.sockets -= {connection, far}

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            self.over = True
            for one in self.sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
