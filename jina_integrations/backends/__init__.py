"""One module or package for each way to run a model."""

from __future__ import annotations

from ..settings import EmbedderSettings
from .base import Backend

__all__ = ["Backend", "make_backend"]


def make_backend(settings: EmbedderSettings) -> Backend:
    """The backend that the settings ask for; nothing is loaded yet."""
    from .local import LocalBackend

    return LocalBackend(settings)
