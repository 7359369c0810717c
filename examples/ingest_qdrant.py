"""Ingest a folder of texts into Qdrant and search it, offline and without a server.

    pip install "jina-integrations[quickstart]"
    python examples/ingest_qdrant.py [FOLDER] [QUESTION]

The collection stays in ./example-index; run it again and nothing is embedded a second time.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jina_integrations import Embedder, SentenceChunker, ingest, open_store, search
from jina_integrations.readers import read_documents

DOCS = Path(__file__).parents[1] / "docs"


def main(folder: str = str(DOCS), question: str = "What survives when a run is killed?") -> None:
    with open_store("qdrant:./example-index#texts") as store:
        report = ingest(
            read_documents([folder]),
            embedder=Embedder("minilm"),
            chunker=SentenceChunker(max_tokens=256),
            store=store,
        )
        print(
            f"{report.documents_embedded} documents embedded, "
            f"{report.documents_unchanged} unchanged, {len(report.failures)} failed"
        )
        for hit in search(question, store=store, k=3):
            where = f"{hit.chunk.document_id}[{hit.chunk.start}:{hit.chunk.end}]"
            print(f"\n{hit.score:.3f}  {where}\n{hit.chunk.text}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
