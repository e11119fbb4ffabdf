"""What tests/ray/conftest.py runs: `python measure.py RUN COPY PHOTO OUT`. One Ray for measurements of two kinds.

OUT gets what measure_crews.py finds with RUN and measure_directions.py with its COPY, as JSON; and which handlers of
signals a connection to Ray leaves in place.
"""

import json
import signal
import sys
from pathlib import Path

import measure_crews
import measure_directions

from framework.orchestration.cluster.connect import connect
from framework.runs import RunFolder


def ours(number, frame):
    raise KeyboardInterrupt


def main(run, copy, photo, out):
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, ours)
    with connect("measurements", verbose=False, say=print) as cluster:
        found = {
            "kept": [signal.Signals(number).name for number in numbers if signal.getsignal(number) is ours],
            "crews": measure_crews.measure(RunFolder.open(run)),
            "directions": measure_directions.measure(RunFolder.open(copy), photo, cluster),
        }
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
