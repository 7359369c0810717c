"""How many of the ten nearest Qdrant finds where vectors are quantized, or searched by a prefix.

    pip install qdrant-edge-py
    python benchmarks/qdrant_quantization.py

Sentences of the standard library's docstrings and of the language reference, embedded with
``minilm``, go into Qdrant's own engine in this process, with an HNSW graph. 300 others are the
queries. Recall@10 is the share of the ten nearest by exact search that are among the ten found.
The columns say how many candidates the codes or the prefix choose for each point wanted; these are
scored again with the whole vector.

``minilm`` was not trained for prefixes. For the second table its vectors are turned onto their
principal axes, which leaves every cosine as it is and puts most of it in the first values. It shows
what scoring again gives back, not what a Matryoshka model loses.
"""

from __future__ import annotations

import ast
import re
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pydoc_data.topics import topics
from typing import TypeAlias

import numpy as np
import qdrant_edge as edge

from jina_integrations import Embedder
from jina_integrations.embedding.vectors import unit
from jina_integrations.types import FloatArray

Shard: TypeAlias = edge.EdgeShard
Quantization: TypeAlias = (
    edge.ScalarQuantizationConfig
    | edge.ProductQuantizationConfig
    | edge.BinaryQuantizationConfig
    | None
)

QUERIES = 300
STORED = 8000
K = 10
FACTORS = (1, 2, 4, 8, 16)
PREFIXES = (32, 64, 128, 256)
QUANTIZATIONS: dict[str, Quantization] = {
    "none": None,
    "scalar, int8": edge.ScalarQuantizationConfig(edge.ScalarType.Int8),
    "product, 16 times": edge.ProductQuantizationConfig(edge.CompressionRatio.X16),
    "binary, 2 bits": edge.BinaryQuantizationConfig(
        encoding=edge.BinaryQuantizationEncoding.TwoBits
    ),
    "binary, 1 bit": edge.BinaryQuantizationConfig(),
}


def docstrings() -> Iterator[str]:
    """Of every module, class and function of the standard library, but for its tests."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        if {"test", "tests", "lib2to3", "site-packages"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def sentences() -> list[str]:
    """Different sentences of 50 to 300 characters, in a fixed random order."""
    distinct: dict[str, None] = {}
    for text in [*docstrings(), *topics.values()]:
        for sentence in re.split(r"(?<=[.!?])\s+|\n\s*\n", text):
            line = " ".join(sentence.split())
            if 50 <= len(line) <= 300 and not line.startswith(">>>"):
                distinct[line] = None
    order = np.random.default_rng(0).permutation(len(distinct))[: QUERIES + STORED]
    unordered = list(distinct)
    return [unordered[index] for index in order]


def make_shard(
    folder: str, vectors: Mapping[str, tuple[FloatArray, edge.EdgeVectorParams]]
) -> Shard:
    """A shard with these named vectors, indexed."""
    shard = edge.EdgeShard.create(
        folder,
        edge.EdgeConfig(
            vectors={name: params for name, (_, params) in vectors.items()},
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1, default_segment_number=1),
        ),
    )
    columns = {name: rows.tolist() for name, (rows, _) in vectors.items()}
    points = [
        edge.Point(number, {name: column[number] for name, column in columns.items()})
        for number in range(STORED)
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()
    assert shard.info().indexed_vectors_count >= STORED
    return shard


def params_of(
    rows: FloatArray, *, m: int = 16, quantization: Quantization = None
) -> edge.EdgeVectorParams:
    """Cosine, and Qdrant's own HNSW defaults but for the size from which the graph is used."""
    return edge.EdgeVectorParams(
        rows.shape[1],
        edge.Distance.Cosine,
        quantization_config=quantization,
        hnsw_config=edge.HnswIndexConfig(m=m, ef_construct=100, full_scan_threshold=10),
    )


def nearest_to(row: FloatArray, name: str) -> edge.Query:
    """The query for one vector."""
    return edge.Query.Nearest(row.tolist(), name)


def recall(shard: Shard, exact: list[set[int]], requests: Iterable[edge.QueryRequest]) -> float:
    """Mean share of the exact ten nearest that the requests find."""
    hits = [{point.id for point in shard.query(request)} for request in requests]
    return float(np.mean([len(a & b) / K for a, b in zip(exact, hits, strict=True)]))


def print_quantized(stored: FloatArray, queries: FloatArray, exact: list[set[int]]) -> None:
    """The first table."""
    print(f"{'quantization':20}" + "".join(f"{f'{factor}x':>8}" for factor in FACTORS))
    for name, quantization in QUANTIZATIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            params = params_of(stored, quantization=quantization)
            shard = make_shard(folder, {"text": (stored, params)})
            print(f"{name:20}", end="")
            for factor in FACTORS:
                search = edge.QuantizationSearchParams(rescore=True, oversampling=float(factor))
                requests = (
                    edge.QueryRequest(
                        K,
                        query=nearest_to(row, "text"),
                        params=edge.SearchParams(quantization=search),
                    )
                    for row in queries
                )
                print(f"{recall(shard, exact, requests):8.3f}", end="")
            print()
            shard.close()


def print_prefixes(stored: FloatArray, queries: FloatArray, exact: list[set[int]]) -> None:
    """The second table."""
    axes = np.linalg.svd(stored, full_matrices=False)[2].T
    stored, queries = stored @ axes, queries @ axes
    print(f"{'prefix':20}" + "".join(f"{f'{factor}x':>8}" for factor in FACTORS))
    for length in PREFIXES:
        prefixes, query_prefixes = unit(stored[:, :length]), unit(queries[:, :length])
        with tempfile.TemporaryDirectory() as folder:
            shard = make_shard(
                folder,
                {
                    "text": (stored, params_of(stored, m=0)),
                    "prefix": (prefixes, params_of(prefixes)),
                },
            )
            print(f"{f'{length} of {stored.shape[1]}':20}", end="")
            for factor in FACTORS:
                requests = (
                    edge.QueryRequest(
                        K,
                        query=nearest_to(row, "text"),
                        prefetches=[edge.Prefetch(K * factor, nearest_to(prefix, "prefix"))],
                    )
                    for row, prefix in zip(queries, query_prefixes, strict=True)
                )
                print(f"{recall(shard, exact, requests):8.3f}", end="")
            print()
            shard.close()


def main() -> None:
    rows = Embedder("minilm").embed_documents(sentences())
    queries, stored = rows[:QUERIES], rows[QUERIES:]
    exact = [set(row) for row in np.argsort(-queries @ stored.T, axis=1)[:, :K].tolist()]
    print(f"recall@{K} of {QUERIES} queries among {STORED} vectors of {rows.shape[1]} values")
    print_quantized(stored, queries, exact)
    print_prefixes(stored, queries, exact)


if __name__ == "__main__":
    main()
