"""JSON Lines and CSV: a document for each record, one record in memory at a time."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from io import TextIOWrapper
from itertools import chain
from typing import BinaryIO, TypeAlias, cast

from ..errors import ReadError
from ..types import RESERVED_METADATA, Document, Scalar
from .decoding import encoding_metadata, find_encoding
from .results import EMPTY, FailedFile, SkippedFile, SourceFile, make_document

__all__ = ["read_csv", "read_jsonl"]

_MAX_CELL_CHARS = 2**31 - 1
"""The largest limit that `csv` takes on every platform (a C long)."""

_Row: TypeAlias = list[str] | csv.Error
_Result: TypeAlias = Document | SkippedFile | FailedFile

_UNDECODED = re.compile("[\udc80-\udcff]")
"""Bytes that are not valid in the file's encoding, as "surrogateescape" marks them (PEP 383). They
are found record by record, so one damaged record does not cost the others."""


def read_jsonl(file: SourceFile, stream: BinaryIO) -> Iterator[_Result]:
    """A document for each line; blank lines are passed over, a bad line is a `FailedFile`.

    Raises:
        ReadError: the file cannot be decoded.
        MissingExtraError: charset-normalizer is needed and not installed.
    """
    encoding = find_encoding(stream)
    records = _Records(file, "application/jsonl", encoding)
    lines = TextIOWrapper(stream, encoding, errors="surrogateescape", newline="\n")
    for number, line in enumerate(lines, 1):
        if not line.isspace():
            try:
                _refuse_undecoded(line, encoding)
                text, fields = _parse_line(line)
                yield records.document(number, text, fields)
            except ReadError as exc:
                yield records.failed(number, exc)


def read_csv(file: SourceFile, stream: BinaryIO) -> Iterator[_Result]:
    """A document for each row below the header; a bad row is a `FailedFile`.

    Whichever of comma, semicolon and tab the header's first line holds most parts the cells. The
    limit of `csv` on the size of a cell is lifted, for the whole process.

    Raises:
        ReadError: the header has no column of text, or the file cannot be decoded.
        MissingExtraError: charset-normalizer is needed and not installed.
    """
    encoding = find_encoding(stream)
    records = _Records(file, "text/csv", encoding)
    lines = TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
    first = next((line for line in lines if not line.isspace()), "")
    if not first:
        return
    csv.field_size_limit(_MAX_CELL_CHARS)
    rows = csv.reader(chain([first], lines), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        header = next(rows, [])
    except csv.Error as exc:
        raise ReadError(f"the header is not valid CSV: {exc}") from exc
    _refuse_undecoded("".join(header), encoding)
    columns = _columns(header)
    text_column = _text_column(columns)
    for number, row in _numbered(rows):
        try:
            if isinstance(row, csv.Error):
                raise ReadError(f"not valid CSV: {row}") from row
            _refuse_undecoded("".join(row), encoding)
            if len(row) != len(columns):
                raise ReadError(f"has {len(row)} cells, and the header {len(columns)}")
            cells = dict(zip(columns, row, strict=True))
            text = cells.pop(text_column)
            fields = {column: cell for column, cell in cells.items() if cell.strip()}
            yield records.document(number, text, fields)
        except ReadError as exc:
            yield records.failed(number, exc)


class _Records:
    """Makes the documents of one file.

    Nulls are left out; "id" names the document, the rest is metadata. A record without an id is
    named by its content, so that records may come and go before it: 16 hex digits of the hash of
    its text and fields, and ``-2``, ``-3``, … where the same record came before.
    """

    def __init__(self, file: SourceFile, media_type: str, encoding: str) -> None:
        self._file = file
        self._media_type = media_type
        self._encoding = encoding
        self._identical: Counter[str] = Counter()

    def document(
        self, number: int, text: str, fields: Mapping[str, object]
    ) -> Document | SkippedFile:
        """The record's document, or why it is none.

        Raises:
            ReadError: the id or a value cannot be stored.
        """
        present = {key: value for key, value in fields.items() if value is not None}
        given = present.pop("id", None)
        if isinstance(given, bool) or not isinstance(given, str | int | None) or given == "":
            raise ReadError('"id" must be a string that is not empty, or an integer')
        name = self._content_id(text, present) if given is None else given
        document = make_document(
            self._file,
            text,
            media_type=self._media_type,
            document_id=f"{self._file.path}#{name}",
            # Document checks the values, and names the key of one that is no scalar.
            metadata=encoding_metadata(self._encoding) | cast("dict[str, Scalar]", present),
        )
        if document:
            return document
        if given is None:  # there is no telling which record this was before
            return SkippedFile(f"{self._file.path}#{number}", "blank record", self._file.root)
        return SkippedFile(f"{self._file.path}#{given}", EMPTY, self._file.root)

    def failed(self, number: int, error: ReadError) -> FailedFile:
        """The record of that number, from 1, as a failure."""
        path = self._file.path
        return FailedFile(f"{path}#{number}", error, self._file.root, file=path)

    def _content_id(self, text: str, fields: Mapping[str, object]) -> str:
        content = json.dumps([text, fields], sort_keys=True).encode()
        name = blake2b(content, digest_size=8).hexdigest()
        self._identical[name] += 1
        count = self._identical[name]
        return name if count == 1 else f"{name}-{count}"


def _parse_line(line: str) -> tuple[str, dict[str, object]]:
    """The text of one JSON record, and its other fields with "metadata" spread among them."""
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ReadError(f"not valid JSON: {exc}") from exc
    if not isinstance(record, dict):
        raise ReadError(f"must be a JSON object, not {type(record).__name__}")
    fields = cast("dict[str, object]", record)
    text = fields.pop("text", None)
    if not isinstance(text, str):
        raise ReadError(f'needs a string "text"; its other keys are {_listing(fields)}')
    metadata = fields.pop("metadata", None) or {}
    if not isinstance(metadata, dict):
        raise ReadError(f'"metadata" must be an object, not {type(metadata).__name__}')
    nested = cast("dict[str, object]", metadata)
    twice = nested.keys() & fields.keys()
    if twice:
        raise ReadError(f'in the record and in its "metadata": {_listing(sorted(twice))}')
    return text, {**nested, **fields}


def _columns(header: list[str]) -> list[str]:
    """Names of the columns; one without a name is called ``column_<n>``, from 1."""
    columns = [name.strip() or f"column_{n}" for n, name in enumerate(header, 1)]
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        raise ReadError(f"the header names columns twice: {_listing(sorted(twice))}")
    return columns


def _text_column(columns: list[str]) -> str:
    if "text" not in columns and len(columns) != 1:
        raise ReadError(f'needs a column "text"; found {_listing(columns)}')
    reserved = RESERVED_METADATA.intersection(columns)
    if reserved and len(columns) > 1:
        raise ReadError(f"rename the stores' own column names: {_listing(sorted(reserved))}")
    return "text" if "text" in columns else columns[0]


def _numbered(rows: Iterator[list[str]]) -> Iterator[tuple[int, _Row]]:
    """Rows that are not blank with their numbers from 1; the error in place of a broken one."""
    number = 0
    while True:
        row: _Row | None
        try:
            row = next(rows, None)
        except csv.Error as exc:
            row = exc
        if row is None:
            return
        if row:
            number += 1
            yield number, row


def _refuse_undecoded(text: str, encoding: str) -> None:
    if not text.isascii() and (byte := _UNDECODED.search(text)):
        raise ReadError(f"byte 0x{ord(byte[0]) - 0xDC00:02x} is not valid {encoding}")


def _listing(names: Iterable[str]) -> str:
    """Up to ten names, quoted."""
    quoted = [f'"{name:.40}"' for name in names]
    return ", ".join(quoted[:10]) + (", …" if len(quoted) > 10 else "") or "none"
