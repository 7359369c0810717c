"""Every error this package raises on purpose.

::

    JinaIntegrationsError
    ├── InvalidInputError (ValueError)     an argument is of the wrong type, shape or range
    │   ├── InvalidTextError               a text that cannot be embedded; carries its index
    │   ├── TextTooLongError               a text over the context; carries index and tokens
    │   ├── InvalidSpanError               a character span that is out of range or holds no token
    │   ├── InvalidImageError              a picture that cannot be read or sent; carries its index
    │   └── InvalidSettingError            a setting that this model or store does not take
    ├── MissingExtraError (ImportError)    an optional dependency is not installed
    ├── ModelError                         a model cannot be found, loaded, or used as asked
    │   ├── ModelNotFoundError             no such folder, package or hub id
    │   ├── ModelLoadError                 the files are there and cannot be used safely
    │   ├── UnsupportedTaskError           the model has no such task
    │   ├── UnsupportedModalityError       the model, or the way it is run, takes no pictures
    │   └── LateChunkingUnsupportedError   the model does not pool a mean over tokens
    ├── EmbeddingError                     the encoder gave NaN, a zero vector, or too few rows
    ├── ApiError                           an HTTP API did not give what was asked of it
    │   ├── MissingKeyError                no key is set
    │   ├── ApiConnectionError             no connection, or it broke
    │   │   ├── ApiUnreachableError        no connection could be made
    │   │   └── ApiTimeoutError            no whole answer in time
    │   ├── ApiResponseError               an answer that is not what the protocol says
    │   │   └── WrongDimensionsError       its vectors are longer or shorter than asked for
    │   └── ApiStatusError                 an answer with an error status
    │       ├── RequestRefusedError        400, 404, 413, 422 and the like: what was sent is wrong
    │       ├── AuthenticationError        401: the key is wrong, or revoked
    │       ├── PermissionDeniedError      402, 403: no tokens left, or not allowed
    │       ├── RateLimitError             429: too many requests or tokens a minute
    │       └── ServerError                408, 409 and 5xx: the service failed; later it may not
    ├── StoreError                         a vector store failed
    │   ├── StoreUnavailableError          the server does not answer
    │   ├── StoreLockedError               another process holds the store's folder
    │   ├── StoreCorruptError              the store's files cannot be read
    │   ├── StoreFullError                 no space is left on the store's disk
    │   ├── StoreAccessDeniedError         the server refuses the key, or the disk the permission
    │   ├── UnsupportedByStoreError        the store has no such filter, vector kind or operation
    │   ├── CollectionNotFoundError        the collection does not exist, or is not one of ours
    │   ├── RecipeMismatchError            the collection was filled with other settings
    │   └── RootConflictError              two folders of one name would replace each other's files
    ├── EmptySourceError                   nothing was read from a source that is to be pruned
    ├── TooManyFailuresError               more documents failed than were allowed
    ├── WorkerError                        a process that embeds has died
    └── ReadError                          a file cannot be turned into documents
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ingestion.report import IngestReport

__all__ = [
    "ApiConnectionError",
    "ApiError",
    "ApiResponseError",
    "ApiStatusError",
    "ApiTimeoutError",
    "ApiUnreachableError",
    "AuthenticationError",
    "CollectionNotFoundError",
    "EmbeddingError",
    "EmptySourceError",
    "InvalidImageError",
    "InvalidInputError",
    "InvalidSettingError",
    "InvalidSpanError",
    "InvalidTextError",
    "JinaIntegrationsError",
    "LateChunkingUnsupportedError",
    "MissingExtraError",
    "MissingKeyError",
    "ModelError",
    "ModelLoadError",
    "ModelNotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReadError",
    "RecipeMismatchError",
    "RequestRefusedError",
    "RootConflictError",
    "ServerError",
    "StoreAccessDeniedError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreLockedError",
    "StoreUnavailableError",
    "TextTooLongError",
    "TooManyFailuresError",
    "UnsupportedByStoreError",
    "UnsupportedModalityError",
    "UnsupportedTaskError",
    "WrongDimensionsError",
]


class JinaIntegrationsError(Exception):
    """Root of every error that this package raises on purpose. Can be copied and pickled.

    Attributes:
        report: Of an error that ended `Collection.ingest`: what the run had done until then.
    """

    report: IngestReport | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[JinaIntegrationsError], args: tuple[object, ...], state: dict[str, object]
) -> JinaIntegrationsError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class _ArgumentError(JinaIntegrationsError):
    """An error that knows which argument it is about, and puts its name before the reason.

    So whoever calls for somebody else corrects `argument` and `index`, and the message follows.

    Attributes:
        reason: What is wrong, without the argument's name.
        argument: Name of the argument, such as ``"texts"``; None where the reason says all.
        index: Position of the offending item in the caller's own list, or None where the
            call took a single item, or no item is to blame.
        span: Position of the offending span among those of the item; None where it is no span.
    """

    _separator = " "

    def __init__(
        self,
        reason: str,
        *,
        argument: str | None = None,
        index: int | None = None,
        span: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.argument = argument
        self.index = index
        self.span = span

    def __str__(self) -> str:
        if self.argument is None:
            return self.reason
        item = self.argument if self.index is None else f"{self.argument}[{self.index}]"
        where = item if self.span is None else f"spans[{self.span}] of {item}"
        return f"{where}{self._separator}{self.reason}"


class InvalidInputError(_ArgumentError, ValueError):
    """An argument is of the wrong type, shape or range.

    Attributes:
        reason: What is wrong, without the argument's name.
        argument: Name of the argument, such as ``"texts"``; None where the reason says all.
        index: Position of the offending item in the caller's own list, or None where the
            call took a single item.
        span: Position of the offending span among those of the item; None where it is no span.
    """


class InvalidTextError(InvalidInputError):
    """A text cannot be embedded: wrong type, empty, whitespace, NUL, lone surrogate."""


class TextTooLongError(InvalidInputError):
    """A text has more tokens than the model's context.

    Attributes:
        tokens: Tokens of the text, special tokens and prefix included.
        limit: Tokens that the model takes.
    """

    def __init__(
        self,
        reason: str,
        *,
        tokens: int,
        limit: int,
        argument: str | None = None,
        index: int | None = None,
        span: int | None = None,
    ) -> None:
        super().__init__(reason, argument=argument, index=index, span=span)
        self.tokens = tokens
        self.limit = limit


class InvalidSpanError(InvalidInputError):
    """A character span is out of range, reversed, or holds no token."""


class InvalidImageError(InvalidInputError):
    """A picture cannot be read, is too large to send, or is none."""


class InvalidSettingError(InvalidInputError):
    """A setting has a value that this model, chunker or store does not take."""


class MissingExtraError(JinaIntegrationsError, ImportError):
    """An optional dependency is not installed; the message gives the pip command.

    Args:
        feature: What needs it.
        extra: The extra that brings it.
        instead: What else would do.
    """

    def __init__(self, feature: str, extra: str, *, instead: str | None = None) -> None:
        other = f", or {instead}" if instead else ""
        super().__init__(
            f'{feature} needs an extra: pip install "jina-integrations[{extra}]"{other}'
        )
        self.extra = extra


class ModelError(JinaIntegrationsError):
    """A model cannot be found, loaded, or used as asked."""


class ModelNotFoundError(ModelError):
    """There is no such folder, package or hub id."""


class ModelLoadError(ModelError):
    """A model's files are there and cannot be used, or not safely."""


