"""The server as a process: its socket, its signals, its end."""

from __future__ import annotations

import errno
import math
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from ..errors import InvalidSettingError
from .app import create_app
from .settings import ServerSettings

__all__ = ["run"]

_BACKLOG: Final = 2048
_KEEP_ALIVE_S: Final = 75
_GRACE_S: Final = 10


class _Server(uvicorn.Server):
    """Tells when it takes requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def run(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, see `server.serve`."""
    listener = _bind(settings)
    with listener:
        config = uvicorn.Config(
            create_app(settings),
            access_log=False,
            log_level="warning",
            server_header=False,
            # Addresses are what the rate limit tells clients apart by.
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(settings.request_timeout_s) + _GRACE_S,
            backlog=_BACKLOG,
        )
        url = _url(settings.host, listener.getsockname()[1])
        # uvicorn stops at the signal, then raises it once more for whoever handled it before.
        signal.signal(signal.SIGTERM, _ignore)
        try:
            _Server(config, lambda: on_ready(url)).run([listener])
        except OSError as exc:
            raise _unusable(settings, exc) from exc


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    pass


def _bind(settings: ServerSettings) -> socket.socket:
    """A socket at the address, taken before the model is loaded, which may be long."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as exc:
        raise _unusable(settings, exc) from exc
    return listener


def _unusable(settings: ServerSettings, exc: OSError) -> InvalidSettingError:
    where = f"{settings.host} port {settings.port}"
    if exc.errno == errno.EADDRINUSE:
        return InvalidSettingError(f"{where} is taken: stop what listens there, or choose --port")
    return InvalidSettingError(f"cannot listen at {where}: {exc.strerror or exc}")


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/v1"
