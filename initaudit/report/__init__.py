"""Formats of a report, one function each."""
