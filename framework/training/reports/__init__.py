"""What a training tells and keeps on its way: reports, checkpoints, scores, and warnings."""
