"""The contract of a vector store: one database, and no policy.

A store translates between the values of this package and one database. What is complete, what is
stale, how much goes into one request, what is tried again, and what a bad argument is, are decided
once, in `StoreAccess`, through which the core makes every call. So a store may rely on this:
arguments are checked, requests are as small as its `capabilities` ask, one call is made at a time,
and whatever its library raises becomes a `StoreError` (see `explain`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, cast, get_args

from ..errors import CollectionNotFoundError, StoreCorruptError, StoreError
from ..types import FloatArray, Hit, Record, SparseVector, VectorKind
from .filters import Condition, Operator

__all__ = [
    "INFO_KEY",
    "Capabilities",
    "CollectionInfo",
    "Conditions",
    "Store",
    "collection_name",
]

INFO_KEY = "jina_integrations"
"""Key of `CollectionInfo` where a database keeps metadata of a collection."""

Conditions = tuple[Condition, ...]
"""What a selection of records must fulfil, all of it; the empty tuple selects everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a database can do, and how much at a time.

    Attributes:
        kinds: Vector kinds that it keeps and searches.
        operators: Filter operators that it has, with the meaning of `stores.filters`. Ingestion
            needs ``any``, ``none`` and ``range``.
        many_writers: Whether several processes may write to one collection at once.
        max_records: Records in one `write`.
        max_bytes: Bytes of one `write` as JSON, about.
        max_values: Values in all conditions of one call together; the core asks for documents in
            lists of no more than this.
        max_k: Hits of one search; None for no limit.
        reserved_prefixes: With what no metadata key may begin, as the database keeps it for itself.
        settle_bytes: So many bytes of vectors are written before the core calls `settle` in the
            middle of a run; None for databases that look after themselves.
        time_limit_s: Seconds after which the core gives up on one call and makes it again, for a
            client that waits for its server without end; None for clients with a limit.
        advised_chunks: Above so many chunks a store of this kind is the wrong choice; None for no
            limit. The core warns, with `advice`.
        advice: What to use beyond `advised_chunks`.
    """

    kinds: frozenset[VectorKind] = frozenset({"dense"})
    operators: frozenset[Operator] = frozenset(get_args(Operator))
    many_writers: bool = False
    max_records: int = 1000
    max_bytes: int = 16 * 2**20
    max_values: int = 256
    max_k: int | None = None
    reserved_prefixes: tuple[str, ...] = ()
    settle_bytes: int | None = None
    time_limit_s: float | None = None
    advised_chunks: int | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection remembers: the recipe that fills it, and the vectors that it has.

    Attributes:
        recipe: `Recipe.to_dict()`: JSON values only, no key.
        dimensions: Length of the vectors of each kind; 0 for sparse ones.
    """

    recipe: Mapping[str, object]
    dimensions: Mapping[VectorKind, int] = field(default_factory=dict[VectorKind, int])

    def to_json(self) -> str:
        """One line, for `from_json`."""
        return json.dumps({"recipe": self.recipe, "dimensions": self.dimensions})

    @classmethod
    def from_json(cls, stored: object, *, where: str) -> Self:
        """The info of `to_json`.

        Args:
            stored: The text, or None where the database keeps nothing under `INFO_KEY`.
            where: The store's name for error messages.

        Raises:
            CollectionNotFoundError: nothing is kept: another program made the collection.
            StoreCorruptError: something else is kept.
        """
        if stored is None:
            raise CollectionNotFoundError(
                f"{where} exists and was not made by jina-integrations; choose another collection "
                "name"
            )
        try:
            values: object = json.loads(stored) if isinstance(stored, str) else None
        except ValueError:
            values = None
        fields = cast("dict[str, object]", values) if isinstance(values, dict) else {}
        recipe, dimensions = fields.get("recipe"), fields.get("dimensions")
        if not isinstance(recipe, dict) or not isinstance(dimensions, dict):
            raise StoreCorruptError(
                f"{where}: the settings stored with it cannot be read; ingest into a new collection"
            )
        return cls(cast("dict[str, object]", recipe), cast("dict[VectorKind, int]", dimensions))


