"""Loaded models, shared by every embedder of the process that needs the same weights."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import MissingExtraError
from ...models import ModelCard
from ...settings import EmbedderSettings
from ...tokenizers.exact import TextTokenizer
from .folder import read_folder, transformer_folder
from .source import ModelFiles, canonical_name, find_model, hash_files
from .tokenizer import load_tokenizer

if TYPE_CHECKING:
    from .engines.base import TokenEncoder

__all__ = ["LoadedEncoder", "LocalModel", "shared_model", "unload_model"]

_log = logging.getLogger("jina_integrations")


@dataclass(frozen=True, slots=True)
class _ModelKey:
    """What two embedders must have in common to share a model's files and tokenizer.

    Attributes:
        model: Id of a card, resolved folder, or hub id: one name for each model.
    """

    model: str
    revision: str | None
    trust_remote_code: bool


@dataclass(frozen=True, slots=True, eq=False)
class LoadedEncoder:
    """Weights on a device.

    Attributes:
        encoder: Runs them.
        thread: The one thread in which they run. Torch keeps a pool of threads for each thread
            that has used it: with two pools a model is slower (17 % where it was measured), and a
            pool that a process had before it was forked hangs in the child.
    """

    encoder: TokenEncoder
    thread: Executor


class LocalModel:
    """The files, tokenizer and weights of one model, each loaded at first use, once.

    Weights are there once for each device and precision. Everything here may raise a `ModelError`;
    a failed load is tried again at the next call.
    """

    def __init__(self, key: _ModelKey) -> None:
        self._key = key
        self._lock = threading.RLock()
        self._encoders: dict[tuple[str, str], LoadedEncoder] = {}

    @cached_property
    def _files(self) -> ModelFiles:
        return find_model(
            self._key.model,
            revision=self._key.revision,
            trust_remote_code=self._key.trust_remote_code,
        )

    @cached_property
    def _card(self) -> ModelCard:
        card = self._files.card or read_folder(self._files.folder, self._key.model)
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
        card = self._card
        prefix = card.tasks["passage"].prefix if "passage" in card.tasks else ""
        return TextTokenizer(load_tokenizer(self._weights_folder, self._key.model), prefix)

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

    def encoder(self, settings: EmbedderSettings) -> LoadedEncoder:
        """The weights, on the device and in the precision of the settings."""
        card = self.card
        try:
            from .engines.torch_loading import choose_device, load_encoder
        except ModuleNotFoundError as exc:
            raise MissingExtraError("the local backend", "local") from exc
        device = choose_device(settings.device)
        dtype = "float32" if settings.dtype == "auto" else settings.dtype
        with self._lock:
            loaded = self._encoders.get((device, dtype))
            if loaded is None:
                thread = ThreadPoolExecutor(1, thread_name_prefix="jina-model")
                loading = thread.submit(
                    load_encoder,
                    self._weights_folder,
                    card,
                    adapters=sorted({s.adapter for s in card.tasks.values() if s.adapter}),
                    device=device,
                    dtype=dtype,
                    trust_remote_code=self._key.trust_remote_code,
                )
                loaded = LoadedEncoder(loading.result(), thread)
                self._encoders[device, dtype] = loaded
            return loaded


_models: dict[_ModelKey, LocalModel] = {}
_models_lock = threading.Lock()


def _forget_after_fork() -> None:
    """A child must not use its parent's locks and thread pools; it loads its own model."""
    global _models_lock  # noqa: PLW0603  # a lock held by another thread never opens in the child
    _models_lock = threading.Lock()
    _models.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def _key(settings: EmbedderSettings) -> _ModelKey:
    return _ModelKey(canonical_name(settings.model), settings.revision, settings.trust_remote_code)


def shared_model(settings: EmbedderSettings) -> LocalModel:
    """The process's one model for these settings; nothing is loaded yet.

    Not to be kept for longer than a call: a forked child has others, and `unload_model` ends them.
    """
    key = _key(settings)
    with _models_lock:
        return _models.setdefault(key, LocalModel(key))


def unload_model(settings: EmbedderSettings) -> None:
    """Forget the model, on all devices. Calls under way keep it until they are done."""
    with _models_lock:
        _models.pop(_key(settings), None)
