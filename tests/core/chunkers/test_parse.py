import json
import pickle
import subprocess
import sys

import pytest

from jina_integrations import chunkers
from jina_integrations.chunkers import (
    MarkdownChunker,
    SentenceChunker,
    SpanChunker,
    TokenChunker,
    chunker_from_dict,
    parse_chunker,
)
from jina_integrations.errors import InvalidSettingError

FORMS = {
    "sentence": SentenceChunker(),
    "sentence:128": SentenceChunker(128),
    "sentence:128:1": SentenceChunker(128, overlap_sentences=1),
    "token": TokenChunker(),
    "token:128": TokenChunker(128),
    "token:128:16": TokenChunker(128, overlap_tokens=16),
    "markdown": MarkdownChunker(),
    "markdown:128": MarkdownChunker(128),
}


@pytest.mark.parametrize("setting", FORMS)
def test_every_form(setting):
    chunker = parse_chunker(setting)
    assert chunker == FORMS[setting]
    assert pickle.loads(pickle.dumps(chunker)) == chunker
    assert chunker_from_dict(json.loads(json.dumps(chunker.to_dict()))) == chunker


def test_every_setting_is_in_the_dict():
    assert len({json.dumps(parse_chunker(form).to_dict()) for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize(
    "setting",
    ["", "words", "Sentence", "sentence:", "sentence:a", "sentence:1:2:3", "sentence: 5",
     "token:+5", "token:1_0", "token:٥", "markdown:5:1", "span", ":256", "sentence:-1",
     "sentence:25.6", "token:" + "9" * 5000],
)  # fmt: skip
def test_other_forms_are_refused(setting):
    with pytest.raises(InvalidSettingError, match=r"the forms are .*sentence:256:1"):
        parse_chunker(setting)


@pytest.mark.parametrize("setting", [None, 5, b"sentence", ["sentence"]])
def test_what_is_no_text_is_refused(setting):
    with pytest.raises(InvalidSettingError, match=f"not {type(setting).__name__}"):
        parse_chunker(setting)


def test_a_bad_number_is_named():
    with pytest.raises(InvalidSettingError, match="max_tokens=0"):
        parse_chunker("token:0")
    with pytest.raises(InvalidSettingError, match="max_tokens=999999999999: must be from 1 to"):
        parse_chunker("token:999999999999")
    for size in (10**5000, -(10**5000)):
        with pytest.raises(InvalidSettingError, match="max_tokens=an integer of 16610 bits"):
            TokenChunker(size)


def test_what_is_left_out_of_the_dict_has_its_default():
    assert chunker_from_dict({"chunker": "token"}) == TokenChunker()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "must be a mapping, not NoneType"),
        ({}, "None names no chunker; those that can be rebuilt are sentence, token, markdown"),
        ({"chunker": "words"}, "'words' names no chunker"),
        ({"chunker": ["token"]}, "names no chunker"),
        ({"chunker": "token", "overlap": 1}, "TokenChunker has no setting 'overlap'; it has max_"),
        ({"chunker": "token", "max_tokens": "9"}, "max_tokens must be an int, not '9'"),
        (SpanChunker(str.split, name="mine").to_dict(), "SpanChunker 'mine' cannot be rebuilt"),
    ],
)
def test_other_dicts_are_refused(values, message):
    with pytest.raises(InvalidSettingError, match=message):
        chunker_from_dict(values)


def test_what_moves_borders_beside_the_settings():
    icu4py = pytest.importorskip("icu4py")
    markdown_it = pytest.importorskip("markdown_it")
    with_icu = {"version": 1, "icu": icu4py.icu_version}
    assert SentenceChunker().algorithm == TokenChunker(9).algorithm == with_icu
    minor = markdown_it.__version__.rpartition(".")[0]
    assert MarkdownChunker().algorithm == {**with_icu, "markdown-it-py": minor}
    assert SpanChunker(str.split, name="mine").algorithm == {"version": 1}
    assert json.loads(json.dumps(MarkdownChunker().algorithm)) == MarkdownChunker().algorithm


@pytest.mark.parametrize(
    ("library", "statement"),
    [
        ("icu4py", "SentenceChunker().algorithm"),
        ("icu4py", "SentenceChunker(16).spans('One. ' * 99, Words())"),
        ("icu4py", "TokenChunker(16).spans('One. ' * 99, Words())"),
        ("markdown_it", "MarkdownChunker().spans('One.', Words())"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(library, statement):
    code = f"""
import sys; sys.modules[{library!r}] = None
import re, numpy as np
from jina_integrations.chunkers import MarkdownChunker, SentenceChunker, TokenChunker
from jina_integrations.errors import MissingExtraError
class Words:
    overhead = 2
    def count(self, text): return len(self.offsets(text))
    def offsets(self, text):
        return np.array([m.span() for m in re.finditer(r"\\w+|\\S", text)]).reshape(-1, 2)
try:
    {statement}
except MissingExtraError as exc:
    print(exc)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "jina-integrations[chunkers]"' in done.stdout


def test_a_text_that_fits_whole_needs_no_icu(minilm, monkeypatch):
    def refuse(*args):
        raise AssertionError("a breaker was made")

    monkeypatch.setattr(chunkers.breaks, "_icu", refuse)
    for chunker in (SentenceChunker(), TokenChunker(), MarkdownChunker()):
        assert chunker.spans(" One. Two!\n", minilm) == [(1, 10)]


def test_public_names():
    assert all(hasattr(chunkers, name) for name in chunkers.__all__)


def test_import_is_light():
    heavy = "torch transformers tokenizers icu4py markdown_it"
    code = (
        "import sys, jina_integrations.chunkers; "
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
