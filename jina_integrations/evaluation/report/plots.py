"""The plots of a report: quality against cost, curves over chunk sizes, wins and losses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..grid import Configuration
from ..result import Evaluation, Result
from .labels import Label, name_lines, name_points
from .rows import deltas
from .svg import COLOURS, Plot, inline_svg, plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["all_plots", "pareto_front", "wins_and_losses"]

_Cost: TypeAlias = Literal["tokens", "vector_bytes"]

_COSTS: Final[dict[_Cost, tuple[str, str, str]]] = {
    "tokens": ("Quality against tokens encoded", "tokens that an ingest encodes", ""),
    "vector_bytes": ("Quality against bytes stored", "bytes of the stored vectors", "B"),
}
_MARKERS: Final = {"isolated": "s", "late": "o", "mix": "D", "neighbours": "^", "bm25": "v"}
_DASHES: Final = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_MAX_LINES: Final = 8
_MAX_BANDS: Final = 3
_MAX_STRONG: Final = 14
_INTERVALS: Final = (
    "95 % intervals of the difference to the baseline of the same chunks, laid onto its mean"
)


def all_plots(evaluation: Evaluation, recommended: Configuration | None) -> list[Plot]:
    """What there is to plot: over tokens; over bytes where they are a choice; over sizes."""
    plots = [_quality_over_cost(evaluation, "tokens", recommended)]
    stored = {
        (result.configuration.dimensions, result.configuration.quantization)
        for result in evaluation.results
        if result.configuration.retrieval != "bm25"
    }
    if len(stored) > 1:
        plots.append(_quality_over_cost(evaluation, "vector_bytes", recommended))
    return plots + _quality_by_size(evaluation)


def _family(configuration: Configuration) -> str:
    return configuration.method.partition(" ")[0]


def _interval(evaluation: Evaluation, result: Result) -> tuple[float, float]:
    """The difference's interval, laid onto the baseline's mean; no width for a baseline."""
    baseline = evaluation.result(result.configuration.baseline).mean(evaluation.measure)
    if result.configuration == result.configuration.baseline:
        return baseline, baseline
    difference = result.differences[evaluation.measure]
    return baseline + difference.low, baseline + difference.high


def pareto_front(costs: Sequence[int], means: Sequence[float]) -> list[int]:
    """Positions of what nothing beats at its cost or below, cheapest first."""
    front: list[int] = []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], -means[index])):
        if not front or means[index] > means[front[-1]]:
            front.append(index)
    return front


def _quality_over_cost(
    evaluation: Evaluation, cost: _Cost, recommended: Configuration | None
) -> Plot:
    """Each configuration's mean over what it costs; the best for each cost are named."""
    from matplotlib.figure import Figure

    title, axis, unit = _COSTS[cost]
    results = evaluation.results
    costs = [result.tokens if cost == "tokens" else result.vector_bytes for result in results]
    means = [result.mean(evaluation.measure) for result in results]
    front = pareto_front(costs, means)
    chosen = [index for index, result in enumerate(results) if result.configuration == recommended]
    named = list(dict.fromkeys((*chosen, *reversed(front))))
    several = len({result.configuration.chunker for result in results}) > 1
    with plot_style():
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        places = _scale_cost(axes, costs, unit)
        axes.step(
            [*(places[index] for index in front), places.max()],
            [*(means[index] for index in front), means[front[-1]]],
            where="post",
            color=COLOURS["soft"],
            alpha=0.45,
            linewidth=1.4,
            zorder=1,
        )
        for index, result in enumerate(results):
            strong = index in named or len(results) <= _MAX_STRONG
            family = _family(result.configuration)
            colour = COLOURS[family]
            axes.vlines(
                places[index],
                *_interval(evaluation, result),
                color=colour,
                alpha=0.7 if strong else 0.2,
                linewidth=1.4 if strong else 1.0,
                zorder=2,
            )
            axes.plot(
                places[index],
                means[index],
                color=colour,
                markersize=9 if index in chosen else 6,
                alpha=1.0 if strong else 0.6,
                gid=f"tip-{index}",
                zorder=3,
                marker=_MARKERS[family],
                markerfacecolor=_face(result.configuration),
                linestyle="none",
            )
        axes.set_xlabel(axis)
        axes.set_ylabel(evaluation.measure)
        axes.margins(x=0.06, y=0.12)
        _legend(figure, [result.configuration for result in results])
        labels = [
            Label(
                text=results[index].configuration.name
                if several
                else _short_name(results[index].configuration),
                x=float(places[index]),
                y=means[index],
                colour=COLOURS["ink"] if index in chosen else COLOURS["soft"],
                bold=index in chosen,
            )
            for index in named
        ]
        name_points(axes, labels, list(zip(places.tolist(), means, strict=True)))
        tips = {
            f"tip-{index}": f"{result.configuration.name}: {mean:.3f}, {price:,} {axis}"
            for index, (result, mean, price) in enumerate(zip(results, means, costs, strict=True))
        }
        best = results[front[-1]].configuration.name
        label = f"{evaluation.measure} over {axis}, {len(results)} configurations; best: {best}"
        svg = inline_svg(figure, f"plot-{cost}", label, tips)
    caption = (
        "Higher and further left is better. The line joins what nothing beats at its cost or "
        "below; these are named"
        + (", and the recommended one is in bold" if chosen else "")
        + f". Bars are {_INTERVALS}. Points of one cost are moved apart a little."
    )
    return Plot(title, svg, caption)


