"""Executable properties for derivative rules."""
