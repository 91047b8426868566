"""Statements say what is claimed, in the words of a user or of a theorem: rules, theorems, claims, laws."""
