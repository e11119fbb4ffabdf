"""Resolves `evaluation.metrics` to the requested scores."""

import dataclasses

from framework.config import EvaluationConfig
from framework.config.metrics import METRICS, Metric
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import NAMES, FeatureSpec
from framework.evaluation.protocols.named import named_protocol, nearest_name
from framework.evaluation.requests.passes import Request

_LOGITS_TAP = 2048  # the logits are computed from the last features


def requested(
    config: EvaluationConfig, *, features: FeatureSpec, has_held_out: bool = False, has_images: bool = True
) -> list[Request]:
    """The scores that `evaluation.metrics` requests for each `evaluation.truncation`, without duplicates.

    Args:
        features: The features of metrics, from `evaluation.features`, `.tap` and `.resize`; named protocols have their
            own.
        has_held_out: Whether there are real images that training never sees.
        has_images: Whether both sides are images; a file of statistics is enough for FID only.

    Raises:
        EvaluationError: A name is unknown, or a score cannot be computed here.
    """
    if config.metrics == "auto":
        metrics = [metric for metric in METRICS.values() if metric.in_auto]
        if not has_held_out:
            metrics = [metric for metric in metrics if not metric.has_held_out]
        if not has_images:
            metrics = [METRICS["fid"]]
        if config.engine == "torchmetrics":
            metrics = [metric for metric in metrics if metric.in_torchmetrics]
        requests = [_by_metric(metric, config, features) for metric in metrics]
    else:
        requests = [_by_name(name, config, features) for name in config.metrics]
    if not requests:
        raise EvaluationError("evaluation.metrics: is empty; auto stands for all metrics")
    for request in requests:
        _check(request, has_held_out=has_held_out)
    requests = [
        dataclasses.replace(request, truncation=None if scale == 1.0 else scale)
        for scale in sorted(set(config.truncation))
        for request in requests
    ]
    # If a score is requested by its metric and by a named protocol, it has to satisfy the protocol.
    distinct = {dataclasses.replace(request, named=None): request for request in requests}
    distinct |= {dataclasses.replace(request, named=None): request for request in requests if request.named}
    return list(distinct.values())


def _by_metric(metric: Metric, config: EvaluationConfig, features: FeatureSpec) -> Request:
    return Request(
        metric=metric.name,
        kind=features.kind,
        tap=_LOGITS_TAP if (features.kind, metric.name) == ("inception", "inception_score") else features.tap,
        resize=features.resize_name,
        precision=features.precision,
        samples=config.samples,
        seed=config.seed,
        seeds=config.seeds,
        engine=config.engine,
    )


def _by_name(name: str, config: EvaluationConfig, features: FeatureSpec) -> Request:
    if name in METRICS:
        return _by_metric(METRICS[name], config, features)
    named = named_protocol(name)
    if named is None:
        close = nearest_name(name)
        hint = f"; did you mean {close}?" if close else f"; metrics are {', '.join(METRICS)}"
        raise EvaluationError(f"evaluation.metrics: there is no metric or protocol {name}{hint}")
    return Request(
        metric=named.metric,
        kind="inception",
        tap=named.tap,
        resize=named.resize,
        precision="float32",
        samples=named.samples,
        seed=0,
        seeds=config.seeds,
        engine=config.engine,
        named=named,
    )


def _check(request: Request, *, has_held_out: bool) -> None:
    metric = METRICS[request.metric]
    if request.kind != "inception" and metric.plain_name is None:
        named = "your own" if request.kind in ("function", "file") else NAMES[request.kind]
        raise EvaluationError(f"evaluation.metrics: {request.name} needs Inception's classes, not features of {named}")
    if metric.has_held_out and not has_held_out:
        raise EvaluationError(
            f"evaluation.metrics: {request.name} needs real images that training never sees (data.held_out), "
            "but there are none"
        )
    if request.engine == "torchmetrics" and not metric.in_torchmetrics:
        has = ", ".join(metric.name for metric in METRICS.values() if metric.in_torchmetrics)
        raise EvaluationError(f"evaluation.engine: torchmetrics does not have {request.name}; it has {has}")
