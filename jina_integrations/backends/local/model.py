"""A loaded model, shared by every embedder of the process that needs the same weights."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...cards import ModelCard
from ...errors import MissingExtraError
from ...settings import DType, EmbedderSettings
from .folder import read_folder, transformer_folder
from .source import ModelFiles, find_model, hash_files

if TYPE_CHECKING:
    from .encoder import Encoder
    from .tokens import TextTokenizer

__all__ = ["LocalModel", "shared_model"]

_log = logging.getLogger("jina_integrations")

_PACKED_MODEL_TYPES: Final = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "distilbert",
        "electra",
        "eurobert",
        "jina_embeddings_v3",
        "qwen2",
        "qwen3",
        "roberta",
        "xlm-roberta",
    }
)
"""Architectures of transformers that were tested to give the same token vectors packed as alone.
Any other is padded, in batches sorted by tokens."""


@dataclass(frozen=True, slots=True)
class _ModelKey:
    """What two embedders must have in common to share a loaded model."""

    model: str
    revision: str | None
    trust_remote_code: bool
    device: str
    dtype: DType


class LocalModel:
    """The files, tokenizer and weights of one model, each loaded at first use, once.

    Every property may raise a `ModelError`; a failed load is tried again at the next call.
    """

    def __init__(self, key: _ModelKey) -> None:
        self._key = key
        self._lock = threading.RLock()

    @cached_property
    def _files(self) -> ModelFiles:
        return find_model(
            self._key.model,
            revision=self._key.revision,
            trust_remote_code=self._key.trust_remote_code,
        )

    @cached_property
    def _card(self) -> ModelCard:
        files = self._files
        card = files.card or read_folder(files.folder, self._key.model)
        if not card.commercial:
            _log.warning(
                "%s is licensed %s: its weights are not for commercial use", card.id, card.licence
            )
        return card

    @cached_property
    def _identity(self) -> str:
        return hash_files(self._files.folder)

    @cached_property
    def _tokenizer(self) -> TextTokenizer:
        with _local_extra():
            from .loading import load_tokenizer
            from .tokens import TextTokenizer

        card = self._card
        prefix = card.tasks["passage"].prefix if "passage" in card.tasks else ""
        return TextTokenizer(load_tokenizer(self._weights_folder, self._key.model), prefix)

    @cached_property
    def _encoder(self) -> Encoder:
        with _local_extra():
            from .loading import load_encoder

        adapters = sorted({s.adapter for s in self._card.tasks.values() if s.adapter})
        return load_encoder(
            self._weights_folder,
            self._card,
            adapters=adapters,
            device=self._key.device,
            dtype=self._key.dtype,
            trust_remote_code=self._key.trust_remote_code,
            packed_types=_PACKED_MODEL_TYPES,
        )

    @property
    def _weights_folder(self) -> Path:
        return transformer_folder(self._files.folder)

    @property
    def card(self) -> ModelCard:
        """The model's row, or what its folder says."""
        with self._lock:
            return self._card

    @property
    def identity(self) -> str:
        """Hash of the files that decide a vector."""
        with self._lock:
            return self._identity

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer."""
        with self._lock:
            return self._tokenizer

    @property
    def encoder(self) -> Encoder:
        """The weights, on their device."""
        with self._lock:
            return self._encoder


@contextmanager
def _local_extra() -> Generator[None]:
    """Turn a library that is not installed into the pip command that installs it."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise MissingExtraError("the local backend", "local") from exc


_models: dict[_ModelKey, LocalModel] = {}
_models_lock = threading.Lock()


def _forget_after_fork() -> None:
    """A child must not use its parent's locks and thread pools; it loads its own model."""
    global _models_lock  # noqa: PLW0603  # a lock held by another thread never opens in the child
    _models_lock = threading.Lock()
    _models.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def shared_model(settings: EmbedderSettings) -> LocalModel:
    """The process's one model for these settings; nothing is loaded yet."""
    key = _ModelKey(
        settings.model,
        settings.revision,
        settings.trust_remote_code,
        settings.device,
        settings.dtype,
    )
    with _models_lock:
        return _models.setdefault(key, LocalModel(key))
