"""Records, filters and reference scores for the contracts of stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ..stores.base import CollectionInfo
from ..stores.filters import Filters
from ..types import Chunk, FloatArray, Record, Scalar, SparseVector, Vectors

__all__ = [
    "DIMENSIONS",
    "FILTERS",
    "INFO",
    "METADATA",
    "cosine_scores",
    "dense_vectors",
    "documents_and_filters",
    "max_similarity",
    "multi_vectors",
    "records",
    "sparse_scores",
    "sparse_vectors",
]

DIMENSIONS: Final = 24

INFO: Final = CollectionInfo(
    {"model": "minilm", "nested": {"list": [1, 2.5, None, True, "é"]}}, {"dense": DIMENSIONS}
)
"""What the contract's collections remember."""

_VALUES: Final[list[Scalar]] = [
    *(5, 5.0, 5.5, "5", True, 1, 1.0, False, 0, 0.0, -3, 0.1, 1e300, -1e300),
    *(2**53 + 1, 2**53, -(2**63), 2**63 - 1),
    *("", " ", "é\n", "True", "true", "1", "1.0", "key", "a'b\"c\\d%_*"),
    *("2024-05-01", "2024-05-01T12:00:00Z", "2024-05-01T12:00:00.250000Z"),
    *("2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00", "2024-05-01T12:00", "2023-12-31"),
    *("0999-01-01", "2024-5-1", "20240501", "2024-13-01", "2024-05-01 and more", "2024"),
]

METADATA: Final[list[dict[str, Scalar]]] = [
    {"other": 1},
    *({"key": value, "other": row % 3} for row, value in enumerate(_VALUES)),
]
"""A document with each value that databases have mixed up, and one without the key."""

FILTERS: Final[dict[str, list[Filters]]] = {
    "any": [
        *({"key": wanted} for wanted in (5, 5.0, 5.5, "5", True, 1, 1.0, False, 0, -3, 0.1, 1e300)),
        *({"key": wanted} for wanted in (2**53 + 1, 2**53, -(2**63), 2**63 - 1)),
        *({"key": wanted} for wanted in ("", " ", "é\n", "True", "1", "missing", "a'b\"c\\d%_*")),
        {"key": ["5", 5.5, True, 0]},
        {"key": [5, 1, "nowhere"]},
        {"key": [False, "key"]},
        {"key": 5, "other": [0, 1]},
        {"missing": 1},
    ],
    "none": [
        *({"key": {"not": wanted}} for wanted in (5, 5.5, "5", True, 1, False, 0, "", 2**53 + 1)),
        {"key": {"not": ["5", 5, True, 0, "missing"]}},
        {"key": {"not": "x"}, "other": {"not": [0, 1]}},
        {"missing": {"not": 1}},
    ],
    "range": [
        *({"key": {bound: 5}} for bound in ("gt", "gte", "lt", "lte")),
        *({"key": wanted} for wanted in ({"gt": -3, "lt": 5.5}, {"gte": 0.1, "lte": 1})),
        *({"key": wanted} for wanted in ({"gt": 5, "lt": 5}, {"gte": 1e300}, {"lt": -1e299})),
        {"key": {"gte": 0, "not": [0, 1]}},
        {"key": {"gte": 0}, "other": 1},
        {"missing": {"gte": 0}},
    ],
    "date_range": [
        *({"key": {bound: "2024-05-01T12:00:00Z"}} for bound in ("gt", "gte", "lt", "lte")),
        {"key": {"gte": "2024-05-01", "lt": "2024-05-02"}},
        {"key": {"gt": "2024-05-01T13:59:59.9+02:00", "lte": "2024-05-01T12:00:00.25"}},
        {"key": {"lt": "1000-01-01"}},
        {"missing": {"gte": "2024-05-01"}},
    ],
    "exists": [
        *({key: {"exists": exists}} for key in ("key", "missing") for exists in (True, False)),
        {"key": {"exists": True, "not": 5}, "other": 0},
    ],
}
"""By the operator that they need; those of a row may need others, too."""


def records(
    document: str,
    version: str,
    count: int,
    *,
    seed: int = 0,
    metadata: Mapping[str, Scalar] | None = None,
    root: str = "",
) -> list[Record]:
    """All chunks of one document at one version, with dense vectors in random directions."""
    texts = [f"chunk {index} of {document} at {version}" for index in range(count)]
    return [
        Record(
            chunk=Chunk(document, index, 40 * index, 40 * index + len(text), text, metadata or {}),
            version=version,
            chunk_count=count,
            vectors=Vectors(dense=vector),
            root=root,
        )
        for index, (text, vector) in enumerate(
            zip(texts, dense_vectors(count, seed=seed), strict=True)
        )
    ]


