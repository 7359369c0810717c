"""What ingestion costs above its embedding: reading, chunking, storing, bookkeeping.

    python benchmarks/ingest.py [--documents 1000] [--rounds 1] [--stores qdrant-edge qdrant chroma]

Each round embeds the chunks of all documents alone, then ingests the documents into a folder of
each store, then ingests the unchanged documents again. Two ratios: to the embedding alone, some
minutes apart, and to the time that the run itself spent in the embedder, which a machine whose
speed drifts does not blur. Libraries are loaded before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from corpora import cut, prose_text, technical_text

from jina_integrations import Collection, Document, Embedder, SentenceChunker

STORES = ("qdrant-edge", "qdrant", "chroma")
CHUNKER = SentenceChunker(max_tokens=256)


def embed_alone(documents: list[Document]) -> tuple[float, int]:
    """Seconds to embed the chunks of the documents, and how many they are."""
    embedder = Embedder("minilm")
    chunks = [c.text for d in documents for c in CHUNKER.chunk(d, embedder.tokenizer)]
    start = time.perf_counter()
    embedder.embed_documents(chunks)
    return time.perf_counter() - start, len(chunks)


def run(documents: list[Document], address: str) -> tuple[float, float]:
    """Seconds of one ingestion, from opening to closing, and how many its embedder took."""
    embedder = Embedder("minilm")
    start = time.perf_counter()
    with Collection(address, embedder=embedder, chunker=CHUNKER) as collection:
        report = collection.ingest(documents)
    if report.failures:
        raise SystemExit(f"{len(report.failures)} documents failed: {report.failures[0].error}")
    return time.perf_counter() - start, embedder.usage.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    arguments = parser.parse_args()
    tokenizer = Embedder("minilm").tokenizer
    half = arguments.documents // 2
    texts = cut(prose_text(), half, (100, 900), tokenizer)
    texts += cut(technical_text(), arguments.documents - half, (100, 900), tokenizer)
    documents = [Document(f"document-{number}", text) for number, text in enumerate(texts)]
    embed_alone(documents[:20])
    alone: list[float] = []
    to_alone: dict[str, list[float]] = {store: [] for store in arguments.stores}
    to_embedding: dict[str, list[float]] = {store: [] for store in arguments.stores}
    again: dict[str, list[float]] = {store: [] for store in arguments.stores}
    chunks = 0
    for _ in range(arguments.rounds):
        seconds, chunks = embed_alone(documents)
        alone.append(seconds)
        for store in arguments.stores:
            with tempfile.TemporaryDirectory() as folder:
                run(documents[:1], f"{store}:{Path(folder) / 'warm'}#benchmark")
                address = f"{store}:{Path(folder) / 'index'}#benchmark"
                whole, embedding = run(documents, address)
                to_alone[store].append(whole / seconds)
                to_embedding[store].append(whole / embedding)
                again[store].append(run(documents, address)[0])
    print(f"{len(documents)} documents, {chunks} chunks, {arguments.rounds} rounds")
    print(f"  embedding alone {np.median(alone):7.1f} s")
    for store in arguments.stores:
        print(
            f"  {store:12} {np.median(to_alone[store]):.3f}x of embedding alone, "
            f"{np.median(to_embedding[store]):.3f}x of its own embedding; "
            f"again, nothing changed: {np.median(again[store]):.2f} s"
        )


if __name__ == "__main__":
    main()
