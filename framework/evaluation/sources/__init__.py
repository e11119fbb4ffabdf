"""The images of a score by their number, whatever holds them, and how they are cut into shards."""
