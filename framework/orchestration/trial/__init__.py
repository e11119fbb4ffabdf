"""One trial: its specification, its resources, the driver, the DDP workers, and scores computed beside the training."""
