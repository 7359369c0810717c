"""What mkdocs asks of us while it builds the documentation, see ``hooks`` in ``mkdocs.yml``."""

from __future__ import annotations

import re

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig

TARGET = re.compile(r"^\[([^\]]+)\]: (?:\.\./)+(\S+)\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)[^)]*\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links that leave ``docs/``, which work in a checkout, as the names of what they lead to."""
    targets = dict(TARGET.findall(markdown))
    text = TARGET.sub("", markdown)
    for name, path in targets.items():
        text = re.sub(rf"\[([^\]]+)\]\[{re.escape(name)}\]", rf"`\1` in `{path}`", text)
    return LINK.sub(r"\1 (`\2`)", text)


class LiteralBlocks(Extension):
    """The lone ``::`` of our docstrings, which Markdown does not know."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Markdown's own name
        """Register the step, before Markdown looks for blocks."""
        md.preprocessors.register(_WithoutLoneColons(md), "lone_colons", 100)


class _WithoutLoneColons(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return ["" if line == "::" else line for line in lines]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Docstrings and pages are Markdown with `LiteralBlocks`."""
    config["markdown_extensions"].append(LiteralBlocks())
    return config
