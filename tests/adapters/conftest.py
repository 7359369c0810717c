"""A real Chroma server and a stand-in for Jina's API, for every test that needs one."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from jina_integrations.wire import encode_row


@contextlib.contextmanager
def serving(folder, *, port=0):
    """Port and process of a server of this machine's chromadb, which ends with the block."""
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as server:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                assert server.poll() is None, "chroma run ended by itself"
                time.sleep(0.1)
            yield port, server
        finally:
            server.terminate()


_ANOTHER_USER = """
import os, sys
from jina_integrations.errors import JinaIntegrationsError
from jina_integrations.stores import open_store
from jina_integrations.stores.access import StoreAccess
from jina_integrations.testing import INFO, dense_vectors, records

access = StoreAccess(open_store(sys.argv[1]))
os.setgroups([]), os.setgid(65534), os.setuid(65534)  # once all is imported
for call in (
    access.describe, access.count, lambda: len(access.search(dense_vectors(1)[0], k=99)),
    lambda: access.write(records("c", "v1", 1)), lambda: access.delete(()),
    lambda: access.remember(INFO), access.settle, access.drop,
):
    try:
        print(call())
    except JinaIntegrationsError as exc:
        print(type(exc).__name__, exc)
access.close()
"""


@pytest.fixture
def another_user(tmp_path):
    """What a user who owns nothing gets from a store: a line for each call of `_ANOTHER_USER`."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    for parent in (tmp_path, *tmp_path.parents):
        parent.chmod(parent.stat().st_mode | 0o055)

    def calls(address):
        command = [sys.executable, "-c", _ANOTHER_USER, address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr

    return calls


@pytest.fixture(scope="session")
def chroma_serving():
    """The context manager: ``with chroma_serving(folder) as (port, process)``."""
    return serving


class Service(ThreadingHTTPServer):
    """Speaks ``/embeddings``: vectors of ones; remembers what it was sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.keys: list[str | None] = []
        self.bodies: list[dict] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.bodies.append(body)
        form = body.get("embedding_type") or body.get("encoding_format") or "float"
        row = encode_row(np.ones(body.get("dimensions") or 1024, np.float32), form)
        answer = {
            "model": body["model"],
            "data": [{"index": at, "embedding": row} for at in range(len(body["input"]))],
            "usage": {"total_tokens": 1, "prompt_tokens": 1},
        }
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
