"""A model folder's own configuration, read into a card.

Follows sentence-transformers: ``modules.json`` names the modules, the pooling module's
``config.json`` the pooling, ``sentence_bert_config.json`` the longest text, and
``config_sentence_transformers.json`` the prompts. A folder without ``modules.json`` is a plain
transformers model, pooled by its mean, or by its last token where it is a decoder.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from ...errors import ModelLoadError
from ...models import MODEL_CARDS, LateChunkingDefaults, ModelCard, Pooling, TaskScheme
from ...types import Task

__all__ = ["is_jina_bert", "read_config", "read_folder", "read_optional", "transformer_folder"]

_log = logging.getLogger("jina_integrations")

_DECODERS: Final = frozenset({"qwen2", "qwen3", "llama", "mistral", "gemma", "gemma2"})
_POSITIONS_AFTER_PADDING: Final = frozenset(
    {"roberta", "xlm-roberta", "camembert", "jina_embeddings_v3"}
)
"""Models whose first position is ``pad_token_id + 1``, so that they take that many tokens less."""

_POOLINGS: Final[Mapping[str, Pooling]] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_LEGACY_POOLINGS: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_PROMPT_NAMES: Final[Mapping[Task, tuple[str, ...]]] = {
    "query": ("query", "retrieval.query"),
    "passage": ("passage", "document", "corpus", "retrieval.passage"),
    "text-matching": ("text-matching", "STS"),
    "classification": ("classification",),
    "clustering": ("clustering", "separation"),
}
_SENTENCE_CONFIG: Final = "config_sentence_transformers.json"
_NO_LIMIT = 1_000_000
"""A ``model_max_length`` above this is transformers' way to say that there is none."""


def read_folder(folder: Path, name: str) -> ModelCard:
    """The card of a folder that has no row in `MODEL_CARDS`.

    Raises:
        ModelLoadError: a file is missing or damaged, or names a module that is not supported.
    """
    modules = _modules(folder)
    root = _transformer_path(folder, modules)
    config = read_config(root)
    model_type = str(config.get("model_type", ""))
    dimensions = _positive(config, "dim" if model_type == "distilbert" else "hidden_size", root)
    context = _context_tokens(config, model_type, root)
    pooling = _pooling(modules, model_type, name)
    sentence = read_optional(folder / _SENTENCE_CONFIG)
    card = ModelCard(
        id=name,
        repository=None,
        dimensions=_truncated(sentence, dimensions),
        min_dimensions=None if is_jina_bert(config) else 1,
        context_tokens=context,
        max_tokens=_max_tokens(root, context),
        tasks=_tasks(sentence),
        pooling=pooling,
        late_chunking=LateChunkingDefaults(
            enabled=context >= 8192, overlap_tokens=min(context // 2, 1024)
        )
        if pooling == "mean"
        else None,
        licence="unknown",
        source=str(root),
        normalize=not modules or "Normalize" in modules,
    )
    if model_type == "jina_embeddings_v3" and (root / "retrieval_passage").is_dir():
        known = MODEL_CARDS["jina-embeddings-v3"]
        card = replace(card, tasks=known.tasks, licence=known.licence, commercial=False)
    return card


def read_config(folder: Path) -> dict[str, object]:
    """What ``config.json`` says.

    Raises:
        ModelLoadError: it is missing, or no JSON object.
    """
    return _json(folder / "config.json")


def is_jina_bert(config: Mapping[str, object]) -> bool:
    """Whether a ``config.json`` is of JinaBERT, which calls itself ``bert``."""
    return config.get("model_type") == "bert" and config.get("position_embedding_type") == "alibi"


def transformer_folder(folder: Path) -> Path:
    """The folder that holds ``config.json`` and the weights, which modules.json may put below."""
    return _transformer_path(folder, _modules(folder))


def _modules(folder: Path) -> dict[str, Path]:
    """Module class name to its folder, in order; empty for a plain transformers folder."""
    path = folder / "modules.json"
    if not path.exists():
        return {}
    entries = cast("list[dict[str, str]]", _read_json(path))
    try:
        modules = {e["type"].rsplit(".", 1)[-1]: folder / e["path"] for e in entries}
    except (TypeError, KeyError, AttributeError) as exc:
        raise ModelLoadError(f"{path} is not a list of modules with type and path") from exc
    unsupported = [name for name in modules if name not in ("Transformer", "Pooling", "Normalize")]
    if unsupported or "Transformer" not in modules or len(modules) != len(entries):
        raise ModelLoadError(
            f"{path} has the modules {[e['type'] for e in entries]}: an Embedder runs one "
            "Transformer, Pooling and Normalize; anything else would be left out of the vectors"
        )
    return modules


def _transformer_path(folder: Path, modules: Mapping[str, Path]) -> Path:
    return modules.get("Transformer", folder)


def _pooling(modules: Mapping[str, Path], model_type: str, name: str) -> Pooling:
    if "Pooling" not in modules:
        pooling: Pooling = "last" if model_type in _DECODERS else "mean"
        _log.info("%s says nothing of pooling: taking %s", name, pooling)
        return pooling
    config = _json(modules["Pooling"] / "config.json")
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in _LEGACY_POOLINGS.items() if config.get(key)] or ["mean"]
    if isinstance(modes, list) and len(modes) == 1:
        modes = modes[0]
    if (
        not isinstance(modes, str)
        or modes not in _POOLINGS
        or config.get("include_prompt") is False
    ):
        raise ModelLoadError(
            f"{modules['Pooling'] / 'config.json'}: pooling {modes!r} (include_prompt="
            f"{config.get('include_prompt', True)}) is not supported; mean, cls and lasttoken "
            "with the prompt are"
        )
    return _POOLINGS[modes]


