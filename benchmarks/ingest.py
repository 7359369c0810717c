"""What ingestion costs above its embedding: reading, chunking, storing, bookkeeping.

    python benchmarks/ingest.py [--documents 1000] [--rounds 1]

Each round embeds the chunks of all documents alone, then ingests the documents into a Qdrant folder
and into a Chroma folder, then ingests the unchanged documents again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from corpora import cut, prose_text, technical_text

from jina_integrations import Document, Embedder, SentenceChunker, ingest, open_store

CHUNKER = SentenceChunker(max_tokens=256)


def embed_alone(documents: list[Document]) -> tuple[float, int]:
    """Seconds to embed the chunks of the documents, and how many they are."""
    embedder = Embedder("minilm")
    chunks = [c.text for d in documents for c in CHUNKER.chunk(d, embedder.tokenizer)]
    start = time.perf_counter()
    embedder.embed_documents(chunks)
    return time.perf_counter() - start, len(chunks)


def run(documents: list[Document], location: str) -> float:
    """Seconds of one ingest."""
    start = time.perf_counter()
    with open_store(location) as store:
        report = ingest(documents, embedder=Embedder("minilm"), chunker=CHUNKER, store=store)
    if report.failures:
        raise SystemExit(f"{len(report.failures)} documents failed: {report.failures[0].error}")
    return time.perf_counter() - start


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
    ratios: dict[str, list[float]] = {"qdrant": [], "chroma": []}
    again: dict[str, float] = {}
    chunks = 0
    for _ in range(arguments.rounds):
        seconds, chunks = embed_alone(documents)
        alone.append(seconds)
        for kind, own in ratios.items():
            with tempfile.TemporaryDirectory() as folder:
                location = f"{kind}:{Path(folder) / 'index'}#benchmark"
                own.append(run(documents, location) / seconds)
                again[kind] = run(documents, location)
    print(f"{len(documents)} documents, {chunks} chunks, {arguments.rounds} rounds")
    print(f"  embedding alone {np.median(alone):7.1f} s")
    for kind, own in ratios.items():
        print(
            f"  {kind:15} {np.median(own):7.3f}x of embedding alone   "
            f"again, nothing changed: {again[kind]:.1f} s"
        )


if __name__ == "__main__":
    main()