class UnsupportedTaskError(ModelError, ValueError):
    """The model has no such task; the message lists those that it has."""


class UnsupportedModalityError(ModelError, ValueError):
    """The model, or the way it is run, takes no pictures."""


class LateChunkingUnsupportedError(ModelError, ValueError):
    """The model does not pool a mean over its tokens, so spans of it mean nothing."""


class EmbeddingError(_ArgumentError):
    """The encoder gave NaN, a zero vector, or a wrong number of rows.

    Attributes:
        index: Position of the offending input in the caller's list, where known.
    """


class ApiError(_ArgumentError):
    """An HTTP API did not give what was asked of it. No message holds a key or a whole text.

    Attributes:
        index: Position of the offending input in the caller's list, where one is to blame.
    """

    _separator = ": "


class MissingKeyError(ApiError, ValueError):
    """The service needs a key, and none is set."""


class ApiConnectionError(ApiError):
    """The server cannot be reached, or the connection broke."""


class ApiUnreachableError(ApiConnectionError):
    """No connection could be made: the server is not running, or is being started anew."""


class ApiTimeoutError(ApiConnectionError):
    """There was no whole answer in time."""


class ApiResponseError(ApiError):
    """The answer is not what the protocol says: no JSON, wrong counts, NaN."""


class WrongDimensionsError(ApiResponseError):
    """The vectors of an answer are longer or shorter than asked for; asking again is no help."""


class ApiStatusError(ApiError):
    """The answer has an error status.

    Attributes:
        status: HTTP status.
        code: The service's own code, such as ``INPUT_TOKEN_LIMIT_EXCEEDED``, where it gave one.
        request_id: The service's name of the request, for its support.
        retry_after_s: Seconds to wait, as the service asked for; None where it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(message, index=index)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class RequestRefusedError(ApiStatusError, ValueError):
    """400, 404, 413, 422 and the like: what was sent is wrong, and will be next time."""


class AuthenticationError(ApiStatusError):
    """401: the key is wrong, or was revoked."""


class PermissionDeniedError(ApiStatusError):
    """402 or 403: the account has no tokens left, or may not use this."""


class RateLimitError(ApiStatusError):
    """429: more requests, tokens or connections than the key allows."""


class ServerError(ApiStatusError):
    """408, 409 or 5xx: the service failed, and may not the next time."""


class StoreError(JinaIntegrationsError):
    """A vector store failed."""


class StoreUnavailableError(StoreError):
    """The store's server does not answer, and may later."""


class StoreLockedError(StoreError):
    """Another process holds the store's folder."""


class StoreCorruptError(StoreError):
    """The store's files cannot be read."""


class StoreFullError(StoreError):
    """No space is left on the store's disk; what was written before stays valid."""


class CollectionNotFoundError(StoreError):
    """The collection does not exist, or was not written by this package."""


class StoreAccessDeniedError(StoreError):
    """The store's server refuses the key, or the disk the permission."""


class UnsupportedByStoreError(StoreError, ValueError):
    """The store has no such filter operator, vector kind or operation; the message names it."""


class RecipeMismatchError(StoreError):
    """The collection was filled with settings that give other vectors; the message names them."""


class RootConflictError(StoreError):
    """A document of this id is stored from another folder, and would be replaced."""


class EmptySourceError(JinaIntegrationsError):
    """Nothing was read from a source, and pruning would remove all that is stored of it."""


class TooManyFailuresError(JinaIntegrationsError):
    """More documents failed than were allowed; what was embedded is stored."""


class WorkerError(JinaIntegrationsError):
    """A process that embeds has died."""


class ReadError(JinaIntegrationsError):
    """A file cannot be turned into documents."""
