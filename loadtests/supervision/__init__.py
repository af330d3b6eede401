"""Supervision: the plain process that starts, watches, ends and judges a run."""