def dense_vectors(count: int, *, seed: int = 0) -> FloatArray:
    """Unit vectors in random directions, float32, shape (count, DIMENSIONS)."""
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def sparse_vectors(count: int, *, seed: int = 0) -> list[SparseVector]:
    """Random weights of 1 to 8 of 30,000 terms, of which few are frequent."""
    random = np.random.default_rng(seed)
    vectors: list[SparseVector] = []
    for _ in range(count):
        terms = random.choice(20, size=random.integers(1, 8), replace=False)
        indices = np.sort(np.append(terms, random.integers(1000, 30_000))).astype(np.uint32)
        vectors.append(
            SparseVector(indices, random.uniform(0.1, 4.0, len(indices)).astype(np.float32))
        )
    return vectors


def multi_vectors(count: int, *, seed: int = 0) -> list[FloatArray]:
    """1 to 6 unit vectors each, float32, shape (tokens, DIMENSIONS)."""
    lengths = np.random.default_rng(seed).integers(1, 7, size=count)
    return [dense_vectors(int(tokens), seed=100 * seed + row) for row, tokens in enumerate(lengths)]


def cosine_scores(stored: Sequence[Record], query: FloatArray) -> NDArray[np.float64]:
    """Cosine of each record's dense vector to the query, float64, shape (records,)."""
    rows = np.stack([item.vectors.dense for item in stored if item.vectors.dense is not None])
    return _units(rows) @ _units(query)


def sparse_scores(stored: Sequence[Record], query: SparseVector) -> NDArray[np.float64]:
    """Dot product of each record's sparse vector with the query, float64, shape (records,)."""
    weights = dict(zip(query.indices.tolist(), query.values.tolist(), strict=True))
    return np.array(
        [
            sum(
                weights.get(index, 0.0) * value
                for index, value in zip(
                    item.vectors.sparse.indices.tolist(),
                    item.vectors.sparse.values.tolist(),
                    strict=True,
                )
            )
            for item in stored
            if item.vectors.sparse is not None
        ]
    )


def max_similarity(stored: Sequence[Record], query: FloatArray) -> NDArray[np.float64]:
    """Sum over the query's tokens of the highest cosine, float64, shape (records,)."""
    return np.array(
        [
            (_units(query) @ _units(item.vectors.multi).T).max(axis=1).sum()
            for item in stored
            if item.vectors.multi is not None
        ]
    )


def _units(rows: FloatArray) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    unit: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    return unit


_KEYS = st.sampled_from(["a", "b.c", "clé à", "d[0]"])
_NUMBERS = (
    st.sampled_from([0, 1, 2])
    | st.integers(-(2**53), 2**53)
    | st.floats(-3, 3, allow_subnormal=False)
    | st.sampled_from([0.5, 1.0, 2.0, -0.0, 1e300])
)
_WORDS = st.sampled_from(["", "1", "True", "fr", "é"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4
)
_DATES = st.builds(
    "2024-0{}-1{}{}".format,
    st.integers(1, 2),
    st.integers(0, 2),
    st.sampled_from(["", "T00:00:00", "T00:00:00Z", "T23:30:00-01:00", "T06:00:00.5+06:00"]),
)
_SCALARS: st.SearchStrategy[Scalar] = st.sampled_from(
    [st.booleans(), _NUMBERS, _WORDS, _DATES]
).flatmap(lambda strategy: strategy)  # each as often, unlike with `|`


def _bounds(values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(
        st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2
    )


def _look_alikes(value: Scalar) -> list[Scalar]:
    """The value and what a database may take for it."""
    if isinstance(value, str):
        return [value, f"{value} "]
    numbers = [float(value), int(value), bool(value)] if value in (0, 1) else [float(value)]
    return [value, str(value), *numbers]


@st.composite
def documents_and_filters(
    draw: st.DrawFn,
) -> tuple[list[dict[str, Scalar]], list[Filters]]:
    """Metadata of 3 to 12 documents, and 4 to 12 filters, which often ask for what is there."""
    metadata = draw(st.lists(st.dictionaries(_KEYS, _SCALARS), min_size=3, max_size=12))
    stored = [pair for values in metadata for pair in values.items()] or [("a", 1)]
    key, value = draw(st.sampled_from(stored))
    scalars = st.sampled_from([_SCALARS, st.sampled_from(_look_alikes(value))]).flatmap(
        lambda strategy: strategy
    )
    values = scalars | st.lists(scalars, min_size=1, max_size=4)
    wanted = st.sampled_from(
        [
            values,
            st.fixed_dictionaries({"not": values}),
            st.fixed_dictionaries({"exists": st.booleans()}),
            _bounds(_NUMBERS),
            _bounds(_DATES),
        ]
    ).flatmap(lambda strategy: strategy)  # each as often, unlike with `|`
    keys = st.just(key) | _KEYS
    filters = st.lists(
        st.dictionaries(keys, wanted, min_size=1, max_size=2), min_size=4, max_size=12
    )
    return metadata, cast("list[Filters]", draw(filters))
