"""Explaining turns a failing point into what a person reads: message, likely mistake, id, test to paste."""
