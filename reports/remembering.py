"""A cache of results per run; a run in memory never changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

import pandas as pd

from reports.run_frames import RunFrames

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")


def once_a_run(
    function: Callable[Concatenate[RunFrames, Asked], Answer],
) -> Callable[Concatenate[RunFrames, Asked], Answer]:
    """Return a function that computes its result once for each run and arguments.

    The result is kept in ``RunFrames.memory``, so it should be small. A DataFrame is returned as
    a copy on write; callers must not change any other result. Arguments must be hashable.
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def remembered(run: RunFrames, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        key = (name, args, tuple(sorted(kwargs.items())))
        if key not in run.memory:
            run.memory[key] = function(run, *args, **kwargs)
        answer = run.memory[key]
        found = answer.copy(deep=False) if isinstance(answer, pd.DataFrame) else answer
        return cast(Answer, found)

    return remembered
