"""What a few minutes on one card tell of Latentscape: is it right there, how fast, and what would make it faster.

    python -m benchmarks.on_gpu --part 1 [--out FOLDER]       at most 4 minutes: right, and how fast
    python -m benchmarks.on_gpu --part 2 [--out FOLDER]       at most 4 minutes: what more there is to gain
    python -m benchmarks.on_gpu --device cpu --quick          every stage from start to end, without a card

Run it in the repository's root. It wants torch (2.11 or newer), numpy, pillow, pydantic, ruamel.yaml and safetensors,
no Ray and no install of this project; `--weights` (Inception's) adds scipy. Each stage prints its findings as they
come, has so many seconds, and leaves the next ones alone where it fails. All findings lie in FOLDER/on_gpu-<part>.json.
"""

import argparse
import os
from pathlib import Path

# Stages by name and the seconds that each may take, the most telling first.
PARTS = {
    "1": {
        "first_report": 40,
        "repeats": 30,
        "deterministic": 50,
        "agrees": 40,
        "auto": 5,
        "ceilings": 10,
        "steps": 110,
    },
    "2": {
        "graphs": 45,
        "activation": 40,
        "rows": 20,
        "penalty": 20,
        "feeding": 60,
        "memory": 25,
        "features": 20,
        "profile": 20,
    },
}
PART_SECONDS = 235
SLOWER_ON_A_CPU = 5  # so many times the seconds, to come through


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--only", help="stages by name, with commas between")
    parser.add_argument("--quick", action="store_true", help="small and few")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for JSON and profiles")
    parser.add_argument("--weights", type=Path, help="Inception's, for the stage `features`")
    given = parser.parse_args()
    if given.device == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"  # Triton looks at it when it is imported

    import torch

    from benchmarks.gpu import kernels, right, speed
    from benchmarks.gpu.bench import Bench, Stage

    given.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cpu") if given.device == "cpu" else torch.device("cuda:0")
    patience = SLOWER_ON_A_CPU if given.device == "cpu" else 1
    bench = Bench(device=device, quick=given.quick, out=given.out, weights=given.weights)
    works = {**vars(right), **vars(speed), **vars(kernels)}
    for part in PARTS if given.part == "all" else [given.part]:
        wanted = [name for name in PARTS[part] if given.only is None or name in given.only.split(",")]
        stages = [Stage(works[name], PARTS[part][name] * patience) for name in wanted]
        if stages:
            bench.run(stages, name=f"on_gpu-{part}", seconds=PART_SECONDS * patience)


if __name__ == "__main__":
    main()
