"""The commands for what a collection holds: info, documents, delete, verify, drop."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from ..errors import InvalidInputError, RecipeMismatchError
from .addresses import AddressArgument, JsonOption
from .filters import FilterOption, parse_filter_words
from .outcome import REFUSED, SOME_FAILED, counted, note, reported, say, say_json

if TYPE_CHECKING:
    from ..collection import Collection
    from ..contents import CollectionSummary
    from ..ingestion.verify import VerifyReport

__all__ = [
    "delete_command",
    "documents_command",
    "drop_command",
    "info_command",
    "verify_command",
]

_LONG_TEXTS: Final = {"error": "fail", "truncate": "are cut", "windows": "in windows"}
"""What becomes of texts over the model's limit."""

_IDS_AT_A_TIME: Final = 100
"""Ids in one question to the store; every store takes as many."""


def info_command(address: AddressArgument, as_json: JsonOption = False) -> None:
    """Show what a collection holds.

    And how it was filled: model, chunker and what else decides its vectors.
    """
    from ..collection import Collection

    with reported(), Collection.open(address) as collection:
        summary = collection.info()
        if as_json:
            say_json(summary.to_dict())
        else:
            from .output import fields_table, rendered

            say(rendered(fields_table(_fields(summary))))


def _fields(summary: CollectionSummary) -> Iterator[tuple[str, object]]:
    recipe = summary.recipe
    chunker = cast("Mapping[str, object]", recipe.cut["chunker"])
    yield from (
        ("collection", summary.name),
        ("documents", summary.documents),
        ("chunks", summary.chunks),
        ("model", recipe.embedder["model"]),
        ("backend", recipe.embedder["backend"]),
        ("precision", recipe.vector["precision"]),
        ("dimensions", recipe.vector["dimensions"]),
        ("chunker", ":".join(map(str, chunker.values()))),
        ("long texts", _LONG_TEXTS[str(recipe.document["long"])]),
    )
    for name, value in recipe.document.items():
        if name != "long":
            shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
            yield name.replace("_", " "), shown
    yield "fingerprint", recipe.fingerprint


def documents_command(
    address: AddressArgument, filters: FilterOption = None, as_json: JsonOption = False
) -> None:
    """List the documents of a collection.

    Each with the number of its chunks and the folder it was read from, sorted by id.
    """
    from ..collection import Collection

    with reported():
        conditions = parse_filter_words(filters or [])
        with Collection.open(address) as collection:
            entries = sorted(
                collection.documents(filters=conditions), key=lambda entry: entry.document_id
            )
        if as_json:
            say_json([entry.to_dict() for entry in entries])
            return
        from .output import rendered, rows_table

        rows = ((entry.document_id, entry.chunks, entry.root) for entry in entries)
        table = rows_table(("document", "chunks", "read from"), rows, numbers=("chunks",))
        say(rendered(table) if entries else "no documents")


def delete_command(
    address: AddressArgument,
    document_ids: Annotated[
        list[str], typer.Argument(metavar="ID", help="Ids, as `documents` lists them.")
    ],
) -> None:
    """Delete documents from a collection.

    Exit codes: 0 all deleted, 1 some ids are unknown; the others are deleted, 2 refused.
    """
    from ..collection import Collection

    with reported(stopped="stopped; run it again to delete the rest"):
        with Collection.open(address) as collection:
            ids = list(dict.fromkeys(document_ids))
            unknown = _unknown(collection, ids)
            chunks = collection.delete(ids)
        say(f"{counted(len(ids) - len(unknown), 'document')} deleted ({counted(chunks, 'chunk')})")
        for name in unknown:
            note(f"unknown: {name}")
    if unknown:
        sys.exit(SOME_FAILED)


def _unknown(collection: Collection, ids: Sequence[str]) -> list[str]:
    known: set[str] = set()
    for first in range(0, len(ids), _IDS_AT_A_TIME):
        part = ids[first : first + _IDS_AT_A_TIME]
        entries = collection.documents(filters={"document_id": part})
        known.update(entry.document_id for entry in entries)
    return [name for name in ids if name not in known]


def verify_command(
    address: AddressArgument,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Delete what is broken; lists the documents to ingest again."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a collection, and repair it.

    Reads all of it, and looks for chunks by their own vectors.

    Exit codes: 0 no problems, 1 problems (also where they were repaired), 2 refused.
    """
    from ..collection import Collection

    with reported():
        with Collection.open(address) as collection:
            report = collection.verify(repair=repair)
        if as_json:
            say_json(report.to_dict())
        else:
            say(_verdict(report, repaired=repair))
    if not report.ok:
        sys.exit(SOME_FAILED)


def _verdict(report: VerifyReport, *, repaired: bool) -> str:
    from .output import rendered, rows_table, wrapped

    total = f"{counted(report.documents, 'document')}, {counted(report.chunks, 'chunk')}"
    if report.ok:
        return f"{total}: no problems"
    rows = ((item.document_id, item.kind, item.chunks) for item in report.problems)
    table = rows_table(("document", "problem", "chunks"), rows, numbers=("chunks",))
    lines = [rendered(table), f"{total}: {counted(len(report.problems), 'problem')}"]
    if not repaired:
        return "\n".join([*lines, "to repair the collection, run it again with --repair"])
    lines.append(f"{counted(report.chunks_removed, 'chunk')} deleted")
    if report.to_ingest:
        lines.append("ingest these documents again:")
        lines += [line for name in report.to_ingest for line in wrapped(name, indent=2)]
    return "\n".join(lines)


def drop_command(
    address: AddressArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a collection with all it holds.

    Asks first; without a terminal it needs --yes.
    """
    from ..collection import Collection

    with reported():
        with Collection.open(address) as collection:
            holds = _holds(collection)
            if not yes and not _confirmed(f"Remove {collection.name} with {holds}?"):
                note("not removed")
                sys.exit(REFUSED)
            collection.drop()
        say(f"removed {collection.name} with {holds}")


def _holds(collection: Collection) -> str:
    try:
        summary = collection.info()
    except RecipeMismatchError:  # of another version, which may be why it is dropped
        return "all it holds"
    return f"{counted(summary.documents, 'document')}, {counted(summary.chunks, 'chunk')}"


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidInputError("drop asks before it removes, and there is no terminal: use --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
