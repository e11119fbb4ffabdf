"""The Ray cluster: connecting to it, its nodes and GPUs, files on its nodes, and the flag that stops a job."""
