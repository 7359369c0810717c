"""The drawings of the documentation, each once for light and once for dark pages.

    python scripts/drawings.py

They are written to docs/pictures. The windows are those that the local backend plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jina_integrations.backends.local.late_chunking import window_ranges

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH = 860
TOKEN = 22
"""Pixels from one token to the next."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one drawing: text, lines, the model's boxes, and one for each chunk."""

    text: str
    line: str
    box: str
    chunks: tuple[str, str, str]


PALETTES = {
    "light": Palette("#263238", "#78909c", "#eceff1", ("#00897b", "#e8702a", "#7e57c2")),
    "dark": Palette("#e4e6ee", "#90a4ae", "#2f3440", ("#4db6ac", "#ffab73", "#b39ddb")),
}


class Drawing:
    """An SVG picture of shapes and words."""

    def __init__(self, palette: Palette, height: int, title: str) -> None:
        self.palette = palette
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="system-ui, sans-serif" font-size="14" role="img">',
            f"<title>{title}</title>",
        ]

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, *, line: str = "none"
    ) -> None:
        """A box with rounded corners."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" '
            f'fill="{fill}" stroke="{line}"/>'
        )

    def words(self, x: float, y: float, words: str, *, anchor: str = "middle") -> None:
        """A line of text whose baseline is at `y`."""
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{self.palette.text}">'
            f"{words}</text>"
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A line that ends in a point, downwards."""
        line = self.palette.line
        self._parts.append(
            f'<path d="M{x:g} {y:g}L{to_x:g} {to_y - 5:g}" stroke="{line}" fill="none"/>'
            f'<path d="M{to_x - 4:g} {to_y - 6:g}h8l-4 6z" fill="{line}"/>'
        )

    def tokens(self, x: float, y: float, colours: list[tuple[str, ...]]) -> None:
        """Tokens in a row; one of two colours is split between them."""
        side = TOKEN - 3
        for column, token_colours in enumerate(colours):
            for row, colour in enumerate(token_colours):
                self.rect(
                    x + column * TOKEN,
                    y + row * side / len(token_colours),
                    side,
                    side / len(token_colours) - 0.5,
                    colour,
                )

    def vector(self, x: float, y: float, colour: str) -> None:
        """A vector of a chunk, centred at `x`."""
        for column in range(4):
            self.rect(x - 34 + column * 17, y, 16, 16, colour)

    def save(self, name: str) -> None:
        """Write it."""
        path = FOLDER / f"{name}.svg"
        path.write_text("\n".join([*self._parts, "</svg>", ""]), encoding="utf-8")


def alone_and_late(palette: Palette) -> Drawing:
    """The same three chunks, embedded alone and late-chunked."""
    picture = Drawing(palette, 250, "Three chunks, each embedded alone, and late-chunked")
    per_chunk = 6
    colours = [(colour,) for colour in palette.chunks for _ in range(per_chunk)]
    wide = per_chunk * TOKEN
    for left, late in ((0, False), (WIDTH - 18 * TOKEN, True)):
        middle = left + 9 * TOKEN
        picture.words(middle, 18, "Late chunking" if late else "Each chunk alone")
        picture.tokens(left, 34, colours)
        boxes = (
            [(left, 18 * TOKEN)] if late else [(left + column * wide, wide) for column in range(3)]
        )
        for x, width in boxes:
            picture.arrow(x + width / 2, 58, x + width / 2, 76)
            picture.rect(x, 78, width - 3, 36, palette.box, line=palette.line)
            words = "the model reads the whole document" if late else "the model"
            picture.words(x + width / 2, 101, words)
            picture.arrow(x + width / 2, 118, x + width / 2, 136)
        picture.tokens(left, 140, colours)
        for column, colour in enumerate(palette.chunks):
            x = left + (column + 0.5) * wide
            picture.words(x, 181, "mean")
            picture.arrow(x, 187, x, 205)
            picture.vector(x, 208, colour)
        picture.words(middle, 244, "each knows the others" if late else "each knows itself only")
    return picture


