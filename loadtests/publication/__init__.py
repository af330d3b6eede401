"""The publisher: a process that publishes at intended times, and how the run holds it."""
