"""Options derive from the one declaration of the settings."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from jina_integrations.chunkers import SentenceChunker
from jina_integrations.chunkers.registry import parse_chunker
from jina_integrations.cli.cutting import chunks_command
from jina_integrations.cli.ingesting import ingest_command
from jina_integrations.cli.options import embedder_options, make_embedder, make_settings
from jina_integrations.cli.serve import serve_command
from jina_integrations.errors import InvalidSettingError
from jina_integrations.settings import ApiSettings, EmbedderSettings, Setting


def declared(settings) -> set[str]:
    return {
        name
        for name, field in settings.model_fields.items()
        if any(isinstance(item, Setting) and item.option for item in field.metadata)
    }


def parameters(command) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(command).parameters)


def test_ingest_has_every_setting_that_is_an_option() -> None:
    wanted = declared(EmbedderSettings) | declared(ApiSettings)
    options = parameters(ingest_command)

    assert wanted <= set(options)
    for name in declared(EmbedderSettings) - {"model"}:
        assert options[name].default == EmbedderSettings.model_fields[name].default
    assert options["model"].default == "minilm"
    assert {"trust_remote_code", "api", "max_retries"}.isdisjoint(options)


def test_every_option_has_a_description_of_its_own(call) -> None:
    for settings in (EmbedderSettings, ApiSettings):
        for name in declared(settings):
            assert settings.model_fields[name].description, name
    shown = " ".join(call("ingest", "--help").stdout.split())
    for text in ("--late-chunking / --no-late-chunking", "--total-timeout SECONDS"):
        assert text in shown
    assert "Requests a minute that your API key allows. [default: 500]" in shown


def test_commands_take_what_concerns_them() -> None:
    assert {"device", "batch_tokens", "precision", "late_chunking"}.isdisjoint(
        parameters(chunks_command)
    )
    assert {"base_url", "backend", "dimensions"}.isdisjoint(parameters(serve_command))
    assert "model" in parameters(serve_command)


def test_default_chunker_is_a_chunker_and_that_of_ingest_is_the_collections() -> None:
    assert parse_chunker(parameters(chunks_command)["chunker"].default) == SentenceChunker()
    assert parameters(ingest_command)["chunker"].default is None


def test_a_command_gets_the_values_as_settings() -> None:
    seen: list[object] = []

    @embedder_options(only=("model", "truncate"))
    def command(settings: dict[str, object], other: int = 1) -> None:
        seen.extend([settings, other])

    assert list(parameters(command)) == ["other", "model", "truncate"]
    command(model="echo", truncate=True, other=2)

    assert seen == [{"model": "echo", "truncate": True}, 2]


def test_settings_of_the_api_are_passed_on_only_where_given() -> None:
    nothing = {"model": "echo", "requests_per_minute": None, "total_timeout_s": None}

    assert make_settings(nothing).api is None
    assert make_settings({**nothing, "total_timeout_s": 5.0}).api == ApiSettings(
        total_timeout_s=5.0
    )
    with pytest.raises(InvalidSettingError, match="backend='local'"):
        make_settings({**nothing, "requests_per_minute": 3}, backend="local")


def test_model_folder_becomes_absolute(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "echo").mkdir()
    monkeypatch.chdir(tmp_path)

    assert make_embedder({"model": "model"}).settings.model == str(tmp_path / "model")
    assert make_embedder({"model": "org/name"}).settings.model == "org/name"
    assert make_embedder({"model": "minilm"}).settings.model == "minilm"


@pytest.mark.parametrize("name", ["x" * 300, "~nouser/x"])
def test_model_name_that_is_no_path(name: str) -> None:
    assert make_settings({"model": name}).model == name
