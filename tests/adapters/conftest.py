"""A real Chroma server, for every test that needs one."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


@contextlib.contextmanager
def serving(folder):
    """Port and process of a server of this machine's chromadb, which ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
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


@pytest.fixture(scope="session")
def chroma_serving():
    """The context manager: ``with chroma_serving(folder) as (port, process)``."""
    return serving