def collection_name(library: str, collection: str, place: str = "") -> str:
    """A collection's name in messages, e.g. ``"Chroma collection 'handbook' at ./index"``.

    Args:
        library: The database's name.
        collection: The collection's.
        place: Folder or URL; empty for a caller's own client.
    """
    return f"{library} collection {collection!r}" + (place and f" at {place}")


class Store(ABC):
    """One collection of one database. Connects at first use, not at construction.

    Methods raise what the library raises; `StoreAccess` turns it into ours by `explain`. Records
    are known by `stores.records.record_id` and laid out by `stores.records.metadata_of`, beside
    the chunk's text.

    Attributes:
        capabilities: What the database can do.
        name: The collection's name in messages, see `collection_name`.
        key_variable: The environment variable with the server's key; empty where there is none.
    """

    capabilities: Capabilities = Capabilities()
    name: str
    key_variable: str = ""

    @classmethod
    @abstractmethod
    def from_address(cls, address: str) -> Store:
        """The store that an address names, e.g. ``qdrant:./index#handbook``. Connects to nothing.

        Each store has a grammar of its own; `stores.addresses` has the two usual forms.

        Raises:
            InvalidSettingError: the address is malformed; a secret in it is not repeated.
        """

    @abstractmethod
    def describe(self) -> CollectionInfo | None:
        """What the collection remembers; None where there is no such collection yet.

        Makes nothing: a folder that is not there is not made.

        Raises:
            CollectionNotFoundError: the collection was not made by this package.
        """

    @abstractmethod
    def create(self, info: CollectionInfo) -> None:
        """Make the collection; may fail where another process has made it since `describe`."""

    @abstractmethod
    def remember(self, info: CollectionInfo) -> None:
        """Keep this info in place of the present one; durable when this returns."""

    @abstractmethod
    def drop(self) -> None:
        """Remove the collection with all it holds; quiet where it is not there."""

    @abstractmethod
    def write(self, records: Sequence[Record]) -> None:
        """Insert or overwrite by `record_id`; durable when this returns. At least one record."""

    @abstractmethod
    def delete(self, where: Conditions) -> None:
        """Delete the selected records, of which `count` has found some; durable like `write`."""

    @abstractmethod
    def count(self, where: Conditions) -> int:
        """How many records are selected, exactly."""

    @abstractmethod
    def scan(self, where: Conditions, *, content: bool, vectors: bool) -> Iterator[Record]:
        """The selected records, in any order, a page at a time in memory.

        Args:
            where: The selection.
            content: Without it the chunk's text, its document's metadata, its headings and pages
                may be left empty, which is quicker.
            vectors: Whether to fetch vectors, too.
        """

    @abstractmethod
    def search(
        self, vector: FloatArray | SparseVector, *, kind: VectorKind, k: int, where: Conditions
    ) -> list[Hit]:
        """The `k` best of the selected records, best first; fewer where fewer are selected.

        Dense vectors are compared by their cosine, sparse ones by the dot product (records that
        share no term with the query may be left out), multi-vectors by the sum, over the query's
        tokens, of the highest cosine to one of the record's (MaxSim).

        Args:
            vector: Dense: float32, shape (dimensions,); multi: shape (tokens, dimensions).
            kind: Which of the records' vectors it is compared to.
            k: At least 1.
            where: The selection; applied before the `k` are taken.
        """

    @abstractmethod
    def close(self) -> None:
        """Release files and connections that the store opened itself. Safe to call twice."""

    def settle(self) -> None:  # noqa: B027  # most databases look after themselves
        """Build indexes, compact files: called at the end of a run that wrote, if all went well."""

    def release(self) -> None:  # noqa: B027  # most databases lock nothing
        """Let others write: called at the end of a run, however it ends. Safe to call twice."""

    def explain(self, error: Exception) -> StoreError | None:  # noqa: ARG002
        """What the library's error means, where more is known than `stores.failures` finds out.

        Args:
            error: What a method raised.

        Returns:
            An error without a key or a whole text in its message; None to leave it to
            `stores.failures`, which knows full disks, permissions, SQLite, HTTP and gRPC.
        """
        return None
