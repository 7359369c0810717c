"""How Jina's HTTP API speaks of each model, as rows of data.

Source of the rows: Jina's OpenAPI document of 2026-06-29.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .types import Task

__all__ = ["CODE_TASK_NAMES", "SERVICE_SCHEMES", "TASK_NAMES", "ServiceScheme"]

TASK_NAMES: Final[Mapping[str, Task]] = MappingProxyType(
    {
        "retrieval.query": "query",
        "retrieval.passage": "passage",
        "query": "query",
        "passage": "passage",
        "document": "passage",
        "text-matching": "text-matching",
        "classification": "classification",
        "separation": "clustering",
        "clustering": "clustering",
    }
)
"""What requests call a task, and what it is here."""

_SIDES: Final[tuple[Task, ...]] = ("query", "passage")

CODE_TASK_NAMES: Final[Mapping[str, Task]] = MappingProxyType(
    {
        f"{kind}.{side}": side
        for kind in ("code", "nl2code", "qa", "code2code", "code2nl", "code2completion")
        for side in _SIDES
    }
)
"""The same for the tasks of code models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceScheme:
    """What a request for one model may say.

    Attributes:
        tasks: Task to the request's ``task``; None leaves the field out. An absent task is refused.
        normalized: Whether a request may ask for vectors that are not normalised.
        late_chunking: Whether a request may ask for late chunking.
        hosted: Whether api.jina.ai serves it; else only a server of one's own does.
        tile_pixels: Side of the square tiles that pictures are billed by; 0 where it takes none.
        tile_tokens: Tokens of one tile.
    """

    tasks: Mapping[Task, str | None]
    normalized: bool = True
    late_chunking: bool = False
    hosted: bool = True
    tile_pixels: int = 0
    tile_tokens: int = 0

    def picture_tokens(self, pixels: tuple[int, int] | None) -> int:
        """What a picture costs: its tiles, each at its price (Jina's pricing).

        Args:
            pixels: Width and height; None for a picture that was not seen, taken as four tiles.
        """
        if pixels is None:
            return _UNSEEN_TILES * self.tile_tokens
        across, down = (-(-side // self.tile_pixels) for side in pixels)
        return across * down * self.tile_tokens


_UNSEEN_TILES: Final = 4

_NONE: Final[Mapping[Task, str | None]] = MappingProxyType(
    {
        "query": None,
        "passage": None,
        "text-matching": None,
        "classification": None,
        "clustering": None,
    }
)
_RETRIEVAL: Final[Mapping[Task, str | None]] = {
    "query": "retrieval.query",
    "passage": "retrieval.passage",
    "text-matching": "text-matching",
}
_V3 = ServiceScheme(
    tasks=MappingProxyType(
        {**_RETRIEVAL, "classification": "classification", "clustering": "separation"}
    ),
    late_chunking=True,
)
_V5 = ServiceScheme(
    tasks=MappingProxyType(
        {**_RETRIEVAL, "classification": "classification", "clustering": "clustering"}
    )
)
_CODE = ServiceScheme(
    tasks=MappingProxyType({"query": "nl2code.query", "passage": "nl2code.passage"}),
    normalized=False,
)
_OWN = ServiceScheme(tasks=_NONE, late_chunking=True, hosted=False)

SERVICE_SCHEMES: Final[Mapping[str, ServiceScheme]] = MappingProxyType(
    {
        "minilm": _OWN,
        "echo": ServiceScheme(
            tasks=_NONE, late_chunking=True, hosted=False, tile_pixels=512, tile_tokens=4000
        ),
        **{
            f"jina-embeddings-v2-base-{name}": ServiceScheme(tasks=_NONE)
            for name in ("en", "zh", "de", "es", "code")
        },
        "jina-embeddings-v3": _V3,
        "jina-embeddings-v4": ServiceScheme(
            tasks=MappingProxyType(_RETRIEVAL),
            normalized=False,
            late_chunking=True,
            tile_pixels=512,
            tile_tokens=4000,
        ),
        "jina-embeddings-v5-text-small": _V5,
        "jina-embeddings-v5-text-nano": _V5,
        "jina-embeddings-v5-omni-small": _V5,
        "jina-embeddings-v5-omni-nano": _V5,
        "jina-clip-v1": ServiceScheme(tasks=_NONE, tile_pixels=224, tile_tokens=1000),
        "jina-clip-v2": ServiceScheme(
            tasks=MappingProxyType({"query": "retrieval.query", "passage": None}),
            tile_pixels=512,
            tile_tokens=4000,
        ),
        "jina-code-embeddings-0.5b": _CODE,
        "jina-code-embeddings-1.5b": _CODE,
    }
)
"""Model id to its scheme. ``minilm`` and ``echo`` are spoken by `jina-integrations serve` only."""
