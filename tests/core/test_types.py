"""Documents refuse what no store could keep; all values survive copies, pickles and JSON."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations import Chunk, Document, Hit, errors
from jina_integrations.types import (
    RESERVED_METADATA,
    Heading,
    Metadata,
    Page,
    Record,
    SparseVector,
    Vectors,
)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"year": None}, "'year': must be a str, int, float or bool, not NoneType"),
        ({"tags": ["a"]}, "not list"),
        ({"raw": b"x"}, "not bytes"),
        ({"score": float("nan")}, "not a finite number"),
        ({"score": float("inf")}, "not a finite number"),
        ({"big": 2**63}, "does not fit 64 bits"),
        ({"name": "\ud83d"}, "lone surrogate"),
        ({"name": "a\0b"}, "NUL"),
        ({"a\0b": 1}, "NUL"),
        ({"\ud83d": 1}, "lone surrogate"),
        ({"": "empty key"}, "non-empty strings"),
        ({1: "number"}, "non-empty strings"),
        *(({key: "x"}, "rename yours") for key in sorted(RESERVED_METADATA)),
    ],
)
def test_bad_metadata_is_named(metadata: dict, message: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=rf"^document 'id': metadata .*{message}"):
        Document("id", "text", metadata)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "\ud800", None, 7, b"id"])
def test_an_id_must_be_text(name: object) -> None:
    with pytest.raises(errors.InvalidInputError, match="document id"):
        Document(name, "text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": b"text"}, "text must be a str, not bytes"),
        ({"text": None}, "text must be a str, not NoneType"),
        ({"metadata": None}, "metadata must be a mapping, not NoneType"),
        ({"metadata": []}, "metadata must be a mapping, not list"),
        ({"metadata": "x"}, "metadata must be a mapping, not str"),
        ({"headings": None}, "headings must be a tuple, not NoneType"),
        ({"pages": [Page(0, 1)]}, "pages must be a tuple, not list"),
        ({"headings": ("Top",)}, "headings must be Headings, not str"),
        ({"pages": (1,)}, "pages must be Pages, not int"),
        ({"root": None}, "root must be a str, not NoneType"),
    ],
)
def test_each_field_has_its_type(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=f"document 'id': {message}"):
        Document(**{"id": "id", "text": "text", **fields})


def test_scalars_are_kept_and_copied() -> None:
    metadata = {"text": "é", "whole": -(2**63), "real": 0.5, "yes": True}
    document = Document("id", "text", metadata)
    assert document.metadata == metadata
    metadata["text"] = "changed"
    assert document.metadata["text"] == "é"


METADATA: Metadata = {"s": "日本語", "i": -3, "f": 2.0, "b": True}
CHUNK = Chunk("a.md", 1, 3, 9, "text 🎉", METADATA, ("Über uns", "Zwei"), page=2, page_end=3)
VALUES = [
    Document("a.md", "plain"),
    Document("a.md", "text", METADATA, (Heading(0, 1, "Top"),), (Page(0, 4),), root="docs"),
    Chunk("a.md", 0, 0, 4, "text"),
    CHUNK,
    Record(CHUNK, "v1", 2),
    Record(
        CHUNK,
        "v1",
        2,
        Vectors(
            dense=np.array([0.1, -2.5], np.float32),
            sparse=SparseVector(np.array([3, 2**32 - 1], np.uint32), np.ones(2, np.float32) / 3),
            multi=np.array([[1, 0], [1e-30, 3e38]], np.float32),
        ),
        root="docs",
    ),
    Hit(CHUNK, 0.25),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_survive_copies_pickles_and_json(value: Any) -> None:
    """Exactly, types included."""
    again = [
        copy.deepcopy(value),
        pickle.loads(pickle.dumps(value)),
        type(value).from_dict(json.loads(json.dumps(value.to_dict()))),
    ]
    for other in again:
        assert other == value
        assert repr(other) == repr(value)


@pytest.mark.parametrize(
    "value", [item for item in VALUES if isinstance(item, Document | Chunk)], ids=repr
)
def test_documents_and_chunks_can_be_in_sets(value: Document | Chunk) -> None:
    assert len({value, copy.deepcopy(value)}) == 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Document, {"id": "a"}),
        (Document, {"id": "a", "text": "b", "colour": "red"}),
        (Document, {"id": "a", "text": "b", "headings": [{"start": 0}]}),
        (Chunk, {"document_id": "a"}),
        (Chunk, {}),
        (Hit, {}),
        (Hit, {"chunk": {}, "score": 1.0}),
        (Record, {"version": "v1"}),
        *(
            (kind, wrong)
            for kind in (Document, Chunk, Hit, Record)
            for wrong in (None, 5, [1], "x")
        ),
    ],
)
def test_dictionaries_with_other_fields_are_refused(kind: Any, values: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidInputError, match="not the fields of a "):
        kind.from_dict(values)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    )
)
def test_any_metadata_survive_json(metadata: dict[str, Any]) -> None:
    metadata = {key: value for key, value in metadata.items() if key not in RESERVED_METADATA}
    document = Document("id", "text", metadata)
    again = Document.from_dict(json.loads(json.dumps(document.to_dict())))
    assert again == document
    assert {key: type(value) for key, value in again.metadata.items()} == {
        key: type(value) for key, value in metadata.items()
    }


def test_vectors_are_equal_by_kind_and_value() -> None:
    ones = np.ones(3, np.float32)
    weights = SparseVector(np.array([1, 2], np.uint32), ones[:2])
    assert Vectors(dense=ones) == Vectors(dense=ones.copy())
    assert Vectors(dense=ones) != Vectors(dense=2 * ones)
    assert Vectors(dense=ones) != Vectors(multi=ones)
    assert Vectors() != Vectors(dense=ones)
    assert Vectors(sparse=weights) == Vectors(sparse=copy.deepcopy(weights))
    assert Vectors(sparse=weights) != Vectors(sparse=SparseVector(weights.indices, ones[:2] / 2))
    assert Vectors(dense=ones, sparse=weights).kinds == {"dense", "sparse"}
    assert Vectors() != "vectors"
    assert weights != "weights"
