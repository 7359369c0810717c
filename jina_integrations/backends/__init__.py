"""One module or package for each way to get vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings import EmbedderSettings
from .base import Backend

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["Backend", "make_backend"]


def make_backend(settings: EmbedderSettings, key: SecretStr | None) -> Backend:
    """The backend that the settings ask for; nothing is loaded yet.

    ``"auto"`` is the API where a base URL or the variable of a key is given, or a key is set and
    Jina serves the model.
    """
    if _asks_api(settings, key):
        from .api import ApiBackend

        return ApiBackend(settings, key)
    if settings.model == "echo":
        from .echo import EchoBackend

        return EchoBackend(settings)
    from .local import LocalBackend

    return LocalBackend(settings)


def _asks_api(settings: EmbedderSettings, key: SecretStr | None) -> bool:
    if settings.backend != "auto":
        return settings.backend == "api"
    if settings.base_url is not None or (settings.api and settings.api.api_key_env_var):
        return True
    from ..schemes import SERVICE_SCHEMES

    scheme = SERVICE_SCHEMES.get(settings.model)
    if scheme is None or not scheme.hosted:
        return False
    from .keys import environment_key

    return key is not None or environment_key() is not None
