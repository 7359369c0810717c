"""Speed of the server against its own embedder without it, measured in the same run.

    python benchmarks/serve.py [--clients 1 8 64] [--seconds 20] [--rounds 3] [--inputs 32]

The embedder works on a list of passages in a process of its own; then as many clients as said send
the same passages to a server, another process, over raw sockets and one thread: each sends its next
request once it has the answer to the last. Both take turns, so that a machine whose speed drifts is
fair to both. Then the time of one short query on a quiet server, beside a client that sends a
document of 32,000 tokens for late chunking again and again, and beside one that sends 2,048
passages at a time; all three in turns. ``--clients`` without a number leaves out the first part.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
from corpora import cut, technical_text

from jina_integrations import Embedder

QUERY = "How do I resume a run that was stopped?"
BULK_INPUTS = 2048
DOCUMENT_CHUNKS = 250
"""Of 128 tokens: a document of 32,000."""


def in_process(options: list[str]) -> None:
    """Child: embeds the passages that stdin brings, and writes the seconds it took."""
    settings = json.loads(options[0])
    embedder = Embedder.from_dict(settings)
    embedder.embed_documents(["ready"])
    print("ready", flush=True)
    for line in sys.stdin:
        passages = json.loads(line)
        start = time.perf_counter()
        embedder.embed_documents(passages)
        print(time.perf_counter() - start, flush=True)


class Rival:
    """The embedder in a process that does nothing else."""

    def __init__(self, settings: dict[str, object]) -> None:
        command = [sys.executable, __file__, "--child", json.dumps(settings)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def seconds(self, passages: list[str]) -> float:
        """What embedding the passages takes there."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(passages) + "\n")
        self._process.stdin.flush()
        return float(self._read())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def server(arguments: argparse.Namespace) -> Generator[int]:
    """The port of ``jina-integrations serve``."""
    command = [sys.executable, "-m", "jina_integrations.cli", "serve", "--port", "0"]
    options = {
        "--embedder": arguments.embedder,
        "--device": arguments.device,
        "--engine": arguments.engine,
        "--precision": arguments.precision,
        "--batch-tokens": arguments.batch_tokens,
        "--queue-tokens": 100_000_000,
        "--request-timeout": 600,
        "--max-inputs": BULK_INPUTS,
    }
    words = [str(word) for option in options.items() for word in option]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield int(urlsplit(url).port or 0)
        process.terminate()


def request(model: str, inputs: list[str], **fields: object) -> bytes:
    """A whole request, made beforehand so that the clients cost next to nothing."""
    body = json.dumps(
        {"model": model, "input": inputs, "embedding_type": "base64", "truncate": True} | fields
    ).encode()
    head = (
        "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes
) -> float:
    """Seconds until the answer is there; its body is read and thrown away."""
    start = time.perf_counter()
    writer.write(message)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head[:20]:
        raise RuntimeError(head.decode())
    length = head.split(b"content-length:")[1].split(b"\r\n")[0]
    await reader.readexactly(int(length))
    return time.perf_counter() - start


async def throughput(port: int, messages: list[bytes], clients: int) -> float:
    """Seconds until all messages are answered, `clients` at a time."""
    queue = iter(messages)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        for message in queue:
            await exchange(reader, writer, message)
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - start


