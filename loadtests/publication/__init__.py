"""The publisher: a process that publishes at intended times, and its control by the run."""
