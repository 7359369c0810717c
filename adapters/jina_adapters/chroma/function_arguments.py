"""The arguments of chromadb's own ``JinaEmbeddingFunction``, in our terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from jina_integrations import ApiSettings
from jina_integrations.backends.keys import environment_key
from jina_integrations.errors import InvalidSettingError
from jina_integrations.framework import SymmetricTask, read_task, warn_once
from jina_integrations.schemes import SERVICE_SCHEMES
from jina_integrations.settings import EmbedderOptions

__all__ = ["choose_model", "choose_task", "with_key_variable"]

_THEIR_MODEL: Final = "jina-embeddings-v2-base-en"
_THEIR_VARIABLE: Final = "CHROMA_JINA_API_KEY"

_KEY: Final = re.compile(r"jina_\w{20,}")


def choose_model(model: str | None, model_name: str | None) -> str:
    """The model's name; theirs takes the key as its first argument.

    Raises:
        InvalidSettingError: both are given, or a key.
    """
    if model is not None and model_name is not None:
        raise InvalidSettingError("model and model_name are one setting: give one")
    name = model_name if model is None else model
    if isinstance(name, str) and _KEY.fullmatch(name):
        raise InvalidSettingError(
            "the first argument is the model, and this looks like a key of Jina's API: pass it as "
            "api_key=…"
        )
    return _THEIR_MODEL if name is None else name


def with_key_variable(
    options: EmbedderOptions, model: str, variable: str | None
) -> EmbedderOptions:
    """The options with the key's environment variable among the API settings.

    Raises:
        InvalidSettingError: the API settings name another one.
    """
    api = options.get("api")
    named = api.api_key_env_var if api is not None else None
    if None not in (variable, named) and variable != named:
        raise InvalidSettingError(
            f"api_key_env_var is {variable!r}, and {named!r} in api: give one of them"
        )
    if variable is None and named is None and _takes_theirs(options, model):
        variable = _THEIR_VARIABLE
    if variable is None:
        return options
    return {**options, "api": replace(api or ApiSettings(), api_key_env_var=variable)}


def _takes_theirs(options: EmbedderOptions, model: str) -> bool:
    scheme = SERVICE_SCHEMES.get(model)
    return (
        scheme is not None
        and scheme.hosted
        and options.get("backend") != "local"
        and options.get("base_url") is None
        and environment_key() is None
        and environment_key(_THEIR_VARIABLE) is not None
    )


def choose_task(task: str | None, query_config: Mapping[str, str] | None) -> SymmetricTask | None:
    """The task of both sides; None where documents are passages and questions are queries.

    Raises:
        InvalidSettingError: an unknown task, two that do not belong together, or another key.
    """
    other = sorted(set(query_config or {}) - {"task"})
    if other:
        raise InvalidSettingError(
            f"query_config has {other}: questions and documents differ in nothing but the task"
        )
    asked = (query_config or {}).get("task")
    documents = None if task is None else read_task(task)
    questions = documents if asked is None else read_task(asked)
    if documents in ("text-matching", "classification", "clustering"):
        if questions != documents:
            raise _apart(task, asked)
        return documents
    if questions not in (None, "query", "passage"):
        raise _apart(task, asked)
    if documents == "query" or questions == "passage":
        warn_once(
            f"task={task!r} with query_config={query_config!r} would give documents and questions "
            "the same kind of vector. Documents are embedded as passages here, and questions as "
            "queries: leave both arguments out",
            stacklevel=4,
        )
    return None


def _apart(task: str | None, asked: str | None) -> InvalidSettingError:
    return InvalidSettingError(
        f"task={task!r} for documents and {asked!r} for questions: their vectors do not belong "
        "together. Give both the same, or leave both out"
    )