async def latencies(port: int, query: bytes, large: bytes | None, count: int) -> list[float]:
    """Seconds of each of `count` short queries, one after the other.

    Args:
        port: Of the server.
        query: The short request.
        large: A request that another client sends again and again meanwhile.
        count: Queries.
    """

    async def repeat(message: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        try:
            while True:
                await exchange(reader, writer, message)
        finally:
            writer.close()

    background = None if large is None else asyncio.ensure_future(repeat(large))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while background is not None and not await asyncio.to_thread(queue_tokens, port):
        await asyncio.sleep(0.05)
    times: list[float] = []
    for _ in range(count):
        times.append(await exchange(reader, writer, query))
        await asyncio.sleep(0.02)
        if background is not None and background.done():
            background.result()
    writer.close()
    if background is not None:
        background.cancel()
        await asyncio.wait([background])
    return times


def queue_tokens(port: int) -> float:
    """Tokens that wait in the server, or are in the model."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines: list[str] = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("jina_queue_tokens "))


def compare(arguments: argparse.Namespace, port: int, rival: Rival, clients: int) -> None:
    embedder = Embedder(arguments.embedder, backend="local", truncate=True)
    tokenizer, limit = embedder.tokenizer, embedder.card.max_tokens
    pool = cut(technical_text(), 4000, (5, 250), tokenizer)
    lengths = [min(tokenizer.count(text) + tokenizer.overhead, limit) for text in pool]
    # A warm-up, which also tells how many passages fill the wanted time.
    rate = sum(lengths[:200]) / rival.seconds(pool[:200])
    count = max(clients * arguments.inputs, int(rate * arguments.seconds / np.mean(lengths)))
    count -= count % arguments.inputs
    passages = list(itertools.islice(itertools.cycle(pool), count))
    tokens = sum(itertools.islice(itertools.cycle(lengths), count))
    messages = [
        request(arguments.embedder, passages[first : first + arguments.inputs])
        for first in range(0, count, arguments.inputs)
    ]
    asyncio.run(throughput(port, messages[:clients], clients))
    served: list[float] = []
    alone: list[float] = []
    for _ in range(arguments.rounds):
        alone.append(rival.seconds(passages))
        served.append(asyncio.run(throughput(port, messages, clients)))
    ratios = sorted(a / s for a, s in zip(alone, served, strict=True))
    print(
        f"{clients:3} clients: {tokens / np.median(served):8.0f} tokens/s served, "
        f"{tokens / np.median(alone):8.0f} in process: {np.median(ratios):.2f}x "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}); {len(messages)} requests of {arguments.inputs} "
        f"inputs, {tokens} tokens"
    )


def compare_throughput(arguments: argparse.Namespace, port: int) -> None:
    """The server and the embedder alone, in turns, with each number of clients."""
    rival = Rival(
        {
            "model": arguments.embedder,
            "backend": "local",
            "device": arguments.device,
            "engine": arguments.engine,
            "precision": arguments.precision,
            "batch_tokens": arguments.batch_tokens,
            "truncate": True,
        }
    )
    for clients in arguments.clients:
        compare(arguments, port, rival, clients)
    rival.close()


def compare_latency(arguments: argparse.Namespace, port: int) -> None:
    """A short query on a quiet server, and beside the two kinds of large requests, in turns."""
    tokenizer = Embedder(arguments.embedder, backend="local").tokenizer
    query = request(arguments.embedder, [QUERY], task="retrieval.query")
    passages = cut(technical_text(), BULK_INPUTS, (5, 250), tokenizer, seed=1)
    chunks = cut(technical_text(), DOCUMENT_CHUNKS, (128, 128), tokenizer, seed=2)
    large = {
        "on a quiet server": None,
        f"beside a late-chunked document of {DOCUMENT_CHUNKS * 128:,} tokens": request(
            arguments.embedder, chunks, late_chunking=True
        ),
        f"beside a client that sends {BULK_INPUTS:,} passages at a time": request(
            arguments.embedder, passages
        ),
    }
    asyncio.run(latencies(port, query, None, 5))
    times: dict[str, list[float]] = {name: [] for name in large}
    for _ in range(arguments.rounds):
        for name, message in large.items():
            times[name] += asyncio.run(latencies(port, query, message, arguments.queries))
            while queue_tokens(port):  # what the last client left behind
                time.sleep(0.05)
    quiet = np.median(times["on a quiet server"])
    for name, seconds in times.items():
        p50, p95 = np.percentile(seconds, [50, 95])
        print(
            f"a short query {name}: p50 {p50 * 1000:.1f} ms ({p50 / quiet:.1f}x), "
            f"p95 {p95 * 1000:.1f} ms ({p95 / quiet:.1f}x); {len(seconds)} queries"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--inputs", type=int, default=32, help="texts of one request")
    parser.add_argument("--seconds", type=float, default=20.0, help="work of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=50, help="short queries a round")
    parser.add_argument("--child", nargs=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        in_process(arguments.child)
        return
    with server(arguments) as port:
        if arguments.clients:
            compare_throughput(arguments, port)
        compare_latency(arguments, port)


if __name__ == "__main__":
    main()
