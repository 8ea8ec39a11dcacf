"""RSA with a private key in WebAssembly: right, and with one number of instructions whatever the key, input and randomness.

Instructions are not time, but where their number differs so does the time: it showed for each input with the crate `rsa`."""

import os
import random
import subprocess

import pytest
import wasmtime
from cryptography.hazmat.primitives.asymmetric import rsa
from harness.net import PROJECT

TARGET = PROJECT / "target"
FUEL = 1 << 40
EXPONENT = 65537


class Key:
    def __init__(self, bits):
        made = rsa.generate_private_key(public_exponent=EXPONENT, key_size=bits).private_numbers()
        self.length, self.n, self.d = bits // 8, made.public_numbers.n, made.d
        self.p, self.q, self.numbers = made.p, made.q, (made.p, made.q, made.dmp1, made.dmq1, made.iqmp)

    def bytes(self, blinding, number):
        half, whole = self.length // 2, self.length
        return b"".join(part.to_bytes(half, "big") for part in self.numbers) + blinding + self.n.to_bytes(whole, "big") + number.to_bytes(whole, "big")


class Program:
    def __init__(self, path):
        config = wasmtime.Config()
        config.consume_fuel = True
        self.engine = wasmtime.Engine(config)
        self.module = wasmtime.Module.from_file(self.engine, str(path))
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()

    def run(self, folder, key, blinding, number):
        """What it prints, as a number, and its instructions."""
        (folder / "in").write_bytes(key.bytes(blinding, number))
        store = wasmtime.Store(self.engine)
        store.set_fuel(FUEL)
        wasi = wasmtime.WasiConfig()
        wasi.stdin_file, wasi.stderr_file = str(folder / "in"), str(folder / "out")
        store.set_wasi(wasi)
        self.linker.instantiate(store, self.module).exports(store)["_start"](store)
        return int.from_bytes((folder / "out").read_bytes(), "big"), FUEL - store.get_fuel()


@pytest.fixture(scope="module")
def program():
    command = ["cargo", "build", "--quiet", "--locked", "--release", "--target", "wasm32-wasip1", "-p", "envoy-sso-rsa-private", "--example", "once"]
    subprocess.run(command, cwd=PROJECT, check=True, env=os.environ | {"CARGO_TARGET_DIR": str(TARGET)})
    return Program(TARGET / "wasm32-wasip1/release/examples/once.wasm")


def inputs(key):
    """The edges of RSA and of OAEP: what opens, what begins with another byte than zero, multiples of a prime."""
    n, some = key.n, random.Random(key.n)
    yield from (0, 1, 2, n - 1, n >> 1, key.p, key.q, n - key.p, key.p * some.randrange(key.q), key.q * some.randrange(key.p))
    yield from (pow(plain, EXPONENT, n) for plain in (some.randrange(n >> 16), n - some.randrange(n >> 16), 1 << (n.bit_length() - 9)))
    yield from (some.randrange(n) for _ in range(12))


@pytest.mark.parametrize("bits", [2048, 3072])
def test_the_instructions_depend_on_the_size_alone(program, tmp_path, bits):
    counts = set()
    for key in (Key(bits) for _ in range(2)):
        for number in inputs(key):
            blinding = random.Random(number).choice([bytes(16), b"\xff" * 16, random.Random(number).randbytes(16)])
            output, count = program.run(tmp_path, key, blinding, number)
            assert output == pow(number, key.d, key.n)
            counts.add(count)
    assert len(counts) == 1, counts


def test_a_larger_key_takes_more_of_them(program, tmp_path):
    """The twin: what differs is seen."""
    small, large = (program.run(tmp_path, key, bytes(16), 5)[1] for key in (Key(2048), Key(3072)))
    assert large > 2 * small > 100_000_000
