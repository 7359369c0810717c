"""Whether late chunking helps: nDCG@10 of answers to questions on SQuAD-form data, such as XQuAD.

    python benchmarks/quality.py xquad.en.json [--tokens 128]

Paragraphs of one article make one document. A chunk is right for a question where the answer begins
in it; with one right chunk, nDCG@10 is 1 / log2(1 + rank), or 0 beyond rank 10 (Järvelin and
Kekäläinen 2002). The data is not part of this project: github.com/google-deepmind/xquad.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from jina_integrations import Embedder, SentenceChunker

WEIGHTS = (0.0, 0.25, 0.5, 1.0)


def read(path: Path) -> tuple[list[str], list[tuple[str, int, int]]]:
    """Documents, and for each question its text, document, and where its answer begins."""
    documents: list[str] = []
    questions: list[tuple[str, int, int]] = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        text = ""
        for paragraph in article["paragraphs"]:
            text += "\n\n" if text else ""
            for item in paragraph["qas"]:
                begin = len(text) + item["answers"][0]["answer_start"]
                questions.append((item["question"], len(documents), begin))
            text += paragraph["context"]
        documents.append(text)
    return documents, questions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    documents, questions = read(arguments.data)
    late = Embedder("minilm")
    chunker = SentenceChunker(max_tokens=arguments.tokens + late.tokenizer.overhead)
    spans = [chunker.spans(document, late.tokenizer) for document in documents]
    places = np.array([(at, a, b) for at, own in enumerate(spans) for a, b in own])
    right = np.array(
        [
            np.flatnonzero((places[:, 0] == at) & (places[:, 1] <= begin) & (begin < places[:, 2]))[
                0
            ]
            for _, at, begin in questions
        ]
    )
    queries = late.embed_queries([question for question, _, _ in questions])
    contextual = np.concatenate(late.embed_chunks(documents, spans))
    isolated = late.embed_documents(
        [document[a:b] for document, own in zip(documents, spans, strict=True) for a, b in own]
    )
    print(f"{len(documents)} documents, {len(places)} chunks, {len(questions)} questions")
    for weight in WEIGHTS:
        mixed = weight * contextual + (1 - weight) * isolated
        scores = queries @ (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).T
        own = scores[np.arange(len(right)), right]
        ranks = 1 + (scores > own[:, None]).sum(axis=1)
        gains = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0.0)
        print(f"  context_weight {weight:4.2f}   nDCG@10 {gains.mean():.3f}")


if __name__ == "__main__":
    main()
