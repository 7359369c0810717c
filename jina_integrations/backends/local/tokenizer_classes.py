"""What transformers' classes make of a ``tokenizer.json``, for those that we need without it.

They take the vocabulary, the merges and the added tokens from the file, and build the rest anew
from their arguments (``models/*/tokenization_*.py`` of transformers 5). So the same is set here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

__all__ = ["TOKENIZER_CLASSES", "TokenizerClass", "token_text"]

Settings = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TokenizerClass:
    """A class of transformers.

    Attributes:
        defaults: Arguments that it has beside those of ``tokenizer_config.json``.
        rebuild: Sets the parts of a tokenizer that the class builds; False where the file has a
            model that the class would change, too. None for a class that takes the file as it is.
    """

    defaults: Settings = field(default_factory=dict)
    rebuild: Callable[[HuggingFaceTokenizer, Settings], bool] | None = None


def token_text(token: object) -> str:
    """The text of a token that a configuration describes by it, or by an object."""
    return str(cast("Mapping[str, object]", token)["content"] if isinstance(token, dict) else token)


def _rebuild_bert(tokenizer: HuggingFaceTokenizer, settings: Settings) -> bool:
    from tokenizers import normalizers, pre_tokenizers

    if _parameters(tokenizer) != {
        "type": "WordPiece",
        "unk_token": token_text(settings["unk_token"]),
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }:
        return False
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=bool(settings["tokenize_chinese_chars"]),
        strip_accents=cast("bool | None", settings["strip_accents"]),
        lowercase=bool(settings["do_lower_case"]),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    _frame(tokenizer, settings, "cls_token", "sep_token")
    return True


def _rebuild_xlm_roberta(tokenizer: HuggingFaceTokenizer, settings: Settings) -> bool:
    from tokenizers import normalizers, pre_tokenizers

    if _parameters(tokenizer) != {"type": "Unigram", "unk_id": 3, "byte_fallback": False}:
        return False
    # Of the file's normalizers only SentencePiece's own, the first there is, is kept.
    normalizer = tokenizer.normalizer
    parts = [normalizer]
    if isinstance(normalizer, normalizers.Sequence):
        parts = [normalizer[number] for number in range(len(normalizer))]
    precompiled = [part for part in parts if isinstance(part, normalizers.Precompiled)]
    tokenizer.normalizer = precompiled[0] if precompiled else None
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(
                prepend_scheme="always" if settings["add_prefix_space"] else "never"
            ),
        ]
    )
    _frame(tokenizer, settings, "bos_token", "eos_token")
    return True


def _rebuild_roberta(tokenizer: HuggingFaceTokenizer, settings: Settings) -> bool:
    from tokenizers import pre_tokenizers, processors

    parameters = {key: value for key, value in _parameters(tokenizer).items() if value}
    if parameters not in ({"type": "BPE"}, {"type": "BPE", "unk_token": "<unk>"}):
        return False
    spaced = bool(settings["add_prefix_space"])
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
    end, start = _numbered(tokenizer, settings, "sep_token", "cls_token")
    tokenizer.post_processor = processors.RobertaProcessing(
        end, start, trim_offsets=bool(settings["trim_offsets"]), add_prefix_space=spaced
    )
    return True


def _frame(tokenizer: HuggingFaceTokenizer, settings: Settings, start: str, end: str) -> None:
    """Put a token before and one after each sequence."""
    from tokenizers import processors

    tokens = _numbered(tokenizer, settings, start, end)
    (first, _), (last, _) = tokens
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[first, "$A", last],
        pair=[first, "$A", last, "$B:1", f"{last}:1"],
        special_tokens=tokens,
    )


def _numbered(
    tokenizer: HuggingFaceTokenizer, settings: Settings, *names: str
) -> list[tuple[str, int]]:
    """Special tokens with their ids."""
    tokens = [token_text(settings[name]) for name in names]
    return [(token, cast("int", tokenizer.token_to_id(token))) for token in tokens]


def _parameters(tokenizer: HuggingFaceTokenizer) -> dict[str, object]:
    """What a tokenizer's model has beside vocabulary and merges."""
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return {key: value for key, value in model.items() if key not in ("vocab", "merges")}


_ROBERTA: Final = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}

TOKENIZER_CLASSES: Final[Mapping[str, TokenizerClass]] = {
    "BertTokenizer": TokenizerClass(
        {
            "unk_token": "[UNK]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
            "do_lower_case": True,
            "tokenize_chinese_chars": True,
            "strip_accents": None,
        },
        _rebuild_bert,
    ),
    "PreTrainedTokenizer": TokenizerClass(),
    "RobertaTokenizer": TokenizerClass(
        {**_ROBERTA, "add_prefix_space": False, "trim_offsets": True}, _rebuild_roberta
    ),
    "TokenizersBackend": TokenizerClass(),
    "XLMRobertaTokenizer": TokenizerClass(
        {**_ROBERTA, "add_prefix_space": True}, _rebuild_xlm_roberta
    ),
}
"""By name, without an ending ``Fast``."""
