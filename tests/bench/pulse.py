"""How long a worker answers nothing: asks it some 900 times a second over one connection, in a process of its own, so that what
the bench does meanwhile is not in it."""

import http.client
import select
import subprocess
import sys
import time


class Pulse:
    """Beats until it is stopped."""

    def __init__(self, port):
        self.process = subprocess.Popen([sys.executable, __file__, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def longest(self):
        """The longest wait for an answer since this was asked last, in milliseconds."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def beat(port):
    connection, longest = http.client.HTTPConnection("localhost", port), 0.0
    while True:
        if select.select([sys.stdin], [], [], 0.001)[0]:
            if not sys.stdin.readline():
                return
            print(longest * 1000, flush=True)
            longest = 0.0
        began = time.perf_counter()
        connection.request("GET", "/static/pulse")
        if connection.getresponse().read() != b"ok":
            sys.exit("a page for anyone is refused")
        longest = max(longest, time.perf_counter() - began)


if __name__ == "__main__":
    beat(int(sys.argv[1]))
