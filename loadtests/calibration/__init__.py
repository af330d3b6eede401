"""Calibration: the laboratory measures faults of known size, injected through the fault proxy."""

from __future__ import annotations
