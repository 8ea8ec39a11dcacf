"""The filter in a VM of its own that counts: every WebAssembly instruction, every byte that it allocates or keeps.

The host around it is small and always answers at once, so that a count is the same on every machine. Envoy's
`verify_signature` and `sign` are counted and answer "no": what they cost is Envoy's.
"""

import collections
import importlib.metadata
import json
import pathlib
import struct
import time
from dataclasses import dataclass, field

import wasmtime

from .net import WORK

REQUEST, RESPONSE, CALL = 0, 2, 6  # header maps
REQUEST_BODY, CALL_BODY, PLUGIN = 0, 4, 7  # buffers
OK, NOT_FOUND, CAS_MISMATCH = 0, 1, 8
FUEL = 1 << 62
ROOT = 1


@dataclass
class Counted:
    """What one request was answered, and what it took."""

    status: int = 0  # 0: it passed to the application
    headers: list = field(default_factory=list)
    body: bytes = b""
    work: int = 0  # instructions
    calls: int = 0  # to providers and directories
    private: int = 0  # `sign` of Envoy
    verified: int = 0  # `verify_signature` of Envoy

    @property
    def code(self) -> str | None:
        return dict(self.headers).get("x-sso-code")


def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.consume_fuel = True
    return wasmtime.Engine(config)


_MODULES: dict[pathlib.Path, tuple[wasmtime.Engine, wasmtime.Module]] = {}


def module(path: pathlib.Path) -> tuple[wasmtime.Engine, wasmtime.Module]:
    """Compiled once, and kept on disk for the next run with the same file."""
    if path not in _MODULES:
        engine, folder = _engine(), WORK.parent / "vm"
        version = importlib.metadata.version("wasmtime")
        kept = folder / f"{path.stat().st_mtime_ns}-{path.stat().st_size}-{version}.cwasm"
        try:
            made = wasmtime.Module.deserialize_file(engine, str(kept))
        except (wasmtime.WasmtimeError, OSError):
            made = wasmtime.Module.from_file(engine, str(path))
            folder.mkdir(parents=True, exist_ok=True)
            beside = kept.with_suffix(f".{time.monotonic_ns()}")
            beside.write_bytes(made.serialize())
            beside.replace(kept)
        _MODULES[path] = (engine, made)
    return _MODULES[path]


def _serialized(headers) -> bytes:
    texts = [text if isinstance(text, bytes) else text.encode("latin-1") for pair in headers for text in pair]
    return struct.pack(f"<{len(texts) + 1}I", len(headers), *map(len, texts)) + b"".join(text + b"\0" for text in texts)


def _parsed(data: bytes) -> list[tuple[str, str]]:
    count, = struct.unpack_from("<I", data)
    lengths = struct.unpack_from(f"<{2 * count}I", data, 4)
    at, texts = 4 + 8 * count, []
    for length in lengths:
        texts.append(data[at:at + length].decode("latin-1"))
        at += length + 1
    return list(zip(texts[::2], texts[1::2]))


