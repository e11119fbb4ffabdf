"""One command per module. As `python -m jobs.X` or `latentscape`, the process is made ready before anything else."""

import sys

# While Python looks for the module that `-m` names, and imports this package on the way, argv begins with `-m`.
if sys.argv and sys.argv[0].rpartition("/")[2] in ("-m", "latentscape"):
    from jobs.cli import process

    process.begin()
