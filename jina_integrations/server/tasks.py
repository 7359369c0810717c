"""The service's names of tasks, and what they are here."""

from __future__ import annotations

from ..models import CODE_TASK_NAMES, TASK_NAMES, ModelCard, TaskScheme
from ..types import Task

__all__ = ["task_names"]


def task_names(card: ModelCard) -> dict[str, Task]:
    """What requests may write as ``task``, and the model's own task for each.

    The names of code tasks that the model was not given an instruction for are left out, because
    another's would give other vectors. A model that has no instructions at all takes every name.
    """
    names: dict[str, Task] = {name: task for name, task in TASK_NAMES.items() if task in card.tasks}
    scheme = card.service
    if scheme is not None:
        names |= {
            name: task
            for task, name in scheme.tasks.items()
            if name is not None and task in card.tasks
        }
    if all(instruction == TaskScheme() for instruction in card.tasks.values()):
        names |= {name: task for name, task in CODE_TASK_NAMES.items() if task in card.tasks}
    return names
