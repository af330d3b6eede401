"""The supervisor's process: it starts a run's processes, watches and stops them, and judges."""
