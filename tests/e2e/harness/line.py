"""The way from one Envoy to the engine, which can be cut so that nothing goes through and nothing says so."""

import contextlib
import socket
import threading

from .net import Server

FOR_EVER = threading.Event()  # never set: threads here end with the process


class Line(Server):
    """Connections that are there when it is cut lead nowhere for ever, as those that are made until it is whole again."""

    def __init__(self, port: int):
        self.to = port
        self.cuts = 0
        self.is_cut = False
        super().__init__()

    def cut(self) -> None:
        self.is_cut = True
        self.cuts += 1

    def heal(self) -> None:
        self.is_cut = False

    def serve(self, connection):
        if self.is_cut:
            FOR_EVER.wait()
        made = self.cuts
        with socket.create_connection(("127.0.0.1", self.to)) as far:
            back = threading.Thread(target=self._pump, args=(far, connection, made), daemon=True)
            back.start()
            self._pump(connection, far, made)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, made: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.cuts != made:
                    FOR_EVER.wait()
                target.sendall(data)
        if self.cuts != made:
            FOR_EVER.wait()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
