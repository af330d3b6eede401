"""The record of a run: histograms, tables, manifest, and how a run directory ends."""
