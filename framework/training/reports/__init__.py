"""Reports, checkpoints, scores and warnings of a running training."""
