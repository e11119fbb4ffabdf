"""All side-by-side measurements, one after the other: `make bench`."""

import subprocess
import sys

MEASUREMENTS = (
    "training_step",
    "ray_overhead",
    "search_overhead",
    "trial_start",
    "data_preparation",
    "features",
    "rendering",
)

if __name__ == "__main__":
    failed = []
    for name in MEASUREMENTS:
        print(f"\n== {name} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
