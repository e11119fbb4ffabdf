"""Sources of the images of a score, which are read by number, and how the images are cut into shards."""
