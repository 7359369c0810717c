"""Checks of arguments that need no model and no store. All raise `InvalidInputError`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from .errors import InvalidInputError, InvalidTextError
from .inputs import check_text
from .types import Document

__all__ = [
    "check_callback",
    "check_count",
    "check_documents",
    "check_ids",
    "check_ingest",
    "check_question",
    "check_type",
]


def check_type(name: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    """Refuse a value of another type; `expected` says what it must be."""
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} must be {expected}, not {type(value).__name__}")


def check_count(name: str, value: object, *, maximum: int | None = None) -> None:
    """Refuse anything but an int from 0 on; a bool is none."""
    too_large = maximum is not None and isinstance(value, int) and value > maximum
    if isinstance(value, bool) or not isinstance(value, int) or value < 0 or too_large:
        upper = f" and at most {maximum}" if maximum is not None else ""
        raise InvalidInputError(f"{name} must be an int of at least 0{upper}, not {value!r:.80}")


def check_callback(name: str, value: object) -> None:
    """Refuse what is neither None nor can be called."""
    if value is not None and not callable(value):
        raise InvalidInputError(f"{name} must be a function, not {type(value).__name__}")


def check_ingest(
    documents: object,
    *,
    flags: Mapping[str, object],
    workers: object,
    max_failures: object,
    on_progress: object,
) -> None:
    """The arguments of `Collection.ingest`; `flags` are those that are True or False."""
    check_documents(documents)
    for name, value in flags.items():
        check_type(name, value, bool, "True or False")
    check_count("workers", workers, maximum=256)
    if max_failures is not None:
        check_count("max_failures", max_failures)
    check_callback("on_progress", on_progress)


def check_question(question: object) -> None:
    """Refuse what cannot be embedded as a question."""
    try:
        check_text(question)
    except InvalidTextError as exc:
        exc.argument = "question"
        raise


def check_documents(documents: object) -> None:
    """Refuse what is no iterable of documents; its items are not looked at."""
    if isinstance(documents, str | bytes | Document | Mapping) or not isinstance(
        documents, Iterable
    ):
        raise InvalidInputError(
            "documents must be an iterable of Document, such as a list or read_documents([…]), "
            f"not {type(documents).__name__}"
        )


def check_ids(document_ids: object) -> list[str]:
    """The ids of documents as a list."""
    if isinstance(document_ids, str | bytes) or not isinstance(document_ids, Sequence):
        raise InvalidInputError(
            f"document_ids must be a list of str, not {type(document_ids).__name__}"
        )
    for index, name in enumerate(cast("Sequence[object]", document_ids)):
        if not isinstance(name, str):
            raise InvalidInputError(
                f"document_ids[{index}] must be a str, not {type(name).__name__}", index=index
            )
    return list(cast("Sequence[str]", document_ids))