def windows(palette: Palette) -> Drawing:
    """A document of 30 tokens through windows of 14 that share 6."""
    tokens, window, overlap = 30, 14, 6
    chunks = ((0, 9), (9, 19), (19, 30))
    picture = Drawing(palette, 330, "A long document in overlapping windows")
    left = WIDTH - tokens * TOKEN

    def label(y: float, words: str) -> None:
        picture.words(left - 14, y, words, anchor="end")

    owners = [palette.chunks[chunk] for chunk, (a, b) in enumerate(chunks) for _ in range(a, b)]
    label(34, "the document's tokens")
    picture.tokens(left, 20, [(colour,) for colour in owners])
    covered = [0] * tokens
    y = 60
    for number, (start, end) in enumerate(window_ranges(tokens, window, overlap), start=1):
        label(y + 17, f"window {number}")
        picture.rect(
            left + start * TOKEN - 3,
            y,
            (end - start) * TOKEN + 3,
            25,
            palette.box,
            line=palette.line,
        )
        picture.tokens(left + start * TOKEN, y + 3, [(owner,) for owner in owners[start:end]])
        for column in range(start, end):
            covered[column] += 1
        y += 34
    label(y + 24, "merged: in two windows,")
    label(y + 40, "the mean of both")
    picture.tokens(left, y + 18, [(owner,) * n for owner, n in zip(owners, covered, strict=True)])
    for colour, (start, end) in zip(palette.chunks, chunks, strict=True):
        x = left + (start + end) / 2 * TOKEN
        picture.words(x, y + 64, "mean of the span")
        picture.arrow(x, y + 70, x, y + 90)
        picture.vector(x, y + 94, colour)
    label(y + 107, "one vector a chunk")
    return picture


def house(palette: Palette) -> Drawing:
    """Who imports whom: what stands higher imports what it points to."""
    title = "Programs and adapters import the core, and the core its backends"
    picture = Drawing(palette, 380, title)
    teal, orange, violet = palette.chunks

    def box(x: float, y: float, width: float, name: str, below: str, line: str) -> None:
        picture.rect(x, y, width, 46 if below else 30, palette.box, line=line)
        picture.words(x + width / 2, y + 20, name)
        if below:
            picture.words(x + width / 2, y + 38, below)

    box(1, 32, 180, "your program", "or the command line", palette.line)
    picture.arrow(91, 82, 91, 118)
    picture.rect(211, 1, WIDTH - 212, 88, "none", line=orange)
    picture.words(534, 21, "jina_adapters")
    adapters = {
        "langchain": "langchain-core",
        "llama_index": "llama-index-core",
        "qdrant": "qdrant-client",
        "chroma": "chromadb",
    }
    for column, (name, library) in enumerate(adapters.items()):
        x = 223 + column * 158
        box(x, 32, 150, name, f"on {library}", orange)
        picture.arrow(x + 75, 91, x + 75, 118)
    picture.rect(1, 120, WIDTH - 2, 130, "none", line=teal)
    picture.words(WIDTH / 2, 142, "jina_integrations")
    rows = (
        ("cli", "server", "evaluation", "Collection"),
        ("Embedder", "readers, chunkers", "ingestion", "stores"),
    )
    for row, names in enumerate(rows):
        for column, name in enumerate(names):
            box(20 + column * 208, 156 + row * 46, 194, name, "", teal)
    for x, name, library in (
        (20, "backends.local", "on ONNX Runtime or torch"),
        (436, "backends.api", "on httpx2"),
    ):
        picture.arrow(x + 201, 254, x + 201, 292)
        box(x, 294, 402, name, library, violet)
    legend = "An arrow is an import. None points up, and none from one adapter to another."
    picture.words(WIDTH / 2, 368, legend)
    return picture


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(exist_ok=True)
    for scheme, palette in PALETTES.items():
        alone_and_late(palette).save(f"late_chunking-{scheme}")
        house(palette).save(f"house-{scheme}")
        windows(palette).save(f"windows-{scheme}")


if __name__ == "__main__":
    main()