def _short_name(configuration: Configuration) -> str:
    return " ".join((configuration.method, *configuration.options))


def _face(configuration: Configuration) -> str:
    """What a marker is filled with: nothing for hybrid retrieval."""
    return "none" if configuration.retrieval == "hybrid" else COLOURS[_family(configuration)]


def _legend(figure: Figure, configurations: Sequence[Configuration]) -> None:
    from matplotlib.lines import Line2D

    families = dict.fromkeys(_family(configuration) for configuration in configurations)
    handles = [
        Line2D([], [], color=COLOURS[name], marker=_MARKERS[name], linestyle="none", label=name)
        for name in families
    ]
    if any(configuration.retrieval == "hybrid" for configuration in configurations):
        handles.append(
            Line2D(
                [],
                [],
                color=COLOURS["soft"],
                marker="o",
                markerfacecolor="none",
                linestyle="none",
                label="hollow: hybrid",
            )
        )
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))


def _scale_cost(axes: Axes, costs: Sequence[int], unit: str) -> NDArray[np.float64]:
    """Where each cost lies: logarithmic over more than a decade, with a place of its own for 0."""
    from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, LogLocator

    short = EngFormatter(unit=unit, sep="\N{NO-BREAK SPACE}")
    axes.xaxis.set_major_formatter(short)
    paid = [cost for cost in costs if cost > 0]
    if not paid or max(paid) <= 10 * min(paid):
        return _apart(np.array(costs, dtype=np.float64))
    axes.set_xscale("log")
    free = min(paid) / 2
    ticks = [
        float(tick)
        for tick in LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(min(paid), max(paid))
        if 0.8 * min(paid) <= tick <= 1.2 * max(paid)
    ]
    axes.xaxis.set_major_locator(FixedLocator([free, *ticks] if 0 in costs else ticks))
    axes.xaxis.set_minor_locator(FixedLocator([]))

    def shown(tick: float, _: int | None) -> str:
        return "0" if tick == free else short(tick)

    axes.xaxis.set_major_formatter(FuncFormatter(shown))
    return 10.0 ** _apart(np.log10([cost or free for cost in costs]))


def _apart(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """The places, with those that all but coincide moved a little sideways, in their order."""
    moved = places.copy()
    span = float(np.ptp(places)) or float(places[0]) or 1.0
    order = np.argsort(places, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(places[order]) > 0.004 * span) + 1):
        step = min(0.012, 0.06 / len(group)) * span
        moved[group] += step * (np.arange(len(group)) - (len(group) - 1) / 2)
    return moved


