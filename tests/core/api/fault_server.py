"""A server on the loopback that speaks ``POST /v1/embeddings``, and fails as it is told to.

    with FaultServer(random_faults(["429", "reset_mid_body"], rate=0.05, seed=1)) as server:
        ...  # a client of server.base_url
    assert server.delivered == Counter(texts)

Nothing here uses the package's own code: vectors, encodings and error bodies are written out anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tests.core.api.faults import FAULTS, NO_FAULT, Body, Fault, FaultPlan, texts_of

DIMENSIONS = 32


def vector_of(
    text: str, *, document: str | None = None, dimensions: int = DIMENSIONS
) -> NDArray[np.float32]:
    """What the server answers for a text: float32, shape (dimensions,), L2 norm 1.

    With late chunking `document` is all inputs of the request, joined.
    """
    return _draw(text if document is None else f"{text}\0{document}", dimensions).copy()


@lru_cache(maxsize=20_000)
def _draw(content: str, dimensions: int) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")
    row = np.random.default_rng(seed).standard_normal(dimensions)
    return (row / np.linalg.norm(row)).astype(np.float32)


def tokens_of(text: str) -> int:
    """What the server bills for a text: one for every four bytes, and two."""
    return len(text.encode()) // 4 + 2


@dataclass(frozen=True)
class Received:
    """A request: its number, headers (names in lower case), body, and `time.monotonic()`."""

    number: int
    headers: Mapping[str, str]
    body: Body
    at_s: float

    @property
    def texts(self) -> list[str]:
        """The inputs; of a picture what stands for it."""
        return texts_of(self.body)


@dataclass
class FaultServer:
    """Runs in a thread for as long as its ``with`` block.

    Attributes:
        fault: Which requests fail, and how.
        delay_s: What every answer takes.
        headers: Sent with every answer, errors included.
        dimensions: Of a request that asks for none.
        port: To listen on; 0 takes a free one.
        requests: All that came, in order.
        billed: How often each text was embedded in an answer with status 200, broken ones included.
        delivered: How often in an answer without a fault, or one that is right in spite of it.
        statuses: How often each status was answered.
        connections: How many were made.
        most_concurrent: How many requests were under way at the same time, at most.
    """

    fault: FaultPlan = lambda number, body: None
    delay_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    dimensions: int = DIMENSIONS
    port: int = 0
    requests: list[Received] = field(default_factory=list, init=False)
    billed: Counter[str] = field(default_factory=Counter, init=False)
    delivered: Counter[str] = field(default_factory=Counter, init=False)
    statuses: Counter[int] = field(default_factory=Counter, init=False)
    connections: int = field(default=0, init=False)
    most_concurrent: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.open_sockets: set[socket.socket] = set()
        self.concurrent = 0
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _HTTPServer(("127.0.0.1", self.port), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        with self.lock:
            for connection in self.open_sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def base_url(self) -> str:
        """For the client."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def receive(self, headers: Mapping[str, str], body: Body) -> Received:
        with self.lock:
            request = Received(len(self.requests), headers, body, time.monotonic())
            self.requests.append(request)
            self.concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self.concurrent)
            return request

    def finish(self, request: Received, fault: Fault) -> None:
        """Called before the answer is sent, so that who has it sees the counts."""
        with self.lock:
            self.concurrent -= 1
            if fault.bills:
                self.billed.update(request.texts)
            if fault.how in ("none", "shuffled", "drip"):
                self.delivered.update(request.texts)
            if fault.answers:
                self.statuses[fault.status] += 1


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    owner: FaultServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.owner.lock:
            self.owner.connections += 1
            self.owner.open_sockets.add(self.connection)

    def finish(self) -> None:
        with self.owner.lock:
            self.owner.open_sockets.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        with suppress(OSError):  # a client that hangs up is part of the tests
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body: Body = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner = self.owner
        request = owner.receive(headers, body)
        fault = owner.fault(request.number, body) or NO_FAULT
        if self.path != "/v1/embeddings":
            fault = FAULTS["404"]
        owner.closing.wait(fault.seconds if fault.how == "stall" else owner.delay_s)
        owner.finish(request, fault)
        if not fault.answers:
            self._reset()
        elif fault.how == "error":
            self._answer(*_error_body(fault, request.number), fault)
        elif fault.how == "redirect":
            self._answer(b"", "text/plain", fault)
        else:
            answer = json.dumps(_answer_body(body, owner.dimensions, fault.how)).encode()
            if fault.how == "truncated_json":
                answer = answer[: len(answer) // 2]
            self._answer(answer, "application/json", fault)

    def _answer(self, body: bytes, kind: str, fault: Fault) -> None:
        self.send_response(fault.status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.owner.headers.items():
            self.send_header(name, value)
        if fault.location:
            self.send_header("Location", fault.location + self.path)
        if fault.retry_after_s is not None:
            date = formatdate(time.time() + fault.retry_after_s, usegmt=True)
            seconds = f"{fault.retry_after_s:g}"
            self.send_header("Retry-After", date if fault.retry_after_date else seconds)
        self.end_headers()
        if fault.how == "reset_mid_body":
            self.wfile.write(body[: len(body) // 2])
            self._reset()
        elif fault.how == "drip":
            step = len(body) // 20 + 1
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.owner.closing.wait(fault.seconds / 20)
        else:
            self.wfile.write(body)

    def _reset(self) -> None:
        """Close so that the client gets a reset, not an end of file."""
        self.close_connection = True
        with self.owner.lock:
            self.owner.open_sockets.discard(self.connection)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()  # or the socket stays open for it
        self.connection.close()


def _answer_body(body: Body, dimensions: int, how: str) -> Body:
    texts = texts_of(body)
    document = "".join(texts) if body.get("late_chunking") else None
    wanted = body.get("dimensions") or dimensions
    rows = [vector_of(text, document=document, dimensions=wanted) for text in texts]
    victim = len(rows) // 2
    match how:
        case "nan":
            rows[victim][0] = np.nan
        case "wrong_length":
            rows[victim] = rows[victim][:-1]
        case "zero":
            rows[victim][:] = 0.0
    form = body.get("embedding_type") or body.get("encoding_format") or "float"
    items: list[Body] = [
        {"object": "embedding", "index": index, "embedding": _encode(row, form)}
        for index, row in enumerate(rows)
    ]
    match how:
        case "null":
            items[victim]["embedding"] = None
        case "fewer_items":
            del items[victim]
        case "more_items":
            items.append(items[victim] | {"index": len(items)})
        case "duplicate_index":
            items[victim]["index"] = 0 if victim else 1  # a lone item has none to equal
        case "index_out_of_range":
            items[victim]["index"] = len(items)
        case "shuffled":
            items = [items[victim], *items[:victim][::-1], *items[victim + 1 :]]
    whole = sum(map(tokens_of, texts)) if document is None else tokens_of(document)
    usage = {"total_tokens": whole}
    return {"model": body.get("model"), "object": "list", "usage": usage, "data": items}


def _encode(row: NDArray[np.float32], form: str) -> str | list[float]:
    if form == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    if form in ("ubinary", "binary"):
        row = np.packbits(row > 0).astype(np.float32) - (128 if form == "binary" else 0)
    return [float(value) for value in row]


def _error_body(fault: Fault, number: int) -> tuple[bytes, str]:
    told = {"code": fault.code, "request_id": f"request-{number}"}
    body: Body = {"detail": fault.message, **told}
    if fault.shape == "html":
        return f"<html><h1>{fault.status}</h1></html>".encode(), "text/html"
    if fault.shape == "nested":
        body = {"detail": {"message": fault.message, **told}}
    if fault.shape == "fields":
        error = {"field": "body -> input", "message": fault.message, "type": "value_error"}
        body = {"detail": "Validation failed", "request_id": told["request_id"], "errors": [error]}
    return json.dumps(body).encode(), "application/json"
