"""Speed of the server against its own embedder without it, measured in the same run.

    python benchmarks/serve.py [--clients 1 8 64] [--seconds 20] [--rounds 3] [--inputs 32]

The embedder works on a list of passages in a process of its own; then as many clients as said send
the same passages to a server, another process, over raw sockets and one thread: each sends its next
request once it has the answer to the last. Both take turns, so that a machine whose speed drifts is
fair to both. Then the time of one short query, alone and while a bulk client works.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
from corpora import cut, technical_text

from jina_integrations import Embedder

QUERY = "How do I resume a run that was stopped?"
BULK_INPUTS = 512


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
def server(arguments: argparse.Namespace) -> Iterator[int]:
    """The port of ``jina-integrations serve``."""
    command = [sys.executable, "-m", "jina_integrations.cli", "serve", "--port", "0"]
    options = {
        "--embedder": arguments.embedder,
        "--device": arguments.device,
        "--dtype": arguments.dtype,
        "--batch-tokens": arguments.batch_tokens,
        "--queue-tokens": 100_000_000,
        "--request-timeout": 600,
    }
    words = [str(word) for option in options.items() for word in option]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield int(urlsplit(url).port or 0)
        process.terminate()


def request(model: str, inputs: list[str]) -> bytes:
    """A whole request, made beforehand so that the clients cost next to nothing."""
    body = json.dumps(
        {"model": model, "input": inputs, "embedding_type": "base64", "truncate": True}
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


async def latencies(port: int, query: bytes, bulk: bytes | None, count: int) -> list[float]:
    """Seconds of each of `count` short queries, one after the other."""

    async def work(message: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        while True:
            await exchange(reader, writer, message)

    background = None if bulk is None else asyncio.ensure_future(work(bulk))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    for _ in range(count):
        times.append(await exchange(reader, writer, query))
        await asyncio.sleep(0.02)
    writer.close()
    if background is not None:
        background.cancel()
    return times


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


def compare_latency(arguments: argparse.Namespace, port: int) -> None:
    tokenizer = Embedder(arguments.embedder, backend="local").tokenizer
    query = request(arguments.embedder, [QUERY])
    passages = cut(technical_text(), BULK_INPUTS, (5, 250), tokenizer, seed=1)
    bulk = request(arguments.embedder, passages)
    for name, background in (("alone", None), ("beside a bulk client", bulk)):
        asyncio.run(latencies(port, query, background, 5))
        times = asyncio.run(latencies(port, query, background, arguments.queries))
        p50, p99 = np.percentile(times, [50, 99]) * 1000
        print(
            f"a short query {name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms ({arguments.queries} times)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--inputs", type=int, default=32, help="texts of one request")
    parser.add_argument("--seconds", type=float, default=20.0, help="work of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=100, help="short queries to time")
    parser.add_argument("--child", nargs=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        in_process(arguments.child)
        return
    rival = Rival(
        {
            "model": arguments.embedder,
            "backend": "local",
            "device": arguments.device,
            "dtype": arguments.dtype,
            "batch_tokens": arguments.batch_tokens,
            "truncate": True,
        }
    )
    with server(arguments) as port:
        for clients in arguments.clients:
            compare(arguments, port, rival, clients)
        compare_latency(arguments, port)
    rival.close()


if __name__ == "__main__":
    main()
