"""The command line has one module per command, each with `HELP`, `add_arguments(parser)` and `run(args) -> exit
status`.
"""
