"""Every error this package raises on purpose.

::

    JinaIntegrationsError
    ├── InvalidInputError (ValueError)     an argument is of the wrong type, shape or range
    │   ├── InvalidTextError               a text that cannot be embedded; carries its index
    │   ├── TextTooLongError               a text over the context; carries index and tokens
    │   ├── InvalidSpanError               a character span that is out of range or holds no token
    │   └── InvalidSettingError            a setting that this model or store does not take
    ├── MissingExtraError (ImportError)    an optional dependency is not installed
    ├── ModelError                         a model cannot be found, loaded, or used as asked
    │   ├── ModelNotFoundError             no such folder, package or hub id
    │   ├── ModelLoadError                 the files are there and cannot be used safely
    │   ├── UnsupportedTaskError           the model has no such task
    │   └── LateChunkingUnsupportedError   the model does not pool a mean over tokens
    ├── EmbeddingError                     the encoder gave NaN, a zero vector, or too few rows
    ├── StoreError                         a vector store failed
    │   ├── StoreUnavailableError          the server does not answer, or refuses the key
    │   ├── StoreLockedError               another process holds the store's folder
    │   ├── StoreCorruptError              the store's files cannot be read
    │   ├── StoreFullError                 no space is left on the store's disk
    │   ├── CollectionNotFoundError        the collection does not exist, or is not one of ours
    │   └── FingerprintMismatchError       the collection was written with other settings
    └── ReadError                          a file cannot be turned into documents
"""

from __future__ import annotations

__all__ = [
    "CollectionNotFoundError",
    "EmbeddingError",
    "FingerprintMismatchError",
    "InvalidInputError",
    "InvalidSettingError",
    "InvalidSpanError",
    "InvalidTextError",
    "JinaIntegrationsError",
    "LateChunkingUnsupportedError",
    "MissingExtraError",
    "ModelError",
    "ModelLoadError",
    "ModelNotFoundError",
    "ReadError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreLockedError",
    "StoreUnavailableError",
    "TextTooLongError",
    "UnsupportedTaskError",
]


class JinaIntegrationsError(Exception):
    """Root of every error that this package raises on purpose."""


class InvalidInputError(JinaIntegrationsError, ValueError):
    """An argument is of the wrong type, shape or range.

    Attributes:
        index: Position of the offending item in the caller's own list, or None where the
            call took a single item.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class InvalidTextError(InvalidInputError):
    """A text cannot be embedded: wrong type, empty, whitespace, NUL, lone surrogate."""


class TextTooLongError(InvalidInputError):
    """A text has more tokens than the model's context.

    Attributes:
        tokens: Tokens of the text, special tokens and prefix included.
        limit: Tokens that the model takes.
    """

    def __init__(self, message: str, *, tokens: int, limit: int, index: int | None = None) -> None:
        super().__init__(message, index=index)
        self.tokens = tokens
        self.limit = limit


class InvalidSpanError(InvalidInputError):
    """A character span is out of range, reversed, or holds no token."""


class InvalidSettingError(InvalidInputError):
    """A setting has a value that this model, chunker or store does not take."""


class MissingExtraError(JinaIntegrationsError, ImportError):
    """An optional dependency is not installed; the message gives the pip command."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs an extra: pip install "jina-integrations[{extra}]"')
        self.extra = extra


class ModelError(JinaIntegrationsError):
    """A model cannot be found, loaded, or used as asked."""


class ModelNotFoundError(ModelError):
    """There is no such folder, package or hub id."""


class ModelLoadError(ModelError):
    """A model's files are there and cannot be used, or not safely."""


class UnsupportedTaskError(ModelError, ValueError):
    """The model has no such task; the message lists those that it has."""


class LateChunkingUnsupportedError(ModelError, ValueError):
    """The model does not pool a mean over its tokens, so spans of it mean nothing."""


class EmbeddingError(JinaIntegrationsError):
    """The encoder gave NaN, a zero vector, or a wrong number of rows.

    Attributes:
        index: Position of the first offending text in the caller's list, where known.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class StoreError(JinaIntegrationsError):
    """A vector store failed."""


class StoreUnavailableError(StoreError):
    """The store's server does not answer, or refuses the key."""


class StoreLockedError(StoreError):
    """Another process holds the store's folder."""


class StoreCorruptError(StoreError):
    """The store's files cannot be read."""


class StoreFullError(StoreError):
    """No space is left on the store's disk; what was written before stays valid."""


class CollectionNotFoundError(StoreError):
    """The collection does not exist, or was not written by this package."""


class FingerprintMismatchError(StoreError):
    """The collection was written with settings that give other vectors."""


class ReadError(JinaIntegrationsError):
    """A file cannot be turned into documents."""
