"""The table of docs/comparison.md: our tests exist, and their lines say what is quoted."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"
TEXT = PAGE.read_text(encoding="utf-8")
TARGETS = dict(re.findall(r"^\[(\w+)\]: (\S+)$", TEXT, re.MULTILINE))
QUOTES = re.findall(r"\[`([^`]+)`\]\[(\w+)\]", TEXT)
TESTS = re.findall(r"\[(test_\w+)\]\[(\w+)\]", TEXT)
MODULES = {
    "langchain_community/embeddings/jina.py": "langchain_community.embeddings.jina",
    "llama_index/embeddings/jinaai/base.py": "llama_index.embeddings.jinaai.base",
    "chromadb/utils/embedding_functions/jina_embedding_function.py": (
        "chromadb.utils.embedding_functions.jina_embedding_function"
    ),
}


def test_every_name_of_a_target_is_used_and_defined():
    assert {name for _, name in QUOTES + TESTS} == set(TARGETS)


@pytest.mark.parametrize(("name", "target"), sorted(set(TESTS)))
def test_a_test_that_is_named_exists(name, target):
    source = (PAGE.parent / TARGETS[target]).read_text(encoding="utf-8")
    assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE)


@pytest.mark.parametrize(("code", "target"), sorted(set(QUOTES)))
def test_a_line_of_theirs_says_what_is_quoted(code, target):
    url, line = TARGETS[target].split("#L")
    (module,) = (module for path, module in MODULES.items() if url.endswith(path))
    pytest.importorskip(module.split(".")[0])
    found = find_spec(module)
    if found is None:
        pytest.skip(f"{module} is not installed")
    assert code in Path(found.origin).read_text(encoding="utf-8").splitlines()[int(line) - 1]