class Vm:
    """One worker. `answer(headers, body)` gives (status, headers, body) to a call, `None` where nothing comes."""

    def __init__(self, path: pathlib.Path, configuration: dict, environment: dict[str, str], answer=lambda *_: None,
                 verifies: bool = False):
        self.verifies = verifies  # what Envoy says of every signature
        self.configuration, self.answer = json.dumps(configuration).encode(), answer
        self.environment = [f"{name}={value}".encode() + b"\0" for name, value in environment.items()]
        self.now = time.time_ns()
        self.shared: dict[bytes, tuple[bytes, int]] = {}
        self.log: list[str] = []
        self.metrics: dict[str, int] = {}
        self.buffers, self.maps = {PLUGIN: self.configuration}, {}
        self.queue, self.tokens, self.streams = collections.deque(), 0, 1
        self.current, self.random = Counted(), 0
        self.goes_on = self.paused = False
        engine, made = module(path)
        self.store = wasmtime.Store(engine)
        self.store.set_fuel(FUEL)
        linker = self._linker(engine, made)
        instance = linker.instantiate(self.store, made)
        self.exports = instance.exports(self.store)
        self.memory = self.exports["memory"]
        self._call("_initialize")
        self._call("proxy_on_context_create", ROOT, 0)
        self._call("proxy_on_vm_start", ROOT, 0)
        assert self._call("proxy_on_configure", ROOT, len(self.configuration)), self.log
        self.tick()

    # What is asked.

    def request(self, method: str, path: str, headers=(), body: bytes = b"", host: str = "acme.app.test",
                application: int = 0) -> Counted:
        """One request. `application`: what that answers, where the request passes."""
        self.streams += 1
        stream, done = self.streams, Counted()
        pairs = headers.items() if isinstance(headers, dict) else headers
        self.maps[REQUEST] = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path), *pairs]
        self.buffers[REQUEST_BODY], self.current, self.goes_on = body, done, False
        before = self.store.get_fuel()
        self._call("proxy_on_context_create", stream, ROOT)
        self.paused = bool(self._call("proxy_on_request_headers", stream, len(self.maps[REQUEST]), int(not body)))
        if body and not done.status:
            self.paused = bool(self._call("proxy_on_request_body", stream, len(body), 1))
        self._answer_calls()
        for _ in range(50):  # what waits for the background
            if done.status or not self.paused or self.goes_on:
                break
            self.tick(20)
        if application and not done.status:
            self.maps[RESPONSE] = [(":status", str(application)), ("content-length", "0")]
            self._call("proxy_on_response_headers", stream, 2, 1)
        done.work = before - self.store.get_fuel()
        self._call("proxy_on_delete", stream)
        return done

    def tick(self, milliseconds: int = 500) -> None:
        self.now += milliseconds * 1_000_000
        self._call("proxy_on_tick", ROOT)
        self._answer_calls()

    @property
    def memory_bytes(self) -> int:
        """What the VM holds of the machine's memory."""
        return self.memory.data_len(self.store)

    @property
    def shared_bytes(self) -> int:
        """What it keeps in Envoy's shared data."""
        return sum(len(key) + len(value) for key, (value, _) in self.shared.items())

    # Inside.

    def _call(self, name: str, *arguments):
        function = self.exports.get(name)
        return function(self.store, *arguments) if function is not None else None

    def _answer_calls(self):
        while self.queue:
            token, headers, body = self.queue.popleft()
            said = self.answer(dict(headers), body)
            if said is None:
                status, more, text = 503, {}, b"upstream connect error"
            else:
                status, more, text = said
            self.maps[CALL] = [(":status", str(status)), *more.items()]
            self.buffers[CALL_BODY] = text
            self._call("proxy_on_http_call_response", ROOT, token, len(self.maps[CALL]), len(text), 0)
            if self.current.status == 0:
                self._call("proxy_on_tick", ROOT)

    def _read(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + size))

    def _number(self, at: int, value: int, size: int = 4) -> None:
        self.memory.write(self.store, bytearray(value.to_bytes(size, "little")), at)

    def _give(self, data: bytes, where: int, size: int) -> int:
        at = self._call("proxy_on_memory_allocate", max(len(data), 1))
        self.memory.write(self.store, bytearray(data), at)
        self._number(where, at)
        self._number(size, len(data))
        return OK

    def _linker(self, engine, made) -> wasmtime.Linker:
        linker = wasmtime.Linker(engine)
        for needed in made.imports:
            function, returns = self._function(needed.name), bool(needed.type.results)

            def answers(*arguments, function=function, returns=returns):
                value = function(*arguments)
                return (OK if value is None else value) if returns else None
            linker.define_func(needed.module, needed.name, needed.type, answers)
        return linker

    def _function(self, name: str):
        """What the filter calls by that name."""
        return getattr(self, f"_{name}", lambda *_: OK)

    def _proxy_get_header_map_pairs(self, kind, where, size):
        return self._give(_serialized(self.maps.get(kind, [])), where, size)

    def _proxy_get_header_map_value(self, kind, at, length, where, size):
        name = self._read(at, length).decode("latin-1")
        found = [value for key, value in self.maps.get(kind, []) if key == name]
        if not found:
            return NOT_FOUND
        return self._give(found[0] if isinstance(found[0], bytes) else found[0].encode("latin-1"), where, size)

    def _proxy_get_buffer_bytes(self, kind, start, most, where, size):
        return self._give(self.buffers.get(kind, b"")[start:start + most], where, size)

    def _proxy_get_current_time_nanoseconds(self, where):
        self._number(where, self.now, 8)

    def _proxy_get_property(self, *_):
        return NOT_FOUND

    def _proxy_call_foreign_function(self, at, length, _a, _b, where, size):
        name = self._read(at, length)
        if name == b"verify_signature":
            self.current.verified += 1
        else:
            self.current.private += 1
            return NOT_FOUND
        return self._give(b"\x08\x01" if self.verifies else b"", where, size)

    def _proxy_get_shared_data(self, at, length, where, size, cas):
        value, version = self.shared.get(self._read(at, length), (None, 0))
        if value is None:
            return NOT_FOUND
        self._number(cas, version)
        return self._give(value, where, size)

    def _proxy_set_shared_data(self, at, length, value_at, value_size, cas):
        key = self._read(at, length)
        _, version = self.shared.get(key, (b"", 0))
        if version and cas and cas != version:  # a key that is not there is made whatever is compared, as Envoy does
            return CAS_MISMATCH
        self.shared[key] = (self._read(value_at, value_size), version + 1)

    def _proxy_http_call(self, _c, _cs, headers, headers_size, body, body_size, _t, _ts, _timeout, token):
        self.tokens += 1
        self.current.calls += 1
        self.queue.append((self.tokens, _parsed(self._read(headers, headers_size)), self._read(body, body_size)))
        self._number(token, self.tokens)

    def _proxy_send_local_response(self, status, _d, _ds, body, body_size, headers, headers_size, _grpc):
        self.current.status = status
        self.current.headers = _parsed(self._read(headers, headers_size)) if headers_size else []
        self.current.body = self._read(body, body_size)

    def _proxy_continue_stream(self, _kind):
        self.goes_on = True

    def _proxy_define_metric(self, _kind, at, length, where):
        name = self._read(at, length).decode()
        self._number(where, self.metrics.setdefault(name, len(self.metrics) + 1))

    def _proxy_log(self, _level, at, length):
        if len(self.log) < 10_000:
            self.log.append(self._read(at, length).decode("utf-8", "replace"))

    def _environ_sizes_get(self, count, size):
        self._number(count, len(self.environment))
        self._number(size, sum(map(len, self.environment)))

    def _environ_get(self, pointers, at):
        for number, entry in enumerate(self.environment):
            self._number(pointers + 4 * number, at)
            self.memory.write(self.store, bytearray(entry), at)
            at += len(entry)

    def _random_get(self, at, size):
        self.random += 1
        self.memory.write(self.store, bytearray(self.random.to_bytes(8, "little") * (size // 8 + 1))[:size], at)

    def _fd_write(self, _file, vectors, count, where):
        total = 0
        for number in range(count):
            at, size = struct.unpack("<II", self._read(vectors + 8 * number, 8))
            self.log.append(self._read(at, size).decode("utf-8", "replace"))
            total += size
        self._number(where, total)

    def _proc_exit(self, _code):
        raise AssertionError(f"the filter ended its VM: {self.log[-3:]}")
