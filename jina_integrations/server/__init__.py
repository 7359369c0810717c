"""A server that speaks Jina's ``/v1/embeddings`` from a model on this machine.

The extra ``server`` brings what it needs; importing this loads none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import MissingExtraError
from .settings import RateLimit, ServerSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["RateLimit", "ServerSettings", "create_app", "serve"]

_LIBRARIES = frozenset({"fastapi", "prometheus_client", "starlette", "uvicorn"})


def create_app(settings: ServerSettings) -> FastAPI:
    """The server as an ASGI application, its model loaded.

    Raises:
        MissingExtraError: fastapi or prometheus-client is not installed.
        ModelError: the model cannot be loaded, or lacks the default task.
    """
    try:
        from .app import create_app as create
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    return create(settings)


def serve(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted until then is finished.

    Args:
        settings: What to serve, and where.
        on_ready: Called with the base URL once requests are taken.

    Raises:
        InvalidSettingError: the host is unknown, or the port is taken.
        MissingExtraError: fastapi, uvicorn or prometheus-client is not installed.
        ModelError: the model cannot be loaded, or lacks the default task.
    """
    try:
        from .run import run
    except ModuleNotFoundError as exc:
        raise _missing(exc) from exc
    run(settings, on_ready)


def _missing(exc: ModuleNotFoundError) -> ModuleNotFoundError | MissingExtraError:
    is_missing = (exc.name or "").partition(".")[0] in _LIBRARIES
    return MissingExtraError("the server", "server") if is_missing else exc
