"""The shared base of framework classes: every setting is a field, and the key is nowhere."""

import inspect
import pickle
from dataclasses import MISSING, fields

import pydantic
import pytest

from jina_integrations import ApiSettings, Embedder
from jina_integrations.errors import InvalidSettingError, MissingKeyError
from jina_integrations.framework import EmbedderFields
from jina_integrations.settings import EmbedderOptions, EmbedderSettings

SETTINGS = {field.name: field.default for field in fields(EmbedderSettings)}


def test_the_lists_of_settings_agree():
    own = {
        name: MISSING if field.is_required() else field.default
        for name, field in EmbedderFields.model_fields.items()
    }
    parameters = inspect.signature(Embedder).parameters
    assert own == SETTINGS
    assert {*EmbedderOptions.__annotations__, "model"} == SETTINGS.keys()
    assert parameters.keys() - SETTINGS.keys() == {"api_key", "on_usage"}
    for name, default in SETTINGS.items():
        expected = inspect.Parameter.empty if default is MISSING else default
        assert parameters[name].default == expected, name


@pytest.fixture
def held():
    embedder = Embedder("echo", api_key="a-secret-key", dimensions=64, api=ApiSettings())
    return EmbedderFields(embedder)


def test_fields_are_the_embedders_settings(held):
    assert held.model_dump() == held.embedder.to_dict()
    assert held.api == ApiSettings()
    assert held == EmbedderFields(Embedder("echo", dimensions=64, api=ApiSettings()))
    assert held != EmbedderFields(Embedder("echo", dimensions=32, api=ApiSettings()))


def test_the_key_is_nowhere(held):
    assert "a-secret-key" not in repr(held) + str(held.model_dump()) + held.model_dump_json()
    assert b"a-secret-key" not in pickle.dumps(held)
    assert pickle.loads(pickle.dumps(held)) == held


def test_a_setting_cannot_drift_from_the_embedder(held):
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        held.dimensions = 32
    with pytest.raises(InvalidSettingError, match=r"\['dimensions'\].*construct a new"):
        held.model_copy(update={"dimensions": 32})
    assert held.model_copy() == held


def test_a_named_variable_is_the_only_one_that_is_read(monkeypatch):
    monkeypatch.setenv("JINA_API_KEY", "another")
    api = ApiSettings(api_key_env_var="TEAM_KEY")
    embedder = Embedder("jina-embeddings-v3", api=api)
    assert embedder.backend == "api"
    with pytest.raises(MissingKeyError, match="TEAM_KEY holds no key"):
        embedder.embed_queries(["Is there bread left?"])
