"""The tokenizer of a model's folder, through transformers where it has to be built first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...errors import MissingExtraError, ModelLoadError
from ...tokenizers.exact import read_tokenizer
from .folder import is_jina_bert, read_config

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

__all__ = ["load_tokenizer"]


def load_tokenizer(folder: Path, model: str) -> HuggingFaceTokenizer:
    """The folder's fast tokenizer.

    Raises:
        MissingExtraError: transformers is not installed.
        ModelLoadError: there is none, or it has no offsets (a slow tokenizer).
    """
    path = folder / "tokenizer.json"
    if path.is_file() and is_jina_bert(read_config(folder)):
        # transformers may take the model_type at its word, and BERT's tokenizer for another's.
        return read_tokenizer(path)
    try:
        from huggingface_hub.errors import StrictDataclassError
        from transformers import AutoTokenizer
    except ModuleNotFoundError as exc:
        raise MissingExtraError("the local backend", "local") from exc
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, StrictDataclassError) as exc:
        raise ModelLoadError(f"the tokenizer of {model} cannot be loaded: {exc}") from exc
    if not tokenizer.is_fast:
        raise ModelLoadError(
            f"the tokenizer of {model} is {type(tokenizer).__name__}, which gives no character "
            "offsets: save it with a tokenizer.json"
        )
    return cast("HuggingFaceTokenizer", tokenizer.backend_tokenizer)
