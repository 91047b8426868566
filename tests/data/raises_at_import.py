"""A file that raises when it is imported."""

NAMES = []


def broken():
    return NAMES[0]


broken()
