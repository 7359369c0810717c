"""An evaluation as one HTML file that loads nothing else.

Importing this loads neither jinja2 nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files

from ...arguments import check_type
from ...errors import MissingExtraError
from ..measures import describe_measure
from ..recommend import Recommendation
from ..result import Evaluation
from .plots import all_plots, wins_and_losses
from .rows import compared_result, comparison, result_rows, verdict

__all__ = ["render_html"]


def render_html(evaluation: Evaluation, recommendation: Recommendation | None = None) -> str:
    """The report: the recommendation, all results, plots, and single questions.

    One HTML document, the same for the same arguments. It makes no request, and its tables can be
    read without the script that sorts them.

    Args:
        evaluation: What was found.
        recommendation: Of that evaluation.

    Raises:
        InvalidInputError: an argument has the wrong type.
        KeyError: the recommended configuration was not measured.
        MissingExtraError: jinja2 or matplotlib is not installed.
    """
    check_type("evaluation", evaluation, Evaluation, "an Evaluation")
    if recommendation is not None:
        check_type("recommendation", recommendation, Recommendation, "a Recommendation")
    try:
        from jinja2 import Environment, StrictUndefined

        import_module("matplotlib")  # which the plots need
    except ModuleNotFoundError as exc:
        if exc.name not in {"jinja2", "matplotlib"}:
            raise
        raise MissingExtraError("the HTML report", "eval") from exc

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        describe=describe_measure, duration=_duration, points=_points, size=_size, verdict=verdict
    )
    template = files(__name__).joinpath("report.html.j2").read_text(encoding="utf-8")
    recommended = recommendation.configuration if recommendation else None
    compared = compared_result(evaluation, recommended)
    rows, zero = result_rows(evaluation, recommended)
    return environment.from_string(template).render(
        evaluation=evaluation,
        questions=evaluation.question_set,
        recommendation=recommendation,
        rows=rows,
        zero=zero,
        plots=all_plots(evaluation, recommended),
        comparison=comparison(evaluation, compared) if compared else None,
        differences=wins_and_losses(evaluation, compared) if compared else None,
    )


def _points(value: float) -> str:
    """In hundredths, with a sign that is as wide as a digit."""
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def _size(count: int) -> str:
    """Bytes in decimal units, three digits."""
    power = min(max(0, len(str(count)) - 1) // 3, 4)
    unit = ("B", "kB", "MB", "GB", "TB")[power]
    return f"{count / 1000**power:.4g}\N{NO-BREAK SPACE}{unit}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
