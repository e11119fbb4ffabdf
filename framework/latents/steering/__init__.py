"""Moving samples along directions, and what that does to their attributes."""
