"""The API client under limits, and what it costs, against our own server's echo mode.

    python benchmarks/api_client.py [--texts 100000] [--limits 500,1000000] [--rounds 3]

First, one call embeds all texts under limits of requests and tokens a minute, which the server
counts over a strictly sliding minute: how much of the limit went through, how many requests were
refused, and whether every vector is that of its own text. The defaults are the limits that Jina
publishes for a free key, and end in little more than a minute.

Then, without limits, the CPU seconds of a client's process for a million tokens: ours, and those of
langchain-community and llama-index-embeddings-jinaai, 512 texts a call. Each runs in a process of
its own, after a few calls to warm up. The server goes by the name of jina-embeddings-v3, so vectors
have 1,024 values, and our client has to estimate tokens as it would for Jina.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from urllib.request import urlopen

import numpy as np
from corpora import cut, prose_text

from jina_integrations import ApiSettings, Embedder

KEY = "benchmark"
MODEL = "jina-embeddings-v3"
CALL = 512
WARM_UP = 4


@contextmanager
def serving(*options: str) -> Generator[str]:
    """The base URL of a server with hash vectors, in a process of its own."""
    command = [sys.executable, "-m", "jina_integrations.cli", "serve", "--embedder", "echo"]
    command += ["--model-name", MODEL]
    process = subprocess.Popen(
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        address = re.search(r"http://\S+", said)
        if address is None:
            raise SystemExit(f"the server did not start: {said}{process.stdout.read()}")
        yield address.group()
    finally:
        process.terminate()
        process.communicate()


def make_texts(count: int) -> list[str]:
    """Different texts of 5 to 21 words, each of which is a token."""
    pieces = cut(prose_text(), count, (4, 20), Embedder("echo", backend="local").tokenizer)
    return [f"{number} {piece}" for number, piece in enumerate(pieces)]


def count_tokens(texts: list[str]) -> int:
    return sum(map(Embedder("echo", backend="local").tokenizer.count, texts))


def read_metrics(base_url: str) -> tuple[dict[str, int], int]:
    """Requests by status, and tokens of those that succeeded, as the server counts them."""
    with urlopen(base_url.removesuffix("/v1") + "/metrics") as answer:
        lines = answer.read().decode()
    counts = re.findall(r'^jina_requests_total\{status="(\d+)"\} (\S+)', lines, re.MULTILINE)
    tokens = re.findall(r"^jina_tokens_total (\S+)", lines, re.MULTILINE)
    return {status: int(float(count)) for status, count in counts}, int(float(tokens[0]))


def run_limited(count: int, requests: int, tokens: int) -> None:
    texts = make_texts(count)
    expected = Embedder("echo", backend="local").embed_documents(texts)
    with serving("--rate-limit", f"{requests},{tokens}") as base_url:
        embedder = Embedder(
            MODEL,
            backend="api",
            base_url=base_url,
            api_key=KEY,
            api=ApiSettings(requests_per_minute=requests, tokens_per_minute=tokens),
        )
        start = time.perf_counter()
        vectors = embedder.embed_documents(texts)
        minutes = (time.perf_counter() - start) / 60
        statuses, taken = read_metrics(base_url)
    sent, refused = sum(statuses.values()), statuses.get("429", 0)
    right = vectors.shape == expected.shape and np.allclose(vectors, expected, atol=1e-6)
    print(f"{count} texts, {taken} tokens in {60 * minutes:.1f} s; server's answers: {statuses}")
    print(
        f"  {taken / minutes:9.0f} tokens a minute, {taken / minutes / tokens:.1%} of {tokens}\n"
        f"  {sent / minutes:9.0f} requests a minute, {sent / minutes / requests:.1%} of "
        f"{requests}\n"
        f"  {refused} of {sent} requests refused, {refused / sent:.2%}\n"
        f"  every text has its vector, in order: {'yes' if right else 'NO'}"
    )


def ours(base_url: str) -> Callable[[list[str]], object]:
    unlimited = ApiSettings(
        requests_per_minute=None, tokens_per_minute=None, request_tokens=1_000_000
    )
    embedder = Embedder(MODEL, backend="api", base_url=base_url, api_key=KEY, api=unlimited)
    return embedder.embed_documents


def langchain(base_url: str) -> Callable[[list[str]], object]:
    from langchain_community.embeddings import jina

    jina.JINA_API_URL = f"{base_url}/embeddings"
    return jina.JinaEmbeddings(model_name=MODEL, jina_api_key=KEY).embed_documents


def llama_index(base_url: str) -> Callable[[list[str]], object]:
    from llama_index.embeddings.jinaai import JinaEmbedding

    embedding = JinaEmbedding(model=MODEL, api_key=KEY, embed_batch_size=CALL)
    embedding._api.api_url = f"{base_url}/embeddings"  # it has no option for it
    return embedding.get_text_embedding_batch


CLIENTS = {
    "jina-integrations": ours,
    "langchain-community": langchain,
    "llama-index-embeddings-jinaai": llama_index,
}


def cpu_seconds(name: str, base_url: str, count: int) -> float:
    """Of this process, threads included, for `count` texts after those that warm it up."""
    texts = make_texts(count + WARM_UP * CALL)
    calls = [texts[first : first + CALL] for first in range(0, len(texts), CALL)]
    embed = CLIENTS[name](base_url)
    for call in calls[:WARM_UP]:
        embed(call)
    start = time.process_time()
    for call in calls[WARM_UP:]:
        embed(call)
    return time.process_time() - start


def compare_cpu(count: int, rounds: int) -> None:
    tokens = count_tokens(make_texts(count + WARM_UP * CALL)[WARM_UP * CALL :])
    times: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with serving() as base_url:
        for _ in range(rounds):
            for name, seconds in times.items():
                options = ["--client", name, "--base-url", base_url, "--cpu-texts", str(count)]
                command = [sys.executable, "-W", "ignore::DeprecationWarning", __file__, *options]
                child = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                seconds.append(float(child.stdout))
    print(f"\nCPU of the client: {count} texts, {tokens} tokens, {CALL} a call, {rounds} rounds")
    for name, seconds in times.items():
        ratio = np.median([a / b for a, b in zip(seconds, times["jina-integrations"], strict=True)])
        print(
            f"  {name:30} {np.median(seconds) / tokens * 1e6:6.2f} s for a million tokens   "
            f"{ratio:5.2f}x ours"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--limits", default="500,1000000", metavar="RPM,TPM")
    parser.add_argument("--cpu-texts", type=int, default=50 * CALL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--base-url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        print(cpu_seconds(arguments.client, arguments.base_url, arguments.cpu_texts))
        return
    if arguments.texts:
        requests, tokens = map(int, arguments.limits.split(","))
        run_limited(arguments.texts, requests, tokens)
    if arguments.rounds:
        compare_cpu(arguments.cpu_texts, arguments.rounds)


if __name__ == "__main__":
    main()
