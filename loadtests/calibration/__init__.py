"""Calibration: the ruler held against faults of known size, through the fault proxy."""

from __future__ import annotations
