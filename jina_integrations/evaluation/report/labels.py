"""Names beside what they name, none on top of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from .svg import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

__all__ = ["Label", "name_lines", "name_points"]

_Side = Literal["left", "center", "right"]
_NEAR: Final[tuple[tuple[int, int, _Side], ...]] = (
    (9, 0, "left"),
    (-9, 0, "right"),
    (0, 13, "center"),
    (0, -13, "center"),
)
_FAR: Final[tuple[tuple[int, int, _Side], ...]] = tuple(
    (across if side == "left" else -across, up, side)
    for across in (10, 24, 48, 80)
    for up in (13, -13, 26, -26, 42, -42, 58, -58, 76, -76)
    for side in get_args(Literal["left", "right"])
)
_PLACES: Final = (*_NEAR, *_FAR)
"""Where a name may stand, in points from what it names, the best first."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name for the point at `x`, `y` of the data."""

    text: str
    x: float
    y: float
    colour: str
    bold: bool = False


def name_points(axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]]) -> None:
    """Write each name beside its point, where it covers no other name, and no point if it can.

    Args:
        axes: The plot; neither its limits nor its place in the figure changes from here on.
        labels: The most important first: they get the better places.
        points: All that is drawn, in the data's units.
    """
    figure = cast("Figure", axes.figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pixels = np.asarray(axes.transData.transform(points), dtype=np.float64)
    taken: list[Bbox] = []
    for label in labels:
        faults: list[int] = []
        for place in _PLACES:
            tried = _annotate(axes, label, place)
            faults.append(_faults(axes, tried.get_window_extent(), taken, pixels))
            tried.remove()
            if faults[-1] == 0:
                break
        best = faults.index(min(faults))
        text = _annotate(axes, label, _PLACES[best], line=best >= len(_NEAR))
        taken.append(text.get_window_extent())


def _faults(axes: Axes, box: Bbox, taken: Sequence[Bbox], pixels: NDArray[np.float64]) -> int:
    frame = axes.get_window_extent()
    held = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    over = sum(bool(box.overlaps(other)) for other in taken)
    above = pixels > np.array([box.x0, box.y0]) - 4.0
    below = pixels < np.array([box.x1, box.y1]) + 4.0
    return (0 if held else 1000) + 100 * over + int(np.count_nonzero((above & below).all(axis=1)))


def _annotate(
    axes: Axes, label: Label, place: tuple[float, float, _Side], *, line: bool = False
) -> Annotation:
    across, up, side = place
    return axes.annotate(
        label.text,
        (label.x, label.y),
        (across, up),
        textcoords="offset points",
        ha=side,
        va="center",
        color=label.colour,
        fontweight="bold" if label.bold else "normal",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": COLOURS["soft"], "lw": 0.5} if line else None,
        zorder=4,
    )


def name_lines(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each line's name right of its last point, moved up or down until all can be read."""
    cast("Figure", axes.figure).draw_without_rendering()
    ordered = sorted(labels, key=lambda label: label.y)
    ends = axes.transData.transform([(label.x, label.y) for label in ordered])
    wanted = np.asarray(ends, dtype=np.float64)[:, 1] * 72.0 / axes.figure.dpi
    steps = 13.0 * np.arange(len(ordered))
    free = wanted - steps
    # Both running extremes rise, so their mean does: every name is a step above the one below.
    raised = np.maximum.accumulate(free)
    lowered = np.minimum.accumulate(free[::-1])[::-1]
    for label, up in zip(ordered, (raised + lowered) / 2 + steps - wanted, strict=True):
        _annotate(axes, label, (14, float(up), "left"), line=True)
