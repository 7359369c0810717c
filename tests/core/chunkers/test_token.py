import itertools

import pytest

from jina_integrations.chunkers import TokenChunker
from jina_integrations.errors import InvalidSettingError

WORDS = "one two three four five six seven eight nine ten"


def cut(text, tokenizer, max_tokens, **settings):
    chunker = TokenChunker(max_tokens, **settings)
    return [text[start:end] for start, end in chunker.spans(text, tokenizer)]


def test_windows_of_tokens(minilm):
    assert cut(WORDS, minilm, 6) == ["one two three four", "five six seven eight", "nine ten"]


def test_windows_share_tokens(minilm):
    assert cut(WORDS, minilm, 6, overlap_tokens=1) == [
        "one two three four",
        "four five six seven",
        "seven eight nine ten",
    ]
    assert len(cut(WORDS, minilm, 6, overlap_tokens=3)) == 7


def test_no_token_is_shared_unless_asked_for(byte_level):
    spans = TokenChunker(16).spans(" a  b c" * 40, byte_level)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_windows_are_full(minilm, texts):
    text = " ".join([texts["English"], texts["German"]] * 5)
    counts = [minilm.count(chunk) for chunk in cut(text, minilm, 32)]
    assert min(counts[:-1]) >= 28


def test_bytes_of_an_emoji_stay_together(byte_level):
    chunks = cut("👨‍👩‍👧‍👦👍🏽🇩🇪é" * 3, byte_level, 40)
    assert "".join(chunks) == "👨‍👩‍👧‍👦👍🏽🇩🇪é" * 3
    assert all(not chunk.startswith(("\u200d", "🏽", "\u0301", "🇪")) for chunk in chunks)


def test_dropped_characters_are_covered(minilm):
    text = "\u200bone\x01two \ufeff\x01 three\u200b"
    assert minilm.offsets(text)[0, 0] == 1
    assert "".join(cut(text, minilm, 3)).replace(" ", "") == text.replace(" ", "")


def test_settings(minilm):
    chunker = TokenChunker(128, overlap_tokens=16)
    assert chunker.to_dict() == {"chunker": "token", "max_tokens": 128, "overlap_tokens": 16}
    for settings in (
        {"max_tokens": 0},
        {"max_tokens": "9"},
        {"max_tokens": 9, "overlap_tokens": 9},
    ):
        with pytest.raises(InvalidSettingError):
            TokenChunker(**settings)
    with pytest.raises(InvalidSettingError, match="overlap_tokens=6 must be smaller than 6"):
        TokenChunker(8, overlap_tokens=6).spans(WORDS, minilm)
