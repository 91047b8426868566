"""The benchmark: `python -m scripts.bench` (or `make bench`) measures and writes the tables."""
