"""Weights and tokenizers through transformers: safetensors only, nothing left out silently."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from tokenizers import Tokenizer as HuggingFaceTokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from ...cards import ModelCard
from ...errors import InvalidSettingError, MissingExtraError, ModelLoadError
from ...settings import DType
from .attention import PACKED_ATTENTION, register_packed_attention
from .encoder import Encoder
from .folder import is_jina_bert, read_config
from .jina_bert import load_jina_bert

__all__ = ["load_encoder", "load_tokenizer"]

_DTYPES = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def load_tokenizer(folder: Path, model: str) -> HuggingFaceTokenizer:
    """The folder's fast tokenizer.

    Raises:
        ModelLoadError: there is none, or it has no offsets (a slow tokenizer).
    """
    own = folder / "tokenizer.json"
    if own.is_file() and is_jina_bert(read_config(folder)):
        # transformers may take the model_type at its word, and BERT's tokenizer for another's.
        try:
            return HuggingFaceTokenizer.from_file(str(own))
        except Exception as exc:  # tokenizers raises nothing more precise
            raise ModelLoadError(f"{own} cannot be read: {exc}") from exc
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


def load_encoder(
    folder: Path,
    card: ModelCard,
    *,
    adapters: Sequence[str],
    device: str,
    dtype: DType,
    trust_remote_code: bool,
    packed_types: Collection[str],
) -> Encoder:
    """The folder's model, ready to encode.

    Args:
        folder: Holds config.json, the weights, and one folder for each adapter.
        card: The model's card.
        adapters: LoRA adapters to load.
        device: ``"auto"`` or a torch device.
        dtype: Type of the weights on the device.
        trust_remote_code: Whether code of the folder may run.
        packed_types: Values of ``model_type`` whose attention can be packed.

    Raises:
        ModelLoadError: weights are missing, not safetensors, or do not fit the architecture.
        InvalidSettingError: no such device.
    """
    target = _device(device)
    raw = read_config(folder)
    if is_jina_bert(raw):
        own = load_jina_bert(folder, raw, dtype=_DTYPES[dtype])
        _check_width(own.width, folder, card)
        return Encoder(
            own.to(target).eval(), width=own.width, packed=True, first_position=0, pad_id=0
        )
    config = _config(folder, raw, card, trust_remote_code=trust_remote_code)
    packed = config.model_type in packed_types and _full_attention(config)
    if packed:
        register_packed_attention()
    config.use_cache = False
    with _quiet():
        try:
            model, report = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=_DTYPES[dtype],
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
    return Encoder(
        model.to(target).eval(),
        width=width,
        packed=packed,
        first_position=_first_position(model),
        pad_id=config.pad_token_id or 0,
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


def _device(name: str) -> torch.device:
    if name != "auto":
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as exc:
            raise InvalidSettingError(
                f"device {name!r} cannot be used here ({str(exc).splitlines()[0]}): "
                "take 'auto' or 'cpu'"
            ) from exc
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


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
