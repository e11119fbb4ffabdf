"""What the pages read of a run, tolerant of what is missing."""
