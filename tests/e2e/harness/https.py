"""TLS in front of what speaks plain HTTP, for a browser that is to see https names."""

import asyncio
import ssl
import tempfile
import threading

from .net import WORK
from .saml_forge import Key


class Front:
    """Takes TLS at a port of its own and passes the bytes on to another port."""

    def __init__(self, target: int):
        self.target = target
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context()))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


async def pipe(reader, writer) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def context() -> ssl.SSLContext:
    key = Key("test")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", dir=WORK, suffix=".pem") as file:
        file.write(key.pem + key.private_pem)
        file.flush()
        made.load_cert_chain(file.name)
    return made


def flags(names: dict[str, int]) -> list[str]:
    """What makes a browser find these names at these ports, whoever signed their certificates."""
    rules = ",".join(f"MAP {name} 127.0.0.1:{port}" for name, port in names.items())
    return [f"--host-resolver-rules={rules}", "--ignore-certificate-errors"]
