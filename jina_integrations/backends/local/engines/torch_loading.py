"""Weights through transformers: safetensors only, nothing left out silently."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from ....errors import MissingExtraError, ModelLoadError
from ....models import ModelCard
from ....settings import Precision
from ..folder import is_jina_bert, read_config
from .attention import PACKED_ATTENTION, register_packed_attention
from .jina_bert import load_jina_bert
from .torch import TorchEncoder
from .torch_device import warn_of_slow_precision

__all__ = ["load_encoder"]

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


_TYPES: Final[Mapping[Precision, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load_encoder(
    folder: Path,
    card: ModelCard,
    *,
    adapters: Sequence[str],
    device: str,
    precision: Precision,
    trust_remote_code: bool,
) -> TorchEncoder:
    """The folder's model, ready to encode.

    Args:
        folder: Holds config.json, the weights, and one folder for each adapter.
        card: The model's card.
        adapters: LoRA adapters to load.
        device: A torch device, see `choose_device`.
        precision: Type of the weights on the device; int8 is none that torch has.
        trust_remote_code: Whether code of the folder may run.

    Raises:
        ModelLoadError: weights are missing, not safetensors, or do not fit the architecture.
    """
    dtype = _TYPES[precision]
    if device == "cpu" and dtype != torch.float32:
        warn_of_slow_precision(dtype)
    raw = read_config(folder)
    if is_jina_bert(raw):
        jina_bert = load_jina_bert(folder, raw, dtype=dtype)
        _check_width(jina_bert.width, folder, card)
        return TorchEncoder(
            jina_bert.to(device).eval(),
            width=jina_bert.width,
            packed=True,
            first_position=0,
            pad_id=0,
            concurrent=device == "cpu",
        )
    config = _config(folder, raw, card, trust_remote_code=trust_remote_code)
    packed = config.model_type in _PACKED_MODEL_TYPES and _full_attention(config)
    if packed:
        register_packed_attention()
    config.use_cache = False
    with _quiet():
        try:
            model, report = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                attn_implementation=PACKED_ATTENTION if packed else "sdpa",
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, AttributeError) as exc:
            raise ModelLoadError(f"{card.id} cannot be loaded from {folder}: {exc}") from exc
        _check_report(report, card)
        for adapter in adapters:
            _load_adapter(model, folder, adapter, card)
    width = int(config.hidden_size)
    _check_width(width, folder, card)
    return TorchEncoder(
        model.to(device).eval(),
        width=width,
        packed=packed,
        first_position=_first_position(model),
        pad_id=config.pad_token_id or 0,
        # An adapter is switched on in the model; code that we do not know may keep something there.
        concurrent=packed and not adapters and device == "cpu",
    )


@contextmanager
def _quiet() -> Generator[None]:
    """No progress bar and no load report from transformers: the report is checked here."""
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # of transformers
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of transformers
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # of transformers


def _config(
    folder: Path, raw: Mapping[str, Any], card: ModelCard, *, trust_remote_code: bool
) -> PreTrainedConfig:
    try:
        elsewhere = [name for name in raw.get("auto_map", {}).values() if "--" in str(name)]
        if elsewhere and trust_remote_code:
            raise ModelLoadError(
                f"{card.id} takes its code from another repository ({elsewhere[0]}), which a "
                "revision of its own does not pin: download both and put the code beside the "
                "weights"
            )
        return cast(
            "PreTrainedConfig",
            AutoConfig.from_pretrained(
                folder, trust_remote_code=trust_remote_code, local_files_only=True
            ),
        )
    except (OSError, ValueError, KeyError, AttributeError, StrictDataclassError) as exc:
        raise ModelLoadError(f"the configuration of {card.id} cannot be used: {exc}") from exc


def _check_width(width: int, folder: Path, card: ModelCard) -> None:
    if width < card.dimensions:
        raise ModelLoadError(
            f"{folder} has hidden_size {width}, but {card.id} has {card.dimensions} dimensions"
        )


def _full_attention(config: PreTrainedConfig) -> bool:
    """Whether every layer attends to the whole sequence; sliding windows are not packed."""
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    return set(layers) == {"full_attention"}


def _first_position(model: PreTrainedModel) -> int:
    """Position id of a sequence's first token.

    RoBERTa's family keeps the positions up to the padding index for padding: it is the one whose
    embeddings have both a padding index and learned positions (as sentence-transformers tells).
    """
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        learned = isinstance(getattr(module, "position_embeddings", None), torch.nn.Embedding)
        if isinstance(padding, int) and learned:
            return padding + 1
    return 0


def _check_report(report: dict[str, object], card: ModelCard) -> None:
    """Refuse weights that were made up or left out; the pooler of BERT's kind is not used."""
    missing = [key for key in cast("set[str]", report["missing_keys"]) if "pooler" not in key]
    mismatched = list(cast("set[object]", report["mismatched_keys"]))
    if missing or mismatched:
        raise ModelLoadError(
            f"the weights of {card.id} do not fit its architecture: missing {sorted(missing)[:5]}, "
            f"of another shape {mismatched[:5]}"
        )


def _load_adapter(model: PreTrainedModel, folder: Path, adapter: str, card: ModelCard) -> None:
    weights = folder / adapter / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelLoadError(
            f"{card.id} needs its task adapter {adapter!r}, and {weights} is not there: "
            "download the whole repository, adapters included"
        )
    try:
        import peft as peft  # noqa: PLC0414  # transformers imports it below and says less
    except ImportError as exc:
        raise MissingExtraError(f"the task adapters of {card.id}", "local") from exc
    try:
        report = model.load_adapter(
            str(folder), adapter_name=adapter, adapter_kwargs={"subfolder": adapter}
        )
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelLoadError(f"adapter {adapter!r} of {card.id} cannot be loaded: {exc}") from exc
    # The report counts the adapters that were loaded before this one as missing.
    missing = sorted(key for key in report.missing_keys if f".{adapter}." in key)
    unexpected = sorted(report.unexpected_keys)
    if missing or unexpected:
        raise ModelLoadError(
            f"adapter {adapter!r} of {card.id} does not fit: missing {missing[:5]}, "
            f"unexpected {unexpected[:5]}"
        )
