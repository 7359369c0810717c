"""Settings of the server: plain values that are checked once."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self, get_args

from ..errors import InvalidSettingError
from ..settings import EmbedderSettings
from ..types import Task

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["RateLimit", "ServerSettings"]

_MOST_INPUTS: Final = 2048
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/@:\[\]]+)(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What one client may send within any 60 seconds.

    Attributes:
        requests: Requests.
        tokens: Tokens.

    Raises:
        InvalidSettingError: one of them is below 1.
    """

    requests: int
    tokens: int

    def __post_init__(self) -> None:
        _check(_is_count(self.requests), "rate limit's requests", self.requests, _COUNT)
        _check(_is_count(self.tokens), "rate limit's tokens", self.tokens, _COUNT)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``"REQUESTS,TOKENS"``, a minute each.

        Raises:
            InvalidSettingError: it is something else.
        """
        requests, _, tokens = text.partition(",")
        try:
            return cls(int(requests), int(tokens))
        except ValueError as exc:
            raise InvalidSettingError(
                f"rate limit must be REQUESTS,TOKENS a minute, such as 500,1000000, not {text!r}"
            ) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What is served, where, and to whom.

    Args:
        embedder: The model and how it runs here. Dimensions, normalisation and truncation are
            each request's own, and are refused here.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        api_key: What clients must send as ``Authorization: Bearer …``; None lets everybody in.
        insecure: Listen beyond this machine without a key.
        model_names: Names that requests may use for the model, beside its own.
        default_task: The task of requests that name none.
        max_inputs: Inputs of one request at most, 1 to 2,048.
        queue_tokens: Tokens that may wait or be under way at a time; more are refused with 503,
            and a single request that is larger with 400.
        max_body_bytes: Bytes of one request's body at most.
        request_timeout_s: Seconds from a request's first byte to its answer.
        rate_limit: What one client may send; None is no limit.
        image_hosts: Hosts that pictures are fetched from when a request names their URL:
            ``"host"`` for ports 80 and 443, ``"host:port"`` for another. Empty fetches nothing.

    Raises:
        InvalidSettingError: a value is out of range, or anybody could reach the server.
    """

    embedder: EmbedderSettings
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: SecretStr | None = field(default=None, repr=False)
    insecure: bool = False
    model_names: tuple[str, ...] = ()
    default_task: Task = "passage"
    max_inputs: int = 512
    queue_tokens: int = 1_000_000
    max_body_bytes: int = 32 * 2**20
    request_timeout_s: float = 120.0
    rate_limit: RateLimit | None = None
    image_hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedder", _local(self.embedder))
        object.__setattr__(self, "image_hosts", frozenset(map(str.lower, self.image_hosts)))
        port_valid = _is_count(self.port + 1) and self.port < 2**16
        _check(port_valid, "port", self.port, "0 to 65535")
        _check(
            self.default_task in get_args(Task),
            "default task",
            self.default_task,
            " or ".join(map(repr, get_args(Task))),
        )
        inputs_valid = _is_count(self.max_inputs) and self.max_inputs <= _MOST_INPUTS
        _check(inputs_valid, "max inputs", self.max_inputs, f"1 to {_MOST_INPUTS}")
        _check(_is_count(self.queue_tokens), "queue tokens", self.queue_tokens, _COUNT)
        _check(_is_count(self.max_body_bytes), "max body bytes", self.max_body_bytes, _COUNT)
        _check(
            0 < self.request_timeout_s < math.inf,
            "request timeout",
            self.request_timeout_s,
            "a number of seconds above 0",
        )
        for name in self.model_names:
            _check(name.strip(), "model name", name, "a name")
        for host in self.image_hosts:
            _check(_HOST.fullmatch(host), "image host", host, "a host such as 'images.example.com'")
        self._check_access()

    def _check_access(self) -> None:
        if self.api_key is not None:
            key = self.api_key.get_secret_value()
            if not (key.isascii() and key.isprintable() and key and " " not in key):
                raise InvalidSettingError(
                    f"the API key ({len(key)} characters) must be printable ASCII without spaces"
                )
        elif not self.insecure and not _is_loopback(self.host):
            raise InvalidSettingError(
                f"{self.host!r} can be reached from other machines, and no key is asked for: set "
                "JINA_SERVER_API_KEY or --api-key, or say --insecure"
            )


def _local(settings: EmbedderSettings) -> EmbedderSettings:
    """The same model, run on this machine."""
    if settings.backend == "api":
        raise InvalidSettingError("the server runs the model on this machine: not backend='api'")
    for name, default in (
        ("dimensions", None),
        ("normalize", None),
        ("truncate", False),
        ("long", "error"),
    ):
        if getattr(settings, name) != default:
            raise InvalidSettingError(
                f"{name} is not the server's to set: each request says what it wants"
            )
    return settings.replace(backend="local")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_COUNT: Final = "an int of at least 1"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check(valid: object, name: str, value: object, expected: str) -> None:
    if not valid:
        raise InvalidSettingError(f"{name} must be {expected}, not {value!r}")
