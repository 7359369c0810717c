"""Where the API's key comes from when none was passed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from ..errors import InvalidSettingError, MissingKeyError
from ..settings import EmbedderSettings

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["check_key", "environment_key", "find_key"]

_VARIABLES: Final = ("JINA_API_KEY", "JINAAI_API_KEY")


def check_key(key: str | SecretStr | None, settings: EmbedderSettings) -> SecretStr | None:
    """The key that a caller passed, wrapped so that nothing shows it.

    Raises:
        InvalidSettingError: it is no str, or the settings run the model here.
    """
    if key is None:
        return None
    from pydantic import SecretStr

    if settings.backend == "local":
        raise InvalidSettingError(
            "api_key is for the API, and backend='local' runs the model here: leave it out, or say "
            "backend='api'"
        )
    if not isinstance(key, str | SecretStr):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidSettingError(f"api_key must be a str or SecretStr, not {type(key).__name__}")
    return SecretStr(key) if isinstance(key, str) else key


def environment_key(variable: str | None = None) -> SecretStr | None:
    """The key in that variable; None takes the first of the usual ones that is not empty."""
    from pydantic import SecretStr

    for name in _VARIABLES if variable is None else (variable,):
        value = os.environ.get(name, "").strip()
        if value:
            return SecretStr(value)
    return None


def find_key(
    given: SecretStr | None, *, needed: bool, variable: str | None = None
) -> SecretStr | None:
    """The given key, else the environment's.

    Args:
        given: What the caller passed.
        variable: The environment variable to read; None reads the usual ones.
        needed: Whether there is nothing to be had without one.

    Raises:
        MissingKeyError: it is needed, and there is none; or it has characters that no key has.
    """
    key = given if given is not None else environment_key(variable)
    if key is None and variable is not None:
        raise MissingKeyError(f"the environment variable {variable} holds no key: set it")
    if key is None:
        if needed:
            raise MissingKeyError(
                "Jina's API needs a key, and none is set: get one at https://jina.ai/embeddings, "
                "then set JINA_API_KEY or pass api_key; or run the model here with backend='local'"
            )
        return None
    text = key.get_secret_value()
    if not text.isascii() or not text.isprintable() or not text.strip() or " " in text.strip():
        raise MissingKeyError(
            f"the API key ({len(text)} characters) is empty or has characters that cannot be sent: "
            "copy it again"
        )
    return key
