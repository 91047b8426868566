"""Core holds what every room may use, and uses no room itself: formats, verdicts, records, errors, files."""
