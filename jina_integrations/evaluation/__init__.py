"""Does late chunking help with this text and this model, and what does it cost.

    from jina_integrations.evaluation import Grid, evaluate, read_questions, recommend

Needs ``pip install "jina-integrations[eval]"``.
"""

from __future__ import annotations

from .encoding import EvaluationProgress
from .grid import Configuration, Grid, Quantization, Retrieval, Window, chunker_name
from .measures import describe_measure, measure_names
from .questions import Evidence, Question, QuestionSet
from .reading import read_questions
from .recommend import Recommendation, recommend
from .report import render_html
from .result import Difference, Evaluation, Result
from .run import evaluate

__all__ = [
    "Configuration",
    "Difference",
    "Evaluation",
    "EvaluationProgress",
    "Evidence",
    "Grid",
    "Quantization",
    "Question",
    "QuestionSet",
    "Recommendation",
    "Result",
    "Retrieval",
    "Window",
    "chunker_name",
    "describe_measure",
    "evaluate",
    "measure_names",
    "read_questions",
    "recommend",
    "render_html",
]
