"""Reads the results of a run for the pages; missing or damaged files are not an error."""