def _context_tokens(config: Mapping[str, object], model_type: str, root: Path) -> int:
    positions = _positive(config, "max_position_embeddings", root)
    if model_type in _POSITIONS_AFTER_PADDING:
        padding = config.get("pad_token_id", 1)
        if not isinstance(padding, int):
            raise ModelLoadError(
                f"{root / 'config.json'} has pad_token_id={padding!r}: it must be an int"
            )
        positions -= padding + 1
    return positions


def _max_tokens(root: Path, context: int) -> int:
    stated = read_optional(root / "sentence_bert_config.json").get("max_seq_length")
    if not isinstance(stated, int):
        stated = read_optional(root / "tokenizer_config.json").get("model_max_length")
    if not isinstance(stated, int | float) or stated > _NO_LIMIT:
        return context
    return min(int(stated), context)


def _truncated(sentence: Mapping[str, object], dimensions: int) -> int:
    chosen = sentence.get("truncate_dim") or dimensions
    if not isinstance(chosen, int) or chosen < 1:
        raise ModelLoadError(f"{_SENTENCE_CONFIG} has truncate_dim={chosen!r}: it must be an int")
    return chosen


def _tasks(sentence: Mapping[str, object]) -> Mapping[Task, TaskScheme]:
    stated = sentence.get("prompts") or {}
    prompts = cast("dict[str, object]", stated) if isinstance(stated, dict) else {"": (stated,)}
    if not all(isinstance(prompt, str | None) for prompt in prompts.values()):
        raise ModelLoadError(f"{_SENTENCE_CONFIG} has prompts that are no texts by their names")
    default = prompts.get(str(sentence.get("default_prompt_name")), "")
    return MappingProxyType(
        {
            task: TaskScheme(str(next((prompts[n] for n in names if n in prompts), default) or ""))
            for task, names in _PROMPT_NAMES.items()
        }
    )


def _positive(config: Mapping[str, object], key: str, root: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise ModelLoadError(f"{root / 'config.json'} gives no {key}: is it a text encoder?")
    return value


def read_optional(path: Path) -> dict[str, object]:
    """What a JSON file says that a folder may lack; empty where it does.

    Raises:
        ModelLoadError: it is no JSON object.
    """
    return _json(path) if path.exists() else {}


def _json(path: Path) -> dict[str, object]:
    value = _read_json(path)
    if not isinstance(value, dict):
        raise ModelLoadError(f"{path} must hold a JSON object, not {type(value).__name__}")
    return cast("dict[str, object]", value)


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelLoadError(
            f"{path} cannot be read ({exc}): a model folder needs its config.json, tokenizer and "
            "*.safetensors"
        ) from exc
