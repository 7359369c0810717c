"""The commands' names and what each does in a line; a command loads when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple, cast

import typer
from typer.core import TyperGroup

from .outcome import REFUSED, note, say

__all__ = ["app"]


class _Command(NamedTuple):
    """Where a command is.

    Attributes:
        module: Of this package.
        function: Does it.
        summary: What `--help` says of it.
    """

    module: str
    function: str
    summary: str


_COMMANDS: Final = {
    "ingest": _Command("ingesting", "ingest_command", "Embed files into a collection."),
    "search": _Command("searching", "search_command", "Find the chunks nearest to a question."),
    "chunks": _Command("cutting", "chunks_command", "Show how files are cut, and what it costs."),
    "info": _Command("stored", "info_command", "Show what a collection holds."),
    "documents": _Command("stored", "documents_command", "List the documents of a collection."),
    "delete": _Command("stored", "delete_command", "Delete documents from a collection."),
    "verify": _Command("stored", "verify_command", "Check a collection, and repair it."),
    "drop": _Command("stored", "drop_command", "Remove a collection with all it holds."),
    "models": _Command("models", "models_command", "List the models that are known by name."),
    "eval": _Command("evaluate", "evaluate_command", "Measure which settings find most."),
    "serve": _Command("serve", "serve_command", "Serve a model by Jina's API."),
}

_SETTINGS: Final[dict[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}
_CONTEXT: Final = {"help_option_names": ["-h", "--help"]}
_USAGE_ERROR: Final = cast("type[Exception]", typer.BadParameter.__bases__[0])
"""click's `UsageError`, which lies elsewhere in each version of typer."""


class _Commands(TyperGroup):
    """Loads a command when it is called, and says in one line what is wrong with a call."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  # types of click
        """The command, in place of the name and summary that stood for it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _load(name), rest

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # as click has it
        """Run a command; leaves by `SystemExit`."""
        options["standalone_mode"] = False
        try:
            code = super().main(*args, **options)
        except _USAGE_ERROR as exc:
            context = getattr(exc, "ctx", None)
            command = context.command_path if context else "jina-integrations"
            message = getattr(exc, "format_message", exc.__str__)()
            note(f"error: {message.removesuffix('.')} (see {command} --help)")
            sys.exit(REFUSED)
        sys.exit(code or 0)


def _load(name: str) -> Any:  # noqa: ANN401  # a command of click
    command = _COMMANDS[name]
    function = getattr(import_module(f".{command.module}", __package__), command.function)
    alone = typer.Typer(**_SETTINGS)
    alone.command(name, context_settings=_CONTEXT)(function)
    return typer.main.get_command(alone)


def _stand_in() -> None:
    """Holds the place of a command."""


app = typer.Typer(cls=_Commands, context_settings=_CONTEXT, **_SETTINGS)
for _name, _command in _COMMANDS.items():
    app.command(_name, help=_command.summary)(_stand_in)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Embed documents into a vector store, and search them.

    Exit codes: 0 all well, 1 some documents failed or have problems, 2 wrong usage or refused,
    130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    if version:
        from .. import __version__

        say(__version__)
    elif context.invoked_subcommand is None:
        say(context.get_help())
