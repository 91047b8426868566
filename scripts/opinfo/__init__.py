"""This script puts torch's own operators under test: the first sample of every entry of torch's list of operators."""
