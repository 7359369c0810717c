import json
import pickle
import subprocess
import sys

import pytest

from jina_integrations import chunkers
from jina_integrations.chunkers import (
    MarkdownChunker,
    SentenceChunker,
    TokenChunker,
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
    assert json.loads(json.dumps(chunker.to_dict())) == chunker.to_dict()


def test_every_setting_is_in_the_dict():
    assert len({json.dumps(parse_chunker(form).to_dict()) for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize(
    "setting",
    ["", "words", "Sentence", "sentence:", "sentence:a", "sentence:1:2:3", "sentence: 5",
     "token:+5", "token:1_0", "token:٥", "markdown:5:1", "span", ":256", "sentence:-1",
     "sentence:25.6"],
)  # fmt: skip
def test_other_forms_are_refused(setting):
    with pytest.raises(InvalidSettingError, match=r"the forms are .*sentence:256:1"):
        parse_chunker(setting)


def test_a_bad_number_is_named():
    with pytest.raises(InvalidSettingError, match="max_tokens=0"):
        parse_chunker("token:0")


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
