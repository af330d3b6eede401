"""The command line: options and commands, nothing else."""
