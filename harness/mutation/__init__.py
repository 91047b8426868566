"""Mutation breaks the program of every right rule on purpose and counts how many variants the properties refuse."""
