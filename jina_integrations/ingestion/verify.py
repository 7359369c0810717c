"""Whether a collection holds what it should: whole documents, and vectors that are found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final, Literal, TypeAlias

import numpy as np

from ..errors import InvalidInputError, StoreCorruptError, StoreError
from ..stores.access import StoreAccess
from ..stores.checks import checked_vectors
from ..stores.filters import AnyOf, NoneOf
from ..types import Record
from . import ledger
from .ledger import Versions

__all__ = ["Problem", "ProblemKind", "VerifyReport", "probe", "verify"]

ProblemKind: TypeAlias = Literal[
    "incomplete", "leftover", "two versions", "bad vector", "not found"
]
"""What can be wrong with a document:

- ``incomplete``: chunks are missing, so no version of it is whole;
- ``leftover``: chunks of another version lie beside a whole one;
- ``two versions``: two whole ones, as a killed run leaves them; the next run over it settles that;
- ``bad vector``: NaN, nothing but zeros, or of another length than the collection's;
- ``not found``: a chunk is not found by its own vector: the index has lost it.
"""

_PROBED_AT_START: Final = 8
"""Chunks that an ingestion looks for by their own vectors before it trusts what is stored."""

_PROBED: Final = 200
"""Chunks that `verify` looks for; it reads the vectors of all."""

_NEAR: Final = 1e-3
"""By how much the score of a chunk's own vector may differ from 1: indexes are quantized."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one document.

    Attributes:
        document_id: The document.
        kind: See `ProblemKind`.
        chunks: How many chunks it concerns.
    """

    document_id: str
    kind: ProblemKind
    chunks: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `Collection.verify` found.

    Attributes:
        documents: Documents that were looked at.
        chunks: Their chunks.
        problems: Sorted by document id.
        chunks_removed: Chunks that the repair deleted.
        to_ingest: Ids of documents of which nothing whole is left: ingest them again.
    """

    documents: int
    chunks: int
    problems: tuple[Problem, ...]
    chunks_removed: int
    to_ingest: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, object]:
        """The report as JSON values."""
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "problems": [
                {"document_id": p.document_id, "kind": p.kind, "chunks": p.chunks}
                for p in self.problems
            ],
            "chunks_removed": self.chunks_removed,
            "to_ingest": list(self.to_ingest),
        }


def probe(access: StoreAccess) -> None:
    """Look for a few stored chunks by their own vectors.

    Raises:
        StoreCorruptError: one is not found: files of the index have been lost.
    """
    records = list(islice(access.scan(content=False, vectors=True), _PROBED_AT_START))
    lost = list(_not_found(access, records))
    if lost:
        raise StoreCorruptError(
            f"{access.name}: {len(lost)} of {len(records)} stored chunks are not found by their "
            "own vector, so files of its index have been lost: restore the folder from a backup, "
            "or let verify repair it and ingest again"
        )


def verify(access: StoreAccess, *, repair: bool) -> VerifyReport:
    """See `Collection.verify`. Takes about half a kilobyte of memory for each document."""
    lost: dict[str, int] = defaultdict(int)
    try:
        versions, bad, sample = access.patiently(lambda: _read(access))
    except StoreCorruptError:  # the vectors of some chunks cannot be read
        versions, bad, sample = _read_by_document(access, lost)
    for record in _not_found(access, sample):
        lost[record.chunk.document_id] += 1
    problems = [
        *_version_problems(versions),
        *(Problem(name, "bad vector", count) for name, count in bad.items()),
        *(Problem(name, "not found", count) for name, count in lost.items()),
    ]
    removed, to_ingest = _repair(access, versions, problems) if repair else (0, [])
    return VerifyReport(
        documents=len(versions),
        chunks=sum(item.chunks(item.stored) for item in versions.values()),
        problems=tuple(sorted(problems, key=lambda problem: (problem.document_id, problem.kind))),
        chunks_removed=removed,
        to_ingest=tuple(sorted(to_ingest)),
    )


