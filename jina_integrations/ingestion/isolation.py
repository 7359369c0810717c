"""One bad item in a batch must not take the others with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import (
    ApiError,
    EmbeddingError,
    InvalidInputError,
    InvalidSettingError,
    JinaIntegrationsError,
)

__all__ = ["is_of_input", "isolate"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def is_of_input(error: JinaIntegrationsError) -> bool:
    """Whether an input is to blame, so that others may go on."""
    if isinstance(error, InvalidSettingError):
        return False
    if isinstance(error, ApiError):
        return error.index is not None
    return isinstance(error, InvalidInputError | EmbeddingError)


def isolate(
    items: Sequence[_Item],
    act: Callable[[Sequence[_Item]], list[_Result]],
    *,
    on_failure: Callable[[_Item, InvalidInputError | EmbeddingError], None],
) -> list[_Result]:
    """What `act` gives for the items, in order, without those that are bad.

    Where the whole batch fails, each half is tried by itself, down to the single item; so one bad
    item among ``n`` costs about ``log2(n)`` further calls, and its error speaks of it alone.

    Args:
        items: The batch; may be empty.
        act: Handles many at once; must do no harm when it is called again.
        on_failure: Called with each bad item and its error.

    Raises:
        InvalidSettingError: no item is to blame, so none is tried again.
    """
    if not items:
        return []
    try:
        return act(items)
    except InvalidSettingError:
        raise
    except (InvalidInputError, EmbeddingError) as exc:
        if len(items) == 1:
            on_failure(items[0], exc)
            return []
    middle = len(items) // 2
    return [
        *isolate(items[:middle], act, on_failure=on_failure),
        *isolate(items[middle:], act, on_failure=on_failure),
    ]
