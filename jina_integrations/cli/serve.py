"""The command ``serve``: a model on this machine behind Jina's own protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from .options import embedder_options, make_settings
from .outcome import reported, say

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ..settings import EmbedderSettings

__all__ = ["serve_command"]

_MEBIBYTE = 2**20


@embedder_options(
    only=("model", "revision", "engine", "device", "precision", "context_weight", "batch_tokens")
)
def serve_command(
    settings: Mapping[str, object],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="JINA_SERVER_API_KEY",
            help="What clients must send; better set in the environment.",
            show_default=False,
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without a key.")
    ] = False,
    model_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name that requests may use; repeatable."),
    ] = None,
    default_task: Annotated[
        str, typer.Option(help="Task for requests that name none.")
    ] = "passage",
    max_inputs: Annotated[int, typer.Option(help="Inputs of one request, up to 2048.")] = 512,
    queue_tokens: Annotated[
        int, typer.Option(help="Tokens that may wait; beyond them, 503.")
    ] = 1_000_000,
    request_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time limit for a request, waiting included.")
    ] = 120.0,
    max_body_mb: Annotated[int, typer.Option(min=1, help="Size of one request in MiB.")] = 32,
    rate_limit: Annotated[
        str | None,
        typer.Option(
            metavar="RPM,TPM",
            help="Requests and tokens a minute of one client.",
            show_default=False,
        ),
    ] = None,
    allow_image_urls: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Fetch pictures from this host; repeatable."),
    ] = None,
) -> None:
    """Serve a model by Jina's API.

    Clients send POST /v1/embeddings.

    Exit codes: 0 stopped by SIGTERM, 2 wrong usage or refused, 130 stopped by Ctrl-C.
    """
    with reported():
        from ..server import RateLimit, ServerSettings, serve

        server = ServerSettings(
            embedder=make_settings(settings, backend="local"),
            host=host,
            port=port,
            api_key=_secret(api_key),
            insecure=insecure,
            model_names=tuple(model_name or ()),
            default_task=default_task,  # type: ignore[arg-type]  # checked there
            max_inputs=max_inputs,
            queue_tokens=queue_tokens,
            max_body_bytes=max_body_mb * _MEBIBYTE,
            request_timeout_s=request_timeout,
            rate_limit=None if rate_limit is None else RateLimit.parse(rate_limit),
            image_hosts=frozenset(allow_image_urls or ()),
        )
        serve(server, lambda url: say(f"{_served(server.embedder)} is served at {url}"))


def _served(settings: EmbedderSettings) -> str:
    """The model, and what runs it: ``minilm (onnx, cpu, float32)``."""
    from ..embedding.embedder import Embedder

    info = Embedder.from_dict(settings.to_dict()).info()
    if info.engine is None:  # echo
        return settings.model
    return f"{settings.model} ({info.engine}, {info.device}, {info.precision})"


def _secret(key: str | None) -> SecretStr | None:
    if key is None:
        return None
    from pydantic import SecretStr

    return SecretStr(key)
