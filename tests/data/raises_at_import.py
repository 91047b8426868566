"""A file that raises when it is imported."""


def broken():
    return [][0]


broken()
