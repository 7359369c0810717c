"""What a model card says: one row of data for each model, see `rows`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..errors import InvalidSettingError, UnsupportedTaskError
from ..types import Task

__all__ = [
    "LateChunkingDefaults",
    "Modality",
    "ModelCard",
    "Pooling",
    "ServiceScheme",
    "TaskScheme",
    "TokenizerFamily",
]

Pooling: TypeAlias = Literal["mean", "cls", "last"]
Modality: TypeAlias = Literal["text", "image"]

TokenizerFamily: TypeAlias = Literal["unigram", "bytes", "wordpiece"]
"""Kinds of tokenizer, which differ most outside of Latin script: XLM-RoBERTa's unigram model of
250,000 pieces, byte-level BPE such as Qwen's, and the WordPiece of an English BERT."""

_UNSEEN_TILES: Final = 4


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
        overlap_tokens: Tokens shared by neighbouring windows of a document beyond the context, at
            most: see `window_and_overlap`.
        context_weight: Share of the late-chunking vector, 0 to 1; the rest is the chunk's own.
    """

    enabled: bool
    overlap_tokens: int
    context_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceScheme:
    """What a request for one model may say.

    Attributes:
        tasks: Task to the request's ``task``; None leaves the field out. An absent task is refused.
        normalized: Whether a request may ask for vectors that are not normalised.
        late_chunking: Whether a request may ask for late chunking.
        hosted: Whether api.jina.ai serves it; else only a server of one's own does.
        tile_pixels: Side of the square tiles that pictures are billed by; 0 where it takes none.
        tile_tokens: Tokens of one tile.
    """

    tasks: Mapping[Task, str | None]
    normalized: bool = True
    late_chunking: bool = False
    hosted: bool = True
    tile_pixels: int = 0
    tile_tokens: int = 0

    def picture_tokens(self, pixels: tuple[int, int] | None) -> int:
        """What a picture costs: its tiles, each at its price (Jina's pricing).

        Args:
            pixels: Width and height; None for a picture that was not seen, taken as four tiles.
        """
        if pixels is None:
            return _UNSEEN_TILES * self.tile_tokens
        across, down = (-(-side // self.tile_pixels) for side in pixels)
        return across * down * self.tile_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
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
        service: What a request to Jina's API, or to `jina-integrations serve`, may say of it; None
            where neither has it.
        tokenizer_family: By which tokens are estimated where the tokenizer itself is not there;
            None where it is not known.
        languages: What it was trained on, in words.
        parameters: Millions of them, embeddings included; None where it is not published.
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
    normalize: bool = True
    service: ServiceScheme | None = None
    tokenizer_family: TokenizerFamily | None = None
    languages: str = "unknown"
    parameters: int | None = None

    def scheme(self, task: Task) -> TaskScheme:
        """The scheme of a task.

        Raises:
            UnsupportedTaskError: the model has no such task; the message lists those it has.
        """
        if not isinstance(task, str) or task not in self.tasks:  # pyright: ignore[reportUnnecessaryIsInstance]  # a list has no hash
            raise UnsupportedTaskError(
                f"{self.id} has no task {task!r:.80}; it has {', '.join(map(repr, self.tasks))}"
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