def _quality_by_size(evaluation: Evaluation) -> list[Plot]:
    """For each kind of chunker with several sizes the mean over the size, a line a method."""
    kinds: dict[tuple[str, ...], dict[str, dict[int, Result]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for result in evaluation.results:
        kind, *numbers = result.configuration.chunker.split(":")
        if numbers and numbers[0].isdecimal():
            line = kinds[(kind, *numbers[1:])][_short_name(result.configuration)]
            line[int(numbers[0])] = result
    return [
        _sizes_plot(evaluation, kind, lines, number)
        for number, (kind, lines) in enumerate(kinds.items())
        if max(map(len, lines.values())) > 1
    ]


def _sizes_plot(
    evaluation: Evaluation, kind: tuple[str, ...], lines: dict[str, dict[int, Result]], number: int
) -> Plot:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedFormatter, FixedLocator

    best = sorted(
        lines,
        key=lambda name: -max(result.mean(evaluation.measure) for result in lines[name].values()),
    )
    shown = {name for name in lines if name == "isolated"} | set(best[: _MAX_LINES - 1])
    banded = [name for name in best if name != "isolated"][:_MAX_BANDS]
    sizes = sorted({size for line in lines.values() for size in line})
    dashes: dict[str, int] = defaultdict(int)
    labels: list[Label] = []
    with plot_style():
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_major_formatter(FixedFormatter([str(size) for size in sizes]))
        axes.xaxis.set_minor_locator(FixedLocator([]))
        for name in (name for name in lines if name in shown):
            line = sorted(lines[name].items())
            family = _family(line[0][1].configuration)
            xs = [size for size, _ in line]
            ys = [result.mean(evaluation.measure) for _, result in line]
            lows, highs = zip(*(_interval(evaluation, result) for _, result in line), strict=True)
            colour = COLOURS[family]
            if name in banded:
                axes.fill_between(xs, lows, highs, color=colour, alpha=0.12, linewidth=0)
            axes.plot(
                xs,
                ys,
                color=colour,
                linestyle=_DASHES[dashes[family] % len(_DASHES)],
                marker=_MARKERS[family],
                markersize=5,
                markerfacecolor=_face(line[0][1].configuration),
                linewidth=1.8,
            )
            dashes[family] += 1
            labels.append(Label(name, float(xs[-1]), ys[-1], colour))
        axes.set_xlabel("tokens that a chunk has at the most")
        axes.set_ylabel(evaluation.measure)
        name_lines(axes, labels)
        name = ", overlap ".join(kind)
        label = f"{evaluation.measure} over the size of chunks ({name}): {', '.join(best)}"
        svg = inline_svg(figure, f"plot-sizes-{number}", label, {})
    caption = f"Bands are {_INTERVALS}"
    caption += f", of the best {_MAX_BANDS} lines." if len(lines) > _MAX_BANDS + 1 else "."
    if len(shown) < len(lines):
        caption += f" The best {len(shown)} of {len(lines)} lines; the table has the others."
    return Plot(f"Quality by size of chunk: {name}", svg, caption)


def wins_and_losses(evaluation: Evaluation, compared: Result) -> Plot:
    """Every question's difference to the baseline, greatest win first."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    name = compared.configuration.name
    ordered = np.sort(deltas(evaluation, compared))[::-1]
    with plot_style():
        figure = Figure(layout="constrained", figsize=(10.4, 3.4))
        axes = figure.subplots()
        edges = np.arange(len(ordered) + 1) + 0.5
        for values, colour in (
            (np.maximum(ordered, 0.0), COLOURS["win"]),
            (np.minimum(ordered, 0.0), COLOURS["loss"]),
        ):
            axes.stairs(values, edges, fill=True, color=colour, linewidth=0)
        axes.axhline(0.0, color=COLOURS["soft"], linewidth=0.8)
        axes.margins(x=0.01, y=0.08)
        axes.grid(visible=False, axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("questions, greatest win first")
        axes.set_ylabel(f"difference in {evaluation.measure}")
        label = (
            f"Differences in {evaluation.measure} between {name} and its baseline: "
            f"{(ordered > 0).sum()} wins, {(ordered == 0).sum()} ties, {(ordered < 0).sum()} losses"
        )
        svg = inline_svg(figure, "plot-wins", label, {})
    return Plot("Question by question", svg, "Above the line this one is better, below it worse.")
