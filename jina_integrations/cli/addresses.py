"""What the commands that take a collection's address share."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

__all__ = ["ADDRESS_HELP", "AddressArgument", "JsonOption"]

ADDRESS_HELP: Final = (
    "Where the collection is: qdrant-edge:PATH#COLLECTION, qdrant+http://HOST:PORT/COLLECTION, …"
)

AddressArgument: TypeAlias = Annotated[str, typer.Argument(metavar="ADDRESS", help=ADDRESS_HELP)]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
