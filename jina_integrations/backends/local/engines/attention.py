"""Attention over sequences packed into one row without padding.

Registered with transformers' `AttentionInterface`; the sequence lengths reach it as a keyword of
the model's forward call. Each sequence attends to itself alone. Neighbours of equal length share
one call of the kernel, so sort sequences by length.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from .torch_device import copy_to, has_flash_attention

__all__ = ["PACKED_ATTENTION", "PackedLengths", "register_packed_attention"]

PACKED_ATTENTION = "jina_integrations_packed"

_register_once = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class PackedLengths:
    """Lengths of the sequences of one packed row.

    Attributes:
        runs: (length, how many neighbours have it), in the order of the row.
        longest: The longest length.
        boundaries: int32, shape (sequences + 1,), cumulative lengths, on the model's device.
    """

    runs: tuple[tuple[int, int], ...]
    longest: int
    boundaries: torch.Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> PackedLengths:
        """The runs and boundaries of these lengths."""
        return cls(
            tuple((length, len(list(group))) for length, group in groupby(lengths)),
            max(lengths),
            copy_to(device, np.cumsum([0, *lengths], dtype=np.int32)),
        )


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    packed: PackedLengths | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attention outputs, shape (1, tokens, heads, head size).

    Args:
        module: The attention layer, asked for ``is_causal``.
        query: Shape (1, heads, tokens, head size); key and value may have fewer heads.
        key: See `query`.
        value: See `query`.
        attention_mask: None with `packed`; the plain mask without.
        scaling: Factor on the scores; None is ``head size ** -0.5``.
        is_causal: Overrides the module's own.
        packed: Sequence lengths; without them this is transformers' plain attention.
        _: What other attention functions take and this one has no use for.
    """
    if packed is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, is_causal=is_causal
        )
    causal = bool(getattr(module, "is_causal", True)) if is_causal is None else is_causal
    if _fits_varlen(query):
        return _varlen(query, key, value, packed, scaling, causal), None
    heads, tokens = query.shape[1], query.shape[2]
    output = query.new_empty(1, tokens, heads, value.shape[-1])
    start = 0
    for length, count in packed.runs:
        end = start + length * count
        attended = scaled_dot_product_attention(
            _split(query, start, count, length),
            _split(key, start, count, length),
            _split(value, start, count, length),
            scale=scaling,
            is_causal=causal,
            enable_gqa=key.shape[1] != heads,
        )
        output[0, start:end] = attended.transpose(1, 2).flatten(0, 1)
        start = end
    return output, None


def _split(states: torch.Tensor, start: int, count: int, length: int) -> torch.Tensor:
    """A run of equal sequences as a batch: shape (count, heads, length, head size)."""
    run = states[0, :, start : start + count * length]
    return run.view(run.shape[0], count, length, run.shape[-1]).transpose(0, 1)


def _fits_varlen(query: torch.Tensor) -> bool:
    """Whether FlashAttention takes these states: 16 bit, heads of 8, 16, … 256 values."""
    size = query.shape[-1]
    return (
        query.dtype in (torch.float16, torch.bfloat16)
        and size % 8 == 0
        and size <= 256
        and has_flash_attention(query.device)
    )


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    packed: PackedLengths,
    scaling: float | None,
    causal: bool,
) -> torch.Tensor:
    """One variable-length kernel for the whole row."""
    from torch.nn.attention.varlen import varlen_attn

    output = varlen_attn(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        packed.boundaries,
        packed.boundaries,
        packed.longest,
        packed.longest,
        scale=scaling,
        window_size=(-1, 0) if causal else (-1, -1),
        enable_gqa=key.shape[1] != query.shape[1],
    )
    assert isinstance(output, torch.Tensor)  # noqa: S101  # a tuple only with return_aux
    return output.unsqueeze(0)


def _no_mask(*args: object, **kwargs: object) -> None:
    """No mask: the packed lengths say it all."""


def register_packed_attention() -> None:
    """Make `PACKED_ATTENTION` known to transformers; doing it twice is harmless."""
    with _register_once:
        AttentionInterface.register(PACKED_ATTENTION, packed_attention)
        AttentionMaskInterface.register(PACKED_ATTENTION, _no_mask)
