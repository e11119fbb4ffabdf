"""A search under Ray Tune: which trials start, which are stopped early, and the progress output."""
