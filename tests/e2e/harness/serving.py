"""A small HTTP server of the harness: a thread for each connection, silent, and calm if a client goes away."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True


def serve(port: int, answer, methods=("GET", "POST")) -> Server:
    """Serves on this port of the loopback, 0 for a free one; `answer` gets each request's handler. Other methods get 501."""
    handler = type("Handler", (Quiet,), {f"do_{method}": lambda self: answer(self) for method in methods})
    server = Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
