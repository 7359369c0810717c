"""Which backend an embedder gets: one of ours, or one that another distribution registers.

A distribution registers its backend as an entry point:

```toml
[project.entry-points."jina_integrations.backends"]
onnx = "my_package.backend:OnnxBackend"
```
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from ..models import MODEL_CARDS
from ..settings import EmbedderSettings
from .base import Backend

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["make_backend", "registered_backends"]

_GROUP: Final = "jina_integrations.backends"

_BUILT_IN: Final = MappingProxyType(
    {
        "api": ("api.backend", "ApiBackend"),
        "echo": ("echo", "EchoBackend"),
        "local": ("local.backend", "LocalBackend"),
    }
)
"""Name to module below this package, and class: found without a look at what is installed."""


def make_backend(settings: EmbedderSettings, key: SecretStr | None) -> Backend:
    """The backend that the settings ask for; nothing is loaded yet.

    ``"auto"`` is the API where a base URL or the variable of a key is given, or a key is set and
    Jina serves the model.
    """
    name = _choose(settings, key)
    if name in _BUILT_IN:
        module, class_name = _BUILT_IN[name]
        backend = getattr(import_module(f".{module}", __package__), class_name)
    else:
        backend = registered_backends()[name].load()
    return cast("type[Backend]", backend)(settings, key)


def registered_backends() -> dict[str, EntryPoint]:
    """The backends that other distributions have registered, by name."""
    return {entry.name: entry for entry in entry_points(group=_GROUP)}


def _choose(settings: EmbedderSettings, key: SecretStr | None) -> str:
    name = settings.backend
    if name == "auto":
        name = "api" if _asks_api(settings, key) else "local"
    return "echo" if name == "local" and settings.model == "echo" else name


def _asks_api(settings: EmbedderSettings, key: SecretStr | None) -> bool:
    if settings.base_url is not None or (settings.api and settings.api.api_key_env_var):
        return True
    card = MODEL_CARDS.get(settings.model)
    if card is None or card.service is None or not card.service.hosted:
        return False
    from .keys import environment_key

    return key is not None or environment_key() is not None
