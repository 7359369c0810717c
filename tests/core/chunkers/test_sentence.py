import dataclasses
import itertools

import pytest

from jina_integrations.chunkers import SentenceChunker
from jina_integrations.errors import InvalidSettingError


def cut(text, tokenizer, max_tokens, **settings):
    chunker = SentenceChunker(max_tokens, **settings)
    return [text[start:end] for start, end in chunker.spans(text, tokenizer)]


# Limits under which no two of the sentences fit together, counted by the tokenizer itself.
SENTENCES = {
    "English": ["Mr. Smith paid $3.50 in 2024.", "He left early that day!", "Is e.g. tea nice?"],
    "German": ["Die Straße ist gesperrt.", "Das kostet 3,50 Euro.", "Wer bezahlt das?"],
    "Chinese": ["今天天气很好。", "我们去公园散步！", "你来不来呢？"],
    "Japanese": ["今日は晴れです。", "公園へ行きました。", "楽しかったですか？"],
    "Arabic": ["ذهب الولد إلى المدرسة.", "هل عاد مبكرا؟", "عاد في المساء."],
    "Hindi": ["यह एक वाक्य है।", "यह दूसरा वाक्य है।"],
    "emoji": ["The family 👨‍👩‍👧‍👦 is home!", "Flags 🇩🇪🇫🇷 wave outside.", "A thumb 👍🏽 goes up."],
}


@pytest.mark.parametrize("language", SENTENCES)
def test_one_sentence_each_where_two_do_not_fit(minilm, language):
    sentences = SENTENCES[language]
    text = ("" if language in ("Chinese", "Japanese") else " ").join(sentences)
    limit = max(map(minilm.count, sentences)) + minilm.overhead
    pairs = itertools.pairwise(sentences)
    assert all(minilm.count(a + b) + minilm.overhead > limit for a, b in pairs)
    assert cut(text, minilm, limit) == sentences


def test_as_many_whole_sentences_as_fit(minilm):
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve. Thirteen."
    assert cut(text, minilm, 10) == [
        "One two three. Four five six.",
        "Seven eight nine. Ten eleven twelve.",
        "Thirteen.",
    ]


def test_overlap_repeats_whole_sentences(minilm):
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    assert cut(text, minilm, 14, overlap_sentences=1) == [
        "One two three. Four five six. Seven eight nine.",
        "Seven eight nine. Ten eleven twelve.",
    ]
    assert cut(text, minilm, 14, overlap_sentences=2) == [
        "One two three. Four five six. Seven eight nine.",
        "Four five six. Seven eight nine. Ten eleven twelve.",
    ]


def test_overlap_is_left_out_where_it_does_not_fit(minilm):
    long = "Four five six seven eight nine ten eleven twelve thirteen."
    assert cut(f"One two three. {long} One.", minilm, 15, overlap_sentences=1) == [
        "One two three.",
        f"{long} One.",
    ]


def test_blank_lines_end_sentences_and_wrapped_lines_do_not(minilm):
    text = "a title without a stop\r\n\r\nThis sentence is\r\nwrapped over lines. It ends."
    assert cut(text, minilm, 9) == [
        "a title without a stop",
        "This sentence is\r\nwrapped over lines.",
        "It ends.",
    ]


def test_one_crlf_is_no_blank_line(minilm):
    text = "It rains. One line\r\nthat is wrapped."
    assert cut(text, minilm, 8) == ["It rains.", "One line\r\nthat is wrapped."]


def test_long_sentence_is_cut_at_lines_then_words(minilm):
    assert cut("one two\nthree four\nfive six", minilm, 6) == ["one two\nthree four", "five six"]
    assert cut("one, two, three, four", minilm, 6) == ["one, two,", "three, four"]


def test_rest_of_a_long_sentence_is_filled_up(minilm):
    assert cut("one two three four five six. Seven. Eight.", minilm, 7) == [
        "one two three four five",
        "six. Seven.",
        "Eight.",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["กิน", "ข้าว", "แล้ว", "ครับ", "ไป", "บ้าน"],
        ["我们", "今天", "去", "公园", "散步"],
        ["公園", "で", "友達", "と", "散歩", "する"],
    ],
)
def test_a_long_sentence_without_spaces_is_cut_between_dictionary_words(byte_level, words):
    limit = max(map(byte_level.count, words)) + byte_level.overhead
    chunks = cut("".join(words), byte_level, limit)
    assert len(chunks) > 2
    ends = {"".join(words[: index + 1]) for index in range(len(words))}
    assert {"".join(chunks[: index + 1]) for index in range(len(chunks))} <= ends


def test_a_url_longer_than_a_chunk_is_cut_inside(minilm, check):
    text = "https://example.org/" + "abcdefghij" * 9
    spans = SentenceChunker(12).spans(text, minilm)
    assert len(spans) > 1
    check(text, spans, minilm, 12)


def test_counts_with_utf16_offsets_beyond_the_basic_plane(minilm):
    text = "𝔄𝔅ℭ 😀😀😀 stop. Next one. 😀 Last one."
    assert cut(text, minilm, 8)[-2:] == ["Next one.", "😀 Last one."]


def test_settings():
    chunker = SentenceChunker(128, overlap_sentences=2)
    assert chunker.to_dict() == {"chunker": "sentence", "max_tokens": 128, "overlap_sentences": 2}
    assert SentenceChunker() == SentenceChunker(256, overlap_sentences=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        chunker.max_tokens = 1
    with pytest.raises(TypeError):
        SentenceChunker(128, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_tokens": 0}, "max_tokens=0: must be from 1"),
        ({"max_tokens": True}, "max_tokens must be an int, not True"),
        ({"max_tokens": 2.5}, "max_tokens must be an int, not 2.5"),
        ({"overlap_sentences": -1}, "overlap_sentences=-1: must be from 0"),
        ({"overlap_sentences": False}, "overlap_sentences must be an int, not False"),
        ({"max_tokens": 8, "overlap_sentences": 8}, "overlap_sentences=8 must be smaller than"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InvalidSettingError, match=message):
        SentenceChunker(**settings)
