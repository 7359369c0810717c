"""A matplotlib figure as inline SVG that takes its colours and its font from the page."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from matplotlib.figure import Figure

__all__ = ["COLOURS", "Plot", "inline_svg", "plot_style"]

COLOURS: Final[Mapping[str, str]] = {
    "ink": "#1b2330",
    "soft": "#5b6675",
    "line": "#d9dee6",
    "isolated": "#6d7787",
    "late": "#0072b2",
    "mix": "#008f68",
    "neighbours": "#d55e00",
    "bm25": "#a8478f",
    "win": "#0b73b3",
    "loss": "#d65f01",
}
"""What is drawn in which colour. The page has a CSS variable of each name, which replaces it; the
hues are Okabe and Ito's, which colour-blind readers can tell apart, darkened to show on white."""

_DROPPED: Final = frozenset({"metadata", "style"})  # the style would hold for the whole page
_REFERENCE: Final = re.compile(r"^#|(?<=url\(#)")
_FONT_FAMILY: Final = re.compile(r"font-family:[^;]*;? ?")


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot for the page.

    Attributes:
        title: Its heading.
        svg: An ``svg`` element.
        caption: How to read it, in whole sentences.
    """

    title: str
    svg: str
    caption: str


@contextmanager
def plot_style() -> Generator[None]:
    """Draw in the page's style; the settings of the caller's own plots are untouched."""
    import matplotlib as mpl

    ink, soft, line = (COLOURS[name] for name in ("ink", "soft", "line"))
    style: dict[Any, Any] = {
        "axes.edgecolor": line,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.labelcolor": soft,
        "axes.labelsize": 9.0,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": "none",
        "figure.figsize": (10.4, 4.8),
        "font.family": ["DejaVu Sans"],
        "font.size": 9.0,
        "grid.color": line,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.labelcolor": soft,
        "svg.fonttype": "none",
        "svg.hashsalt": "jina-integrations",
        "text.color": ink,
        "text.parse_math": False,
        "xtick.color": line,
        "xtick.labelcolor": soft,
        "ytick.color": line,
        "ytick.labelcolor": soft,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        yield


def inline_svg(figure: Figure, name: str, label: str, tips: Mapping[str, str]) -> str:
    """The figure as an ``svg`` element: no fixed size, no request, the same bytes each time.

    Args:
        figure: The figure.
        name: Unique among the plots of a page: all ids begin with it.
        label: What the plot shows, for those who cannot see it.
        tips: Texts that show where the pointer rests, by the `gid` of their artist.
    """
    from xml.etree import ElementTree as ET

    written = BytesIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    root = ET.fromstring(written.getvalue())  # noqa: S314 - matplotlib wrote it just now
    elements = list(root.iter())
    referenced = set(_references(elements))
    for element in elements:
        for child in list(element):
            if _local(child.tag) in _DROPPED:
                element.remove(child)
        element.tag = _local(element.tag)
        attributes = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        identifier = attributes.pop("id", "")
        if identifier in referenced:
            element.set("id", f"{name}-{identifier}")
        if identifier in tips:
            title = ET.Element("title")
            title.text = tips[identifier]
            element.insert(0, title)
        for key, value in attributes.items():
            element.set(key, _themed(_REFERENCE.sub(rf"\g<0>{name}-", value)))
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-label": label})
    return ET.tostring(root, encoding="unicode")


def _references(elements: Iterable[Element]) -> Iterator[str]:
    for element in elements:
        for value in element.attrib.values():
            for reference in _REFERENCE.finditer(value):
                yield value[reference.end() :].rstrip(")")


def _themed(value: str) -> str:
    """An attribute with the page's colours and font, on one line."""
    value = _FONT_FAMILY.sub("", " ".join(value.split()))
    for name, colour in COLOURS.items():
        value = value.replace(colour, f"var(--{name})")
    return value


def _local(name: str) -> str:
    return name.rpartition("}")[2]
