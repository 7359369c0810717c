"""Settings of an HTTP API."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from .base import Count, Name, Seconds, Setting, Settings

__all__ = ["ApiSettings", "Transport"]

Transport: TypeAlias = Literal["base64", "float"]


class ApiSettings(Settings):
    """How an HTTP API is reached.

    Limits hold for a key within this process: embedders with the same key and base URL share
    them, and the strictest counts. The defaults are what Jina publishes for a free key; set those
    of your own plan. None means no limit.

    Attributes:
        requests_per_minute: Requests sent a minute.
        tokens_per_minute: Tokens sent a minute.
        concurrent_requests: Requests under way at a time.
        request_inputs: Inputs of one request at most, 1 to 2,048. Through late chunking it also
            bounds how many pieces of a document are encoded together.
        request_tokens: Tokens of one request at most; a single longer input still goes alone.
            Also no more than a hundredth of `tokens_per_minute`, but for at least 1,000.
        max_retries: How often a request is sent again, at most.
        connect_timeout_s: Seconds for a connection.
        read_timeout_s: Seconds for a whole answer, body included.
        total_timeout_s: Seconds from a request's first sending to its end, with all retries and
            the waits between them.
        transport: How vectors travel; ``"float"`` for servers that know no base64.
        tokenizer: Hub id, folder, or ``tokenizer.json`` of the model's tokenizer, so that texts
            are counted and chunks cut exactly; None estimates, and errs on the long side.
        api_key_env_var: The environment variable that holds the key, and the only one that is
            read; None reads ``JINA_API_KEY``, then ``JINAAI_API_KEY``.

    Raises:
        InvalidSettingError: a value is out of range.
    """

    requests_per_minute: Annotated[
        int | None,
        Field(ge=1, description="Requests a minute that your API key allows."),
        Setting("speed"),
    ] = 500
    tokens_per_minute: Annotated[
        int | None,
        Field(ge=1, description="Tokens a minute that your API key allows."),
        Setting("speed"),
    ] = 1_000_000
    concurrent_requests: Annotated[int, Field(ge=1, le=1000), Setting("speed", option=False)] = 4
    request_inputs: Annotated[int, Field(ge=1, le=2048), Setting("document", option=False)] = 512
    request_tokens: Annotated[Count, Setting("speed", option=False)] = 20_000
    max_retries: Annotated[int, Field(ge=0), Setting("speed", option=False)] = 6
    connect_timeout_s: Annotated[Seconds, Setting("speed", option=False)] = 10.0
    read_timeout_s: Annotated[Seconds, Setting("speed", option=False)] = 60.0
    total_timeout_s: Annotated[
        Seconds,
        Field(description="Seconds to keep trying while the API does not answer."),
        Setting("speed"),
    ] = 300.0
    transport: Annotated[Transport, Setting("speed", option=False)] = "base64"
    tokenizer: Annotated[
        Name | None,
        Field(description="The model's tokenizer, so that chunks are cut exactly: hub id or path."),
        Setting("cut"),
    ] = None
    api_key_env_var: Annotated[
        Name | None,
        Field(description="The environment variable that holds the key, and no other is read."),
        Setting("place"),
    ] = None
