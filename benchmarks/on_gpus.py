"""What a machine with two or more cards tells: DDP over NCCL, from one card to all, and two trials side by side.

    python -m benchmarks.on_gpus [--out FOLDER]              some minutes
    python -m benchmarks.on_gpus --device cpu --quick        the same from start to end with two gloo ranks, no card

Run it in the repository's root; `benchmarks/on_gpu.py` says which packages it wants. Without Ray all but the last stage
runs. Findings are printed as they come and lie in FOLDER/on_gpus.json.
"""

import argparse
from pathlib import Path

SECONDS = {"agree_and_scale": 420, "trials_side_by_side": 480}
SLOWER_ON_A_CPU = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
    parser.add_argument("--only", help="stages by name, with commas between")
    parser.add_argument("--quick", action="store_true", help="small and few")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the JSON")
    given = parser.parse_args()

    import torch

    from benchmarks.gpu import groups
    from benchmarks.gpu.bench import Bench, Stage

    given.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cpu") if given.device == "cpu" else torch.device("cuda:0")
    patience = SLOWER_ON_A_CPU if given.device == "cpu" else 1
    bench = Bench(device=device, quick=given.quick, out=given.out, weights=None)
    wanted = [name for name in SECONDS if given.only is None or name in given.only.split(",")]
    stages = [Stage(getattr(groups, name), SECONDS[name] * patience) for name in wanted]
    bench.run(stages, name="on_gpus", seconds=sum(SECONDS.values()) * patience)


if __name__ == "__main__":
    main()
