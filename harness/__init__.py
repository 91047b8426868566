"""The harness judges derivative rules: it turns statements into programs, runs these in several number systems, and
says verdicts.

Each folder is a room with one task, and its first sentence says which; ARCHITECTURE.md tells how a run goes through
them. Only the public face lies here: `api`, `report` and `pytest_plugin`.
"""
