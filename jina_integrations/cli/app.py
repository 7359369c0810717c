"""The commands. Each parses its words, calls the library, prints, and says how it went."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..cards import MODEL_CARDS
from ..chunkers import parse_chunker
from ..errors import CollectionNotFoundError
from ..ingestion import ingest, search
from ..readers import read_documents
from ..stores import open_store
from . import output
from .evaluate import evaluate_command
from .filters import parse_filters
from .options import (
    AsJson,
    Backend,
    BaseUrl,
    BatchTokens,
    Device,
    Model,
    RequestsPerMinute,
    TokensPerMinute,
    Truncate,
    make_embedder,
)
from .outcome import SOME_FAILED, reported, say, say_json
from .progress import progress_bar
from .serve import serve_command

__all__ = ["app"]

app = typer.Typer(
    help="Documents into a vector store, and answers out of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_STOPPED = "stopped; what is stored is whole, and the same command completes the rest"
_LOCATION = "qdrant:PATH#COLLECTION, qdrant+http://HOST:PORT/COLLECTION, chroma:…"


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Documents into a vector store, and answers out of it."""
    if version:
        from .. import __version__

        say(__version__)
        raise typer.Exit


@app.command("ingest")
def ingest_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files and folders.")],
    into: Annotated[str, typer.Option(metavar="LOCATION", help=_LOCATION)],
    embedder: Model = "minilm",
    chunker: Annotated[
        str,
        typer.Option(help="sentence:TOKENS[:SENTENCES], token:TOKENS[:TOKENS], markdown:TOKENS."),
    ] = "sentence:256",
    late_chunking: Annotated[
        bool | None,
        typer.Option(
            "--late-chunking/--no-late-chunking",
            help="Encode whole documents; the model's card decides by default.",
        ),
    ] = None,
    context_weight: Annotated[
        float | None,
        typer.Option(help="Share of the late-chunking vector, 0 to 1.", show_default=False),
    ] = None,
    window_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens encoded at once in late chunking.", show_default=False),
    ] = None,
    overlap_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens that neighbouring windows share.", show_default=False),
    ] = None,
    dimensions: Annotated[
        int | None, typer.Option(help="Cut vectors to this length.", show_default=False)
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    device: Device = "auto",
    truncate: Truncate = False,
    backend: Backend = "auto",
    base_url: BaseUrl = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    batch_tokens: BatchTokens = 2048,
) -> None:
    """Embed files into a collection; those that are there unchanged cost nothing.

    Exit codes: 0 all well, 1 some documents failed, 2 wrong usage or refused, 130 stopped.
    """
    with reported(stopped=_STOPPED):
        store = open_store(into)
        cutter = parse_chunker(chunker)
        chosen = make_embedder(
            embedder,
            {
                "late_chunking": late_chunking,
                "context_weight": context_weight,
                "window_tokens": window_tokens,
                "overlap_tokens": overlap_tokens,
                "dimensions": dimensions,
                "dtype": dtype,
                "device": device,
                "truncate": truncate,
                "batch_tokens": batch_tokens,
                "backend": backend,
                "base_url": base_url,
            },
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )
        documents = read_documents(paths)
        with store, progress_bar(paths) as draw:
            report = ingest(
                documents, embedder=chosen, chunker=cutter, store=store, on_progress=draw
            )
        output.note_trouble(report)
        say(output.summary(report))
    if report.failures:
        sys.exit(SOME_FAILED)


@app.command("search")
def search_command(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    location: Annotated[str, typer.Option("--from", metavar="LOCATION", help=_LOCATION)],
    k: Annotated[int, typer.Option("-k", min=1, help="Hits at most.")] = 5,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="Metadata that hits must have."),
    ] = None,
    base_url: BaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Print the chunks nearest to a question, by the embedder that filled the collection."""
    with reported():
        conditions = parse_filters(filters or [])
        with open_store(location) as store:
            hits = search(question, store=store, k=k, filters=conditions or None, base_url=base_url)
        say_json(output.hit_rows(hits)) if as_json else say(output.search_lines(hits))


app.command("eval")(evaluate_command)
app.command("serve")(serve_command)


@app.command("models")
def models_command(as_json: AsJson = False) -> None:
    """List the models that are known by name."""
    cards = MODEL_CARDS.values()
    say_json(output.card_rows(cards)) if as_json else say(output.models_table(cards))


@app.command("info")
def info_command(
    location: Annotated[str, typer.Argument(metavar="LOCATION", help=_LOCATION)],
    as_json: AsJson = False,
) -> None:
    """Tell what a collection holds, and how it was embedded."""
    with reported():
        with open_store(location) as store:
            info = store.read_info()
            if info is None:
                raise CollectionNotFoundError(f"{location}: there is no such collection yet")
            counts = store.counts()
        row = output.info_row(location, info, counts)
        say_json(row) if as_json else say(output.info_lines(row))
