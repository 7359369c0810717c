"""From what a store remembers to an embedder and a chunker, and whether they are the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import cast

from .arguments import check_type
from .chunkers import Chunker, SentenceChunker, chunker_from_dict
from .embedding.embedder import Embedder
from .errors import (
    InvalidInputError,
    InvalidSettingError,
    ModelLoadError,
    RecipeMismatchError,
)
from .recipe import Difference, Recipe
from .stores import Store, open_store
from .stores.access import StoreAccess

__all__ = ["access_to", "choose_cuts", "embedder_of", "refuse", "tell"]

_log = logging.getLogger("jina_integrations")


def access_to(store: str | Store, total_timeout_s: float) -> StoreAccess:
    """How the core calls the store of an address, or a ready one."""
    seconds = cast("object", total_timeout_s)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidInputError(f"total_timeout_s must be a number above 0, not {seconds!r:.80}")
    if isinstance(store, str):
        store = open_store(store)
    check_type(
        "store", store, Store, "an address such as 'qdrant-edge:./index#handbook', or a Store"
    )
    return StoreAccess(store, total_timeout_s=total_timeout_s)


def embedder_of(recipe: Recipe, base_url: str | None) -> Embedder:
    """The recipe's embedder, on whatever engine and device are here.

    Raises:
        ModelLoadError: the recipe runs code of the model's repository, or names a server, and the
            caller does not.
    """
    settings = dict(recipe.embedder)
    if settings.get("trust_remote_code"):
        raise ModelLoadError(
            f"the collection was filled with code from the repository of "
            f"{settings.get('model')!r}, and a collection cannot allow that code to run: pass "
            "embedder=Embedder(…, trust_remote_code=True, revision='<the commit you read>')"
        )
    if settings.get("base_url") and base_url is None:
        raise ModelLoadError(
            f"the collection was filled through {settings['base_url']}, and a collection cannot "
            "choose where texts and keys are sent: pass that base_url, or another"
        )
    if base_url is not None:
        settings["base_url"] = base_url
    if isinstance(settings.get("api"), Mapping):
        api = cast("Mapping[str, object]", settings["api"])
        settings["api"] = {**api, "api_key_env_var": None}
    settings["engine"] = settings["device"] = "auto"  # those of the machine that filled it
    return Embedder.from_dict(settings)


def _chunker_of(recipe: Recipe, name: str) -> Chunker:
    """The recipe's chunker.

    Raises:
        InvalidSettingError: it cannot be made from what is stored.
    """
    settings = cast("Mapping[str, object]", recipe.cut.get("chunker") or {})
    try:
        return chunker_from_dict(settings)
    except InvalidSettingError as exc:
        raise InvalidSettingError(
            f"{name} was cut by {settings.get('chunker')!r}, which cannot be made from what is "
            "stored: use Collection(store, embedder=…, chunker=…)"
        ) from exc


def choose_cuts(
    chunker: Chunker | None, heading_context: bool | None, stored: Recipe | None, name: str
) -> tuple[Chunker, bool]:
    """The chunker, and whether headings go in front: as asked, else as stored, else the defaults.

    Raises:
        InvalidSettingError: none is given, and the stored one cannot be made.
    """
    if stored is not None:
        chunker = chunker or _chunker_of(stored, name)
        if heading_context is None:
            heading_context = bool(stored.document.get("heading_context"))
    return chunker or SentenceChunker(), bool(heading_context)


def refuse(differences: Sequence[Difference], name: str, way_out: str) -> None:
    """Raise `RecipeMismatchError` where there is a difference; it names them and the way out."""
    if not differences:
        return
    if [difference.name for difference in differences] == ["weights"]:
        reason = "its model has the same name and other files, or another version of them"
    else:
        shown = (difference for difference in differences if difference.name != "weights")
        reason = f"it was filled with {', '.join(map(str, shown))}"
    raise RecipeMismatchError(
        f"{name} has other settings: {reason}. To keep it, {way_out}; to change them, ingest into "
        "a new collection, or drop this one first"
    )


def tell(differences: Sequence[Difference], name: str) -> None:
    """Log that documents which come again are cut anew, and why."""
    if differences:
        _log.warning(
            "%s was cut with other settings: %s. Documents that come again are cut and embedded "
            "anew",
            name,
            ", ".join(map(str, differences)),
        )
