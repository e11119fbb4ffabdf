"""One trial: its specification, its resources, the driver, the DDP workers, and scores computed in the background."""
