"""What is compared: every way of cutting, encoding, storing and searching that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Annotated, Final, Literal, Self, TypeAlias, cast

from pydantic import Field, model_validator

from ..arguments import check_type
from ..chunkers import Chunker, SentenceChunker
from ..errors import InvalidSettingError
from ..settings import EmbedderSettings, Precision, Settings

__all__ = [
    "Configuration",
    "Grid",
    "Quantization",
    "Retrieval",
    "Window",
    "chunker_name",
]

Quantization: TypeAlias = Literal["none", "int8", "binary", "binary-rescored"]
"""How vectors are kept: float32; one byte for each value; one bit; one bit, where the best hits are
scored again with the float32 vectors, as vector stores do."""

Retrieval: TypeAlias = Literal["dense", "bm25", "hybrid"]
"""Vectors; words (BM25); or the ranks of both fused."""

Window: TypeAlias = tuple[int | None, int | None]
"""`window_tokens` and `overlap_tokens` of an `Embedder`; None is the embedder's own."""

NEIGHBOUR_WEIGHT: Final = 0.3
"""The control: measured about as good as late chunking on several collections, at the price of
isolated chunks."""

_EMBEDDER: Final = EmbedderSettings(model="any")
_MAY_BE_EMPTY: Final = ("context_weights", "neighbour_weights")


def chunker_name(chunker: Chunker) -> str:
    """The chunker in the form of the command line, e.g. ``"sentence:256"``, if it has one.

    Raises:
        InvalidInputError: the argument is no Chunker.
    """
    check_type("chunker", chunker, Chunker, "a Chunker")
    values = list(chunker.to_dict().values())
    while len(values) > 1 and values[-1] == 0:
        values.pop()
    return ":".join(map(str, values))


