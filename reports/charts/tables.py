"""Tables behind charts that are made the same way in several of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def crosstab(
    rows: pd.Series[str], columns: pd.Series[str], heading: str, order: Sequence[str]
) -> pd.DataFrame:
    """Return how often each word of ``columns`` stands beside each of ``rows``.

    Args:
        rows: one word a case.
        columns: one word a case.
        heading: the name of the first column.
        order: the words of ``columns`` in the order to show; one that never came is left out.
    """
    counts = pd.crosstab(rows.astype(str), columns.astype(str))
    known = [word for word in order if word in counts.columns]
    rest = [word for word in counts.columns if word not in known]
    found = counts[known + rest].reset_index()
    found.columns = pd.Index([heading, *known, *rest])
    return found
