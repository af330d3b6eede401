"""Supervision: the plain process around a run, which starts, watches, ends and judges."""
