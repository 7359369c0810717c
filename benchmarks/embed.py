"""Speed, fidelity and memory of local embedding against its peers, measured in one run.

    python benchmarks/embed.py [--rounds 3] [--passages 2000] [--peers PYTHON] [--prose FILE]

Plain passages of 5 to 400 tokens, cut at 256 by all. Each contestant is a process of its own (see
`contestants.py`), and they take turns, so that a machine whose speed drifts is fair to all; what is
printed are medians over the rounds. Each has the size of batches that is fastest for it here, and
gets its texts sorted by length where it does not sort them itself.

The floor is the time of the model's matrix products alone, at this machine's own float32 rate, by
the faster of NumPy and torch. For a sequence of L tokens, a model of n layers of width h and inner
width i takes

    n * L * (8 * h**2 + 4 * h * i + 4 * h * L)

floating-point operations: queries, keys, values and output are 4 products with a matrix of h x h,
the feed-forward layers 2 with one of h x i, scores and their sums 2 with one of h x L, and each
multiplication and each addition counts.

`--peers` is a Python that also has optimum-onnx, optimum-intel, fastembed, langchain-huggingface or
llama-index-embeddings-huggingface, with their own version of transformers. A contestant that cannot
be loaded is named and left out.

On a machine with other work, `--cores 1 --clock cpu` compares CPU time on one core. (On several,
threads that wait for each other would count as work.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contestants import CONTESTANTS, FLOOR, REFERENCE
from corpora import cut, prose_text, technical_text

from jina_integrations import Embedder
from jina_integrations.tokenizers.base import Tokenizer

WIDTH, INNER, LAYERS, MAX_TOKENS = 384, 1536, 6, 256
"""Of all-MiniLM-L6-v2."""
CHUNK = 128
OVERLAPS = (0, 64, 128, 256)
BASE = "sentence-transformers, torch"
LOWER = tuple(name for name in CONTESTANTS if name.endswith(("int8", "bfloat16")))
"""Only on request: many times slower on a processor without instructions for them."""
REFERENCE_TEXTS = 60


class Worker:
    """A contestant's process."""

    def __init__(self, name: str, python: str, exports: Path, *, size: int = 32) -> None:
        program = str(Path(__file__).with_name("contestants.py"))
        self._process = subprocess.Popen(
            [python, program, name, str(exports), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(exports / f"{name}.log").open("w"),
            text=True,
        )
        self._log = exports / f"{name}.log"

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """What the process answers.

        Raises:
            RuntimeError: it has ended; its last line on stderr is the message.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            raise RuntimeError((self._log.read_text().strip().splitlines() or ["it ended"])[-1])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def start(
    names: Sequence[str], peers: str, folder: Path, sample: Sequence[str]
) -> dict[str, Worker]:
    """The contestants that can be loaded, each at its best batch size."""
    subprocess.run(
        [peers, str(Path(__file__).with_name("contestants.py")), "export", str(folder), "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # those who need an export say what they lack
    )
    texts = write_texts(folder, "sample", sample)
    workers: dict[str, Worker] = {}
    for name in names:
        ours = name.startswith("ours")
        worker = Worker(name, sys.executable if ours else peers, folder)
        try:
            size = worker.ask("tune", texts=texts)["batch_size"]
        except RuntimeError as exc:
            print(f"{name} is left out: {exc}")
            continue
        worker.close()
        # Anew, or its peak of memory would be that of the largest batch that was tried.
        workers[name] = Worker(name, sys.executable if ours else peers, folder, size=size)
        print(f"{name}: batches of {32 * size if ours else size} {'tokens' if ours else 'texts'}")
    return workers


def write_texts(folder: Path, name: str, texts: Sequence[str]) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(list(texts)))
    return str(path)


def flops(lengths: Sequence[int]) -> int:
    """Floating-point operations of one pass over sequences of these lengths, see the top."""
    linear = 8 * WIDTH**2 + 4 * WIDTH * INNER
    return sum(LAYERS * length * (linear + 4 * WIDTH * length) for length in lengths)


def compare(
    name: str,
    passages: list[str],
    workers: dict[str, Worker],
    folder: Path,
    *,
    rounds: int,
    clock: str,
) -> None:
    texts = write_texts(folder, "passages", passages)
    tokenizer = Embedder("minilm").tokenizer
    lengths = [min(tokenizer.count(text) + tokenizer.overhead, MAX_TOKENS) for text in passages]
    tokens = sum(lengths)
    referee = Worker(REFERENCE, sys.executable, folder)
    first = write_texts(folder, "first", passages[:REFERENCE_TEXTS])
    referee.ask("embed", texts=first, vectors=str(folder / "reference.npy"))
    referee.close()
    reference = np.load(folder / "reference.npy")
    products = Worker(FLOOR, sys.executable, folder)
    floors: list[float] = []
    times: dict[str, list[float]] = {label: [] for label in workers}
    peaks: dict[str, int] = {}
    for _ in range(rounds):
        for label, worker in workers.items():
            answer = worker.ask("embed", texts=texts, vectors=str(folder / f"{label}.npy"))
            times[label].append(answer[f"{clock}_s"])
            peaks[label] = answer["peak_mib"]
        measured = products.ask("run", tokens=tokens)
        floors.append(measured[f"{clock}_s"] * flops(lengths) / measured["flops"])
    products.close()
    floor = np.median(floors)
    print(
        f"\n{name}: {len(passages)} passages, {tokens} tokens, {rounds} rounds, {clock} time\n"
        f"floor: {tokens / floor:.0f} tokens/s ({flops(lengths) / floor / 1e9:.0f} Gflop/s by "
        f"{measured['by']})\n"
        f"{'':41}tokens/s  of the floor  times {BASE}  off float64  peak memory"
    )
    for label, taken in times.items():
        ratios = sorted(b / t for b, t in zip(times[BASE], taken, strict=True))
        share = np.median([floor / t for floor, t in zip(floors, taken, strict=True)])
        ratio = f"{np.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        off = np.abs(np.load(folder / f"{label}.npy")[: len(reference)] - reference).max()
        print(
            f"{label:40} {tokens / np.median(taken):8.0f}  {share:12.0%}  "
            f"{ratio:>{len(BASE) + 6}}  {off:11.0e}  {peaks[label]:7d} MiB",
            flush=True,
        )


def compare_queries(
    workers: dict[str, Worker], queries: list[str], folder: Path, clock: str
) -> None:
    """The median time of a query, which is embedded alone by a process that is warm."""
    texts = write_texts(folder, "queries", queries)
    times: dict[str, list[float]] = {label: [] for label in workers}
    for _ in range(3):
        for label, worker in workers.items():
            times[label] += worker.ask("queries", texts=texts)[f"{clock}_s"]
    base = np.median(times[BASE])
    print(f"\n{len(queries)} queries, each alone, 3 rounds: median {clock} time")
    for label, taken in times.items():
        print(f"{label:40} {np.median(taken) * 1e3:6.1f} ms  {np.median(taken) / base:5.2f}")


def compare_overlaps(documents: list[str], *, rounds: int) -> None:
    """Late chunking of documents with windows that overlap more and more."""
    tokenizer = Embedder("minilm").tokenizer
    spans = [_spans(document, tokenizer) for document in documents]
    chunks = [
        document[start:end]
        for document, places in zip(documents, spans, strict=True)
        for start, end in places
    ]
    tokens = sum(map(tokenizer.count, documents))
    alone = Embedder("minilm", truncate=True)
    late = {overlap: Embedder("minilm", overlap_tokens=overlap) for overlap in OVERLAPS}
    alone.embed_documents(chunks[:8])
    base: list[float] = []
    times: dict[int, list[float]] = {overlap: [] for overlap in OVERLAPS}
    for _ in range(rounds):
        base.append(cpu_seconds(lambda: alone.embed_documents(chunks)))
        for overlap, embedder in late.items():
            times[overlap].append(cpu_seconds(lambda e=embedder: e.embed_chunks(documents, spans)))
    print(
        f"\nlate chunking: {len(documents)} documents, {tokens} tokens, {len(chunks)} chunks, cpu "
        f"time\nthe chunks alone {tokens / np.median(base):20.0f} tokens/s"
    )
    for overlap, taken in times.items():
        ratio = np.median([b / t for b, t in zip(base, taken, strict=True)])
        encoded = late[overlap].usage.tokens / rounds / tokens
        print(
            f"windows of 512 that share {overlap:3d} {tokens / np.median(taken):7.0f} tokens/s, "
            f"{ratio:.2f} of that; each token is encoded {encoded:.2f} times"
        )


def _spans(document: str, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    offsets = tokenizer.offsets(document)
    return [
        (int(offsets[first, 0]), int(offsets[min(first + CHUNK, len(offsets)) - 1, 1]))
        for first in range(0, len(offsets), CHUNK)
    ]


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--documents", type=int, default=40, help="late-chunked; 0 leaves them out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--cores", type=int, help="for each contestant (Linux); by default all")
    parser.add_argument("--prose", type=Path, help="a text file to cut the prose from")
    parser.add_argument("--peers", default=sys.executable, help="the Python that runs the peers")
    parser.add_argument("--exports", type=Path, help="a folder that keeps the peers' graphs")
    parser.add_argument("--lower", action="store_true", help="int8 and bfloat16, too")
    arguments = parser.parse_args()
    if arguments.cores:  # before any thread begins; the contestants' processes inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    tokenizer = Embedder("minilm").tokenizer
    technical = cut(technical_text(), arguments.passages, (5, 400), tokenizer)
    prose = prose_text(arguments.prose)
    passages = cut(prose, arguments.passages, (5, 400), tokenizer)
    names = [name for name in CONTESTANTS if arguments.lower or name not in LOWER]
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.exports or Path(name)
        folder.mkdir(exist_ok=True)
        workers = start(
            names, arguments.peers, folder, technical[: max(32, arguments.passages // 16)]
        )
        options = {"rounds": arguments.rounds, "clock": arguments.clock}
        compare("technical text", technical, workers, folder, **options)
        compare("prose", passages, workers, folder, **options)
        queries = cut(prose, 100, (5, 20), tokenizer, seed=2)
        compare_queries(workers, queries, folder, arguments.clock)
        for worker in workers.values():
            worker.close()
    if arguments.documents:
        documents = cut(prose, arguments.documents, (2000, 8000), tokenizer, seed=1)
        compare_overlaps(documents, rounds=arguments.rounds)


if __name__ == "__main__":
    main()
