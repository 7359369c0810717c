"""Tiny random-weight models of the real architectures, saved as folders with the real classes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoConfig, AutoModel, PreTrainedModel, PreTrainedTokenizerFast

CORPUS = [
    "Berlin is the capital of Germany. It has 3.8 million inhabitants and lies on the Spree.",
    "Die Stadt wurde 1237 zum ersten Mal erwähnt; seit 1990 ist sie wieder Hauptstadt.",
    "柏林是德国的首都。它有三百八十万居民，位于施普雷河畔。",
    "ベルリンはドイツの首都であり、人口は三百八十万人です。",
    "برلين هي عاصمة ألمانيا وأكبر مدنها من حيث عدد السكان.",
    "Represent the document for retrieval: Represent the query for retrieving evidence documents: ",
    "def encode(self, text: str) -> list[int]: return self.tokenizer(text)['input_ids']  # 0x1F",
] * 3


def save_tokenizer(folder: Path, *, kind: str = "unigram", max_length: int = 8192) -> None:
    """A small trained tokenizer with start and end tokens: unigram, wordpiece or bytes."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer: object = trainers.UnigramTrainer(
            vocab_size=400, special_tokens=specials, unk_token="<unk>", show_progress=False
        )
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=400, special_tokens=specials, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=max_length,
    ).save_pretrained(folder)


def save_model(
    folder: Path,
    model_type: str,
    *,
    kind: str = "unigram",
    max_length: int = 8192,
    **config: object,
) -> Path:
    """A random model of the architecture with its tokenizer, in plain transformers layout."""
    sizes: dict[str, object] = {
        "vocab_size": 400,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 130,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    torch.manual_seed(sum(map(ord, model_type)))
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **(sizes | config)))
    shake(model)
    model.save_pretrained(folder)
    save_tokenizer(folder, kind=kind, max_length=max_length)
    return folder


def shake(model: PreTrainedModel) -> None:
    """Weights large enough for every mistake to show."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)


def save_jina_v3(folder: Path) -> Path:
    """A tiny jina-embeddings-v3 with its five LoRA adapters, in the hub's folder layout."""
    from peft import LoraConfig, get_peft_model

    save_model(folder, "jina_embeddings_v3", max_position_embeddings=514, hidden_size=64)
    names = ["retrieval_query", "retrieval_passage", "separation", "classification"]
    for name in [*names, "text_matching"]:
        base = AutoModel.from_pretrained(folder)
        lora = LoraConfig(
            r=4, lora_alpha=1, lora_dropout=0.0, target_modules=["q_proj", "v_proj", "fc1", "fc2"]
        )
        adapted = get_peft_model(base, lora, adapter_name=name)
        torch.manual_seed(sum(map(ord, name)))
        with torch.no_grad():
            for key, parameter in adapted.named_parameters():
                if "lora_" in key:
                    parameter.normal_(std=0.8)
        adapted.save_pretrained(folder)  # writes into a folder named after the adapter
    return folder


def sentence_transformers_layout(
    folder: Path,
    *,
    pooling: str | dict[str, object] = "mean",
    normalize: bool = True,
    max_seq_length: int | None = None,
    prompts: dict[str, str] | None = None,
    extra_module: str | None = None,
) -> Path:
    """Add what sentence-transformers writes beside a transformers model."""
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules += [("2_Normalize", "Normalize")] if normalize else []
    modules += [(f"3_{extra_module}", extra_module)] if extra_module else []
    entries = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{name}"}
        for at, (path, name) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "1_Pooling").mkdir()
    dimension = json.loads((folder / "config.json").read_text())["hidden_size"]
    options = pooling if isinstance(pooling, dict) else {f"pooling_mode_{pooling}": True}
    if isinstance(pooling, str):
        names = {
            "mean": "mean_tokens",
            "cls": "cls_token",
            "last": "lasttoken",
            "max": "max_tokens",
        }
        options = {f"pooling_mode_{name}": key == pooling for key, name in names.items()}
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": dimension, **options})
    )
    if max_seq_length:
        (folder / "sentence_bert_config.json").write_text(
            json.dumps({"max_seq_length": max_seq_length, "do_lower_case": False})
        )
    if prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(
            json.dumps({"prompts": prompts, "default_prompt_name": None})
        )
    return folder
