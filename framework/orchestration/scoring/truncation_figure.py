"""The figure of `evaluation.truncation`: precision against recall over ψ, as a picture and as numbers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from framework.checkpoint import load_generator
from framework.checkpoint.reference import CheckpointRef
from framework.evaluation.protocols.protocol import is_truncated
from framework.images import png_bytes
from framework.orchestration.context import RunContext

FIGURE, DOCUMENT = "truncation.png", "truncation.json"


def write_truncation(context: RunContext, target: CheckpointRef, asked: Sequence[dict[str, Any]]) -> None:
    """Writes truncation.png and truncation.json into the run's artifacts, if a requested score has ψ other than 1.

    All values of ψ that the checkpoint has been scored with by the same protocol are shown.

    Args:
        target: The checkpoint.
        asked: Its requested scores.
    """
    if not any(is_truncated(score) for score in asked):
        return
    from framework.evaluation.truncation import draw_truncation, truncation_points  # matplotlib takes a while to import

    digest = load_generator(target.location).digest
    scores = [
        score
        for score in context.run.scores()
        if (score.get("checkpoint"), score.get("generator")) == (target.checkpoint, digest)
    ]
    points = truncation_points(scores, asked)
    features = next(score["protocol"]["features"]["name"] for score in asked)
    picture = draw_truncation(points, title=f"Samples of {target.checkpoint}, features of {features}")
    if picture is None:
        context.progress.say(
            "No figure over ψ: it needs precision and recall, or a Fréchet distance, at two values of "
            "evaluation.truncation at least"
        )
        return
    artifacts = context.run.artifacts
    artifacts.write_bytes(FIGURE, png_bytes(picture))
    artifacts.write_json(
        DOCUMENT, {"checkpoint": target.checkpoint, "generator": digest, "points": [asdict(each) for each in points]}
    )
    context.progress.say(f"Precision against recall over ψ: {(artifacts / FIGURE).location}")