def _read(access: StoreAccess) -> tuple[dict[str, Versions], dict[str, int], list[Record]]:
    """The whole collection: what is there of each document, bad vectors, and a sample."""
    versions: dict[str, Versions] = defaultdict(Versions)
    bad: dict[str, int] = defaultdict(int)
    sample: list[Record] = []
    random = Random(0)  # noqa: S311  # a sample that is the same each time
    for chunks, record in enumerate(access.scan(content=False, vectors=True), 1):
        versions[record.chunk.document_id].add(record)
        try:
            checked_vectors(record.vectors, access.info.dimensions, "stored")
            if record.vectors.kinds != frozenset(access.info.dimensions):
                raise InvalidInputError("a vector is missing")
        except InvalidInputError:
            bad[record.chunk.document_id] += 1
        else:
            slot = random.randrange(chunks) if len(sample) == _PROBED else len(sample)
            sample[slot : slot + 1] = [record] if slot < _PROBED else []
    return versions, bad, sample


def _read_by_document(
    access: StoreAccess, lost: dict[str, int]
) -> tuple[dict[str, Versions], dict[str, int], list[Record]]:
    """As `_read`, a document at a time; those whose vectors cannot be read go into `lost`."""
    versions: dict[str, Versions] = defaultdict(Versions)
    for record in access.scan(content=False):
        versions[record.chunk.document_id].add(record)
    for name, item in versions.items():
        selected = (AnyOf("document_id", (name,)),)
        try:
            for _ in access.scan(selected, content=False, vectors=True):
                pass
        except StoreCorruptError:
            lost[name] = item.chunks(item.stored)
    return versions, {}, []


def _version_problems(versions: dict[str, Versions]) -> Iterator[Problem]:
    for name, item in versions.items():
        complete = item.complete
        leftover = item.stored - complete
        if not complete:
            yield Problem(name, "incomplete", item.chunks(leftover))
        elif leftover:
            yield Problem(name, "leftover", item.chunks(leftover))
        if len(complete) > 1:
            yield Problem(name, "two versions", item.chunks(complete))


def _repair(
    access: StoreAccess, versions: dict[str, Versions], problems: Iterable[Problem]
) -> tuple[int, list[str]]:
    """Delete what no version owns, and documents that cannot be searched as they are."""
    removed = 0
    broken: set[str] = set()
    for problem in problems:
        if problem.kind == "leftover":
            complete = tuple(versions[problem.document_id].complete)
            where = (
                AnyOf("document_id", (problem.document_id,)),
                NoneOf("document_version", complete),
            )
            removed += access.delete(where)
        elif problem.kind != "two versions":
            broken.add(problem.document_id)
    return removed + ledger.remove(access, broken), list(broken)


def _not_found(access: StoreAccess, records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        vector = record.vectors.dense
        if vector is None or not np.any(vector):
            yield record
            continue
        where = (AnyOf("document_id", (record.chunk.document_id,)),)
        try:
            plain = access.search(vector, k=1)
            hits = plain if plain and plain[0].score >= 1.0 - _NEAR else []
            if not hits:  # equal texts have equal vectors, so any of them will do
                hits = access.search(vector, k=1, where=where)
        except (InvalidInputError, StoreCorruptError):
            yield record
            continue
        except StoreError as exc:
            if type(exc) is not StoreError:  # such as a server that does not answer
                raise
            raise StoreCorruptError(f"{access.name}: its index cannot be searched: {exc}") from exc
        if (not hits or hits[0].score < 1.0 - _NEAR) and _is_stored(access, record):
            yield record


def _is_stored(access: StoreAccess, record: Record) -> bool:
    """Whether it still is: another run may have deleted it since it was read."""
    chunk = record.chunk
    return bool(
        access.count(
            (
                AnyOf("document_id", (chunk.document_id,)),
                AnyOf("document_version", (record.version,)),
                AnyOf("chunk_index", (chunk.index,)),
            )
        )
    )
