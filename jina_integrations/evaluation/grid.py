"""What is compared: every way of cutting, encoding, storing and searching that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final, Literal, TypeAlias, cast, get_args

from ..chunkers import Chunker, SentenceChunker
from ..errors import InvalidSettingError
from ..settings import DType

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


def chunker_name(chunker: Chunker) -> str:
    """The chunker in the form of the command line, e.g. ``"sentence:256"``, if it has one."""
    values = list(chunker.to_dict().values())
    while len(values) > 1 and values[-1] == 0:
        values.pop()
    return ":".join(map(str, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One way to cut, encode, store and search.

    Attributes:
        chunker: `chunker_name` of the chunker.
        context_weight: Share of the late-chunking vector: 0 is isolated chunks, 1 late chunking.
        neighbour_weight: Of the control: each isolated vector plus this much of the chunk before
            and of the chunk after it; 0 for everything else.
        window: Of late chunking.
        dimensions: Length of the vectors; None is the embedder's own.
        dtype: Precision of the model; None is the embedder's own.
        quantization: Of the stored vectors.
        retrieval: How is searched. BM25 has no vectors, so all of the above has its default.
    """

    chunker: str
    context_weight: float = 0.0
    neighbour_weight: float = 0.0
    window: Window = (None, None)
    dimensions: int | None = None
    dtype: DType | None = None
    quantization: Quantization = "none"
    retrieval: Retrieval = "dense"

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
            (str(self.dtype), self.dtype is not None),
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
        neighbour_weights: Of the control; empty for none.
        windows: Of late chunking. Each is one more encoding of the documents.
        dimensions: Matryoshka lengths; None is the embedder's own.
        dtypes: Precisions of the model; None is the embedder's own. Each is one more encoding of
            everything.
        quantizations: Of the stored vectors.
        retrievals: How is searched.

    Raises:
        InvalidSettingError: an axis is empty or a value is out of range or there twice.
    """

    chunkers: Sequence[Chunker] = (SentenceChunker(256),)
    context_weights: Sequence[float] = (0.0, 0.25, 0.5, 1.0)
    neighbour_weights: Sequence[float] = (NEIGHBOUR_WEIGHT,)
    windows: Sequence[Window] = ((None, None),)
    dimensions: Sequence[int | None] = (None,)
    dtypes: Sequence[DType | None] = (None,)
    quantizations: Sequence[Quantization] = ("none",)
    retrievals: Sequence[Retrieval] = ("dense",)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_names", tuple(map(chunker_name, self.chunkers)))
        for name, values, empty_allowed in (
            ("chunkers", self._names, False),
            ("context_weights", self.context_weights, True),
            ("neighbour_weights", self.neighbour_weights, True),
            ("windows", self.windows, False),
            ("dimensions", self.dimensions, False),
            ("dtypes", self.dtypes, False),
            ("quantizations", self.quantizations, False),
            ("retrievals", self.retrievals, False),
        ):
            own = list(cast("Sequence[object]", values))
            if not own and not empty_allowed:
                raise InvalidSettingError(f"{name} is empty: give at least one value")
            if len(set(own)) != len(own):
                raise InvalidSettingError(f"{name} has a value twice: {own}")
        for name, values, choices in (
            ("dtypes", self.dtypes, (None, *get_args(DType))),
            ("quantizations", self.quantizations, get_args(Quantization)),
            ("retrievals", self.retrievals, get_args(Retrieval)),
        ):
            for value in values:
                if value not in choices:
                    raise InvalidSettingError(
                        f"{name}: {value!r} is none of {', '.join(map(repr, choices))}"
                    )
        for weight in self.context_weights:
            if not 0.0 <= weight <= 1.0:
                raise InvalidSettingError(f"context_weights: {weight!r} is not from 0 to 1")
        for weight in self.neighbour_weights:
            if not 0.0 < weight <= 1.0:
                raise InvalidSettingError(f"neighbour_weights: {weight!r} is not over 0, up to 1")

    def chunker(self, name: str) -> Chunker:
        """The chunker of that `chunker_name`."""
        return self.chunkers[self._names.index(name)]

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Every combination once, chunker by chunker, each chunker's baseline first."""
        unique: dict[Configuration, None] = {}
        for chunker in self._names:
            base = Configuration(chunker=chunker)
            unique[base] = None
            for retrieval in self.retrievals:
                if retrieval == "bm25":
                    unique[replace(base, retrieval="bm25")] = None
                else:
                    for own in self._with_vectors(replace(base, retrieval=retrieval)):
                        unique[own] = None
        return tuple(unique)

    def _with_vectors(self, base: Configuration) -> list[Configuration]:
        vectors = [
            replace(base, context_weight=float(weight), window=window if weight else (None, None))
            for weight, window in product(self.context_weights, self.windows)
        ]
        vectors += [replace(base, neighbour_weight=weight) for weight in self.neighbour_weights]
        return [
            replace(own, dimensions=dimensions, dtype=dtype, quantization=quantization)
            for own, dimensions, dtype, quantization in product(
                vectors, self.dimensions, self.dtypes, self.quantizations
            )
        ]