class Configuration(Settings):
    """One way to cut, encode, store and search.

    A field that an `Embedder` has, too, means the same there and takes the same values.

    Attributes:
        chunker: `chunker_name` of the chunker.
        context_weight: Share of the late-chunking vector: 0 is isolated chunks, 1 late chunking.
        neighbour_weight: Of the control: each isolated vector plus this much of the chunk before
            and of the chunk after it; 0 for everything else.
        window_tokens: Of late chunking; None is the embedder's own.
        overlap_tokens: Of late chunking; None is the embedder's own.
        dimensions: Length of the vectors; None is the embedder's own.
        precision: Precision of the model; None is the embedder's own.
        heading_context: Whether title and headings are embedded in front of each chunk, as
            ``Collection(…, heading_context=True)`` does.
        quantization: Of the stored vectors.
        retrieval: How is searched. BM25 has no vectors, so all of the above has its default.

    Raises:
        InvalidSettingError: a value is out of range.
    """

    chunker: str
    context_weight: float = 0.0
    neighbour_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    window_tokens: int | None = None
    overlap_tokens: int | None = None
    dimensions: int | None = None
    precision: Precision | None = None
    heading_context: bool = False
    quantization: Quantization = "none"
    retrieval: Retrieval = "dense"

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        _EMBEDDER.replace(**self.settings)
        return self

    @property
    def settings(self) -> dict[str, object]:
        """What it asks of the embedder: fields of `EmbedderSettings`, without those that are None.

        ``context_weight`` is among them; `EmbedderSettings.late_chunking` follows from it.
        """
        values = {name: getattr(self, name) for name in self.names() if name in _EMBEDDER.names()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def window(self) -> Window:
        """``(window_tokens, overlap_tokens)``."""
        return self.window_tokens, self.overlap_tokens

    @property
    def method(self) -> str:
        """``isolated``, ``late``, ``mix 0.25``, ``neighbours 0.3``, or ``bm25``."""
        if self.retrieval == "bm25":
            return "bm25"
        if self.neighbour_weight:
            return f"neighbours {self.neighbour_weight:g}"
        if self.context_weight in (0.0, 1.0):
            return "late" if self.context_weight else "isolated"
        return f"mix {self.context_weight:g}"

    @property
    def options(self) -> tuple[str, ...]:
        """What else differs from the defaults, e.g. ``("window 512/256", "int8", "hybrid")``."""
        window, overlap = (("auto" if size is None else str(size)) for size in self.window)
        named = (
            (f"window {window}/{overlap}", self.window != (None, None)),
            (f"{self.dimensions}d", self.dimensions is not None),
            (str(self.precision), self.precision is not None),
            ("headings", self.heading_context),
            (self.quantization, self.quantization != "none"),
            (self.retrieval, self.retrieval == "hybrid"),
        )
        return tuple(name for name, shown in named if shown)

    @property
    def name(self) -> str:
        """Chunker, method and options: unique in a grid."""
        return " ".join((self.chunker, self.method, *self.options))

    @property
    def baseline(self) -> Configuration:
        """What this one is compared to: the same chunks, isolated, in full, dense."""
        return Configuration(chunker=self.chunker)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The values of each axis; every combination is measured.

    The baseline of each chunker, isolated chunks in full, is measured in any case.

    Attributes:
        chunkers: At least one.
        context_weights: 0 to 1.
        neighbour_weights: Of the control, above 0 and up to 1; empty for none.
        windows: Of late chunking. Each is one more encoding of the documents.
        dimensions: Matryoshka lengths; None is the embedder's own.
        precisions: Precisions of the model; None is the embedder's own. Each is one more encoding
            of everything.
        heading_contexts: Whether title and headings are embedded in front of each chunk. With
            both values, everything is encoded twice.
        quantizations: Of the stored vectors.
        retrievals: How is searched.

    Raises:
        InvalidSettingError: an axis is empty, or a value is out of range or there twice.
    """

    chunkers: Sequence[Chunker] = (SentenceChunker(256),)
    context_weights: Sequence[float] = (0.0, 0.25, 0.5, 1.0)
    neighbour_weights: Sequence[float] = (NEIGHBOUR_WEIGHT,)
    windows: Sequence[Window] = ((None, None),)
    dimensions: Sequence[int | None] = (None,)
    precisions: Sequence[Precision | None] = (None,)
    heading_contexts: Sequence[bool] = (False,)
    quantizations: Sequence[Quantization] = ("none",)
    retrievals: Sequence[Retrieval] = ("dense",)
    _by_name: Mapping[str, Chunker] = field(init=False, repr=False, compare=False)
    _configurations: tuple[Configuration, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for axis in (item.name for item in fields(self) if item.init):
            _check_axis(axis, getattr(self, axis))
        names = {chunker_name(chunker): chunker for chunker in self.chunkers}
        object.__setattr__(self, "_by_name", names)
        object.__setattr__(self, "_configurations", tuple(dict.fromkeys(self._combine())))

    def chunker(self, name: str) -> Chunker:
        """The chunker of that `chunker_name`."""
        return self._by_name[name]

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Every combination once, chunker by chunker, each chunker's baseline first."""
        return self._configurations

    def _combine(self) -> Iterator[Configuration]:
        for chunker in self._by_name:
            base = Configuration(chunker=chunker)
            yield base
            for retrieval in self.retrievals:
                if retrieval == "bm25":
                    yield base.replace(retrieval="bm25")
                else:
                    yield from self._with_vectors(base.replace(retrieval=retrieval))

    def _with_vectors(self, base: Configuration) -> Iterator[Configuration]:
        vectors = [
            base.replace(
                context_weight=weight,
                window_tokens=window[0] if weight else None,
                overlap_tokens=window[1] if weight else None,
            )
            for weight, window in product(self.context_weights, self.windows)
        ]
        vectors += [base.replace(neighbour_weight=weight) for weight in self.neighbour_weights]
        for configuration, heading_context, dimensions, precision, quantization in product(
            vectors, self.heading_contexts, self.dimensions, self.precisions, self.quantizations
        ):
            yield configuration.replace(
                heading_context=heading_context,
                dimensions=dimensions,
                precision=precision,
                quantization=quantization,
            )


def _check_axis(axis: str, values: object) -> None:
    """What a `Configuration` cannot check, since it has one value of each axis."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidSettingError(f"{axis} must be a list of values, not {values!r:.80}")
    items = list(cast("Sequence[object]", values))
    if not items and axis not in _MAY_BE_EMPTY:
        raise InvalidSettingError(f"{axis} is empty: give at least one value")
    for value in items:
        if axis == "chunkers" and not isinstance(value, Chunker):
            raise InvalidSettingError(f"chunkers: {value!r:.80} is no Chunker")
        if axis == "windows" and not (isinstance(value, tuple) and len(value) == 2):
            raise InvalidSettingError(
                f"windows: {value!r:.80} is not (window_tokens, overlap_tokens)"
            )
        if axis == "neighbour_weights" and value == 0:
            raise InvalidSettingError("neighbour_weights: 0 adds no neighbours; leave it out")
    names = [chunker_name(item) if isinstance(item, Chunker) else item for item in items]
    if any(name in names[:number] for number, name in enumerate(names)):
        raise InvalidSettingError(f"{axis} has a value twice: {names}")
