"""What was once measured of a run is not measured again: a run that was read never changes."""

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
    """Return a function of a run that works once for each run and arguments.

    The answer lives with the run (``RunFrames.memory``) and goes with it, so only small ones
    may be kept. A frame is handed out as a copy on write; nothing else may be changed by who
    gets it. Arguments must be hashable.
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
