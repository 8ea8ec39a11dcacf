"""A name server of our own: the answers that a stranger's would give."""

import socket
import struct
import threading


class Names:
    """Answers every question for a name with its addresses, IPv4 and IPv6, in this order."""

    def __init__(self, names: dict[str, list[str]]):
        self.names = names
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                question, sender = self.socket.recvfrom(1500)
            except OSError:
                return
            self.socket.sendto(self.answer(question), sender)

    def answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind = struct.unpack(">H", question[at + 1:at + 3])[0]
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        found = [address for address in self.names.get(".".join(labels).lower(), [])
                 if family == (socket.AF_INET6 if ":" in address else socket.AF_INET)]
        records = b""
        for address in found:
            data = socket.inet_pton(family, address)
            records += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data
        head = question[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, len(found), 0, 0)
        return head + question[12:at + 5] + records

    def stop(self) -> None:
        self.socket.close()
