"""What ingestion costs above its embedding: reading, chunking, storing, bookkeeping.

    python benchmarks/ingest.py [--documents 1000] [--rounds 1]

Each round embeds the chunks of all documents alone, then ingests the documents into a Qdrant folder
and into a Chroma folder, then ingests the unchanged documents again. Two ratios: to the embedding
alone, some minutes apart, and to the time that the ingest itself spent in the embedder, which a
machine whose speed drifts does not blur. Libraries are loaded before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from corpora import cut, prose_text, technical_text

from jina_integrations import Document, Embedder, SentenceChunker, ingest, open_store

KINDS = ("qdrant", "chroma")
CHUNKER = SentenceChunker(max_tokens=256)


def embed_alone(documents: list[Document]) -> tuple[float, int]:
    """Seconds to embed the chunks of the documents, and how many they are."""
    embedder = Embedder("minilm")
    chunks = [c.text for d in documents for c in CHUNKER.chunk(d, embedder.tokenizer)]
    start = time.perf_counter()
    embedder.embed_documents(chunks)
    return time.perf_counter() - start, len(chunks)


def run(documents: list[Document], location: str) -> tuple[float, float]:
    """Seconds of one ingest, and how many of them its embedder took."""
    embedder = Embedder("minilm")
    start = time.perf_counter()
    with open_store(location) as store:
        report = ingest(documents, embedder=embedder, chunker=CHUNKER, store=store)
    if report.failures:
        raise SystemExit(f"{len(report.failures)} documents failed: {report.failures[0].error}")
    return time.perf_counter() - start, embedder.usage.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    tokenizer = Embedder("minilm").tokenizer
    half = arguments.documents // 2
    texts = cut(prose_text(), half, (100, 900), tokenizer)
    texts += cut(technical_text(), arguments.documents - half, (100, 900), tokenizer)
    documents = [Document(f"document-{at}", text) for at, text in enumerate(texts)]
    embed_alone(documents[:20])
    alone: list[float] = []
    to_alone: dict[str, list[float]] = {kind: [] for kind in KINDS}
    to_own: dict[str, list[float]] = {kind: [] for kind in KINDS}
    again: dict[str, float] = {}
    chunks = 0
    for _ in range(arguments.rounds):
        seconds, chunks = embed_alone(documents)
        alone.append(seconds)
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                run(documents[:1], f"{kind}:{Path(folder) / 'warm'}#benchmark")
                location = f"{kind}:{Path(folder) / 'index'}#benchmark"
                whole, embedding = run(documents, location)
                to_alone[kind].append(whole / seconds)
                to_own[kind].append(whole / embedding)
                again[kind], _ = run(documents, location)
    print(f"{len(documents)} documents, {chunks} chunks, {arguments.rounds} rounds")
    print(f"  embedding alone {np.median(alone):7.1f} s")
    for kind in KINDS:
        print(
            f"  {kind:8} {np.median(to_alone[kind]):.3f}x of embedding alone, "
            f"{np.median(to_own[kind]):.3f}x of its own embedding; "
            f"again, nothing changed: {again[kind]:.1f} s"
        )


if __name__ == "__main__":
    main()
