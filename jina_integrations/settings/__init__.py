"""Settings of an embedder, each declared once.

The fields of `EmbedderSettings` are the keyword arguments of `Embedder`. What else needs to know
them derives from here: the fingerprint and the version (`recipe`), the fields of the adapters'
classes, the options of the command line.
"""

from __future__ import annotations

from .api import ApiSettings, Transport
from .base import Role, Setting, Settings, options, roles
from .embedder import (
    BACKENDS,
    EmbedderOptions,
    EmbedderSettings,
    EmbedderSettingsFields,
    Engine,
    LongTexts,
    Precision,
)

__all__ = [
    "BACKENDS",
    "ApiSettings",
    "EmbedderOptions",
    "EmbedderSettings",
    "EmbedderSettingsFields",
    "Engine",
    "LongTexts",
    "Precision",
    "Role",
    "Setting",
    "Settings",
    "Transport",
    "options",
    "roles",
]
