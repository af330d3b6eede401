"""Measure how reliable the gate is, live: recorded A/A blocks, and comparisons run now.

``python -m tests.benchmarks.gate`` runs three comparisons of the gateway with itself and
two with one that is slower on purpose; ``python -m tests.benchmarks.gate.real_history`` compares
python-socketio with itself and with this transport, and commits of this project with each other;
``python -m tests.benchmarks.gate.record`` records the A/A blocks that
``python -m tests.benchmarks.gate.proof`` draws from.
"""
