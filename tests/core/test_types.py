"""Documents refuse what no store could keep."""

from __future__ import annotations

import pytest

from jina_integrations import Document, errors


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"year": None}, "not NoneType"),
        ({"tags": ["a"]}, "not list"),
        ({"score": float("nan")}, "not a finite number"),
        ({"big": 2**63}, "does not fit 64 bits"),
        ({"name": "\ud83d"}, "lone surrogate"),
        ({"": "empty key"}, "non-empty strings"),
        ({1: "number"}, "non-empty strings"),
        ({"chunk_index": 3}, "rename yours"),
    ],
)
def test_bad_metadata_is_named(metadata: dict, message: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=message):
        Document("id", "text", metadata)


@pytest.mark.parametrize("name", ["", " ", "a\0b", None, 7])
def test_an_id_must_be_text(name: object) -> None:
    with pytest.raises(errors.InvalidInputError, match="document id"):
        Document(name, "text")  # type: ignore[arg-type]


def test_a_text_must_be_a_str() -> None:
    with pytest.raises(errors.InvalidInputError, match="not bytes"):
        Document("id", b"text")  # type: ignore[arg-type]


def test_scalars_are_kept() -> None:
    metadata = {"text": "é", "whole": -(2**63), "real": 0.5, "yes": True}
    assert Document("id", "text", metadata).metadata == metadata
