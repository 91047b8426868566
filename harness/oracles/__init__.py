"""Oracles say what the derivative is, each independently of the rule under test, and how far they may be off."""
