"""The tokenizer of a model's folder: its ``tokenizer.json``, completed as transformers does.

``tokenizer.json`` holds a whole tokenizer. Yet transformers takes some parts from elsewhere: from
``tokenizer_config.json``, and from the class that it names (`BertTokenizer` lowers the case unless
told otherwise). Those of the encoders that run without transformers are known here; a folder that
asks for more is loaded by transformers itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from ...errors import MissingExtraError, ModelLoadError
from ...tokenizers.exact import read_tokenizer
from .folder import is_jina_bert, read_config, read_optional
from .tokenizer_classes import TOKENIZER_CLASSES, token_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

__all__ = ["load_tokenizer"]

_CLASSES: Final[Mapping[str, str]] = {
    "bert": "BertTokenizer",
    "distilbert": "BertTokenizer",
    "electra": "BertTokenizer",
    "jina_embeddings_v3": "XLMRobertaTokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
}
"""The class for each ``model_type``, where ``tokenizer_config.json`` names none (transformers'
``TOKENIZER_MAPPING_NAMES``)."""

_TOKEN: Final = ("content", "lstrip", "rstrip", "single_word", "normalized", "special")
"""What an added token is described by."""

_OTHERS: Final = ("auto_map", "add_bos_token", "add_eos_token", "split_special_tokens")
"""Settings that change the tokenizer by ways that are left to transformers."""


def load_tokenizer(folder: Path, model: str) -> HuggingFaceTokenizer:
    """The folder's tokenizer, which cuts every text as transformers' ``AutoTokenizer`` does.

    Raises:
        MissingExtraError: it needs transformers, which is not installed.
        ModelLoadError: there is none, or it has no offsets (a slow tokenizer).
    """
    if (folder / "tokenizer.json").is_file():
        tokenizer = _from_file(folder)
        if tokenizer is not None:
            return tokenizer
    try:
        from huggingface_hub.errors import StrictDataclassError
        from transformers import AutoTokenizer
    except ModuleNotFoundError as exc:
        raise MissingExtraError(f"the tokenizer of {model}", "local") from exc
    try:
        loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, StrictDataclassError) as exc:
        raise ModelLoadError(f"the tokenizer of {model} cannot be loaded: {exc}") from exc
    if not loaded.is_fast:
        raise ModelLoadError(
            f"the tokenizer of {model} is {type(loaded).__name__}, which gives no character "
            "offsets: save it with a tokenizer.json"
        )
    return cast("HuggingFaceTokenizer", loaded.backend_tokenizer)


def _from_file(folder: Path) -> HuggingFaceTokenizer | None:
    """The folder's ``tokenizer.json``, completed; None where transformers has to do that."""
    config = read_config(folder)
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    if is_jina_bert(config):
        # transformers may take the model_type at its word, and BERT's tokenizer for another's.
        return tokenizer
    settings = read_optional(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in settings:
        settings |= read_optional(folder / "special_tokens_map.json")
    chosen = settings.get("tokenizer_class") or config.get("tokenizer_class")
    name = str(chosen or _CLASSES.get(str(config.get("model_type")))).removesuffix("Fast")
    if (
        config.get("model_type") not in _CLASSES
        or name not in TOKENIZER_CLASSES
        or any(settings.get(key) is not None for key in _OTHERS)
        or (folder / "added_tokens.json").exists()
    ):
        return None
    tokenizer_class = TOKENIZER_CLASSES[name]
    settings = {**tokenizer_class.defaults, **settings}
    rebuild = tokenizer_class.rebuild
    if not _has_tokens(tokenizer, settings, exactly=rebuild is not None):
        return None
    if rebuild is not None and not rebuild(tokenizer, settings):
        return None
    return tokenizer


def _has_tokens(
    tokenizer: HuggingFaceTokenizer, settings: Mapping[str, object], *, exactly: bool
) -> bool:
    """Whether the file has all tokens that the settings add, and no others if `exactly`."""
    in_file = {
        number: {key: getattr(token, key) for key in _TOKEN}
        for number, token in tokenizer.get_added_tokens_decoder().items()
    }
    decoder = cast("Mapping[str, Mapping[str, object]]", settings.get("added_tokens_decoder") or {})
    stated = {int(number): {k: token.get(k) for k in _TOKEN} for number, token in decoder.items()}
    if not stated.items() <= in_file.items() or (exactly and stated and stated != in_file):
        return False
    more = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    if not isinstance(more, list):
        return False
    named = [token for key, token in settings.items() if key.endswith("_token") and token]
    special = {token["content"] for token in in_file.values() if token["special"]}
    return {token_text(token) for token in [*named, *cast("list[object]", more)]} <= special
