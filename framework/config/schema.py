"""The whole configuration: every section and key with its default, unit and bound, in the order that people read them.

Nothing else knows a default. It is long because the list is, and one file because whoever looks for a key looks here.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from framework.config.metrics import MetricName
from framework.config.section import Section, key

GpuShare = Annotated[float, Field(ge=0.0, le=1.0)]  # a worker computes on one GPU
Resolution = Literal[28, 32, 64, 128, 256]
# fmt: off
EditName = Literal["zoom", "shift_x", "shift_y", "rotate", "brightness", "red", "green", "blue"]
# fmt: on
SearchMetric = Literal["auto", MetricName, "assessor_frechet_distance"]


class DataConfig(Section):
    """Where the images come from and how they are packed."""

    source: Literal["utkface", "folder", "mnist", "drawn_faces"] = key(
        "utkface", "utkface (labels from the names), folder of images, mnist, or drawn_faces"
    )
    path: str | None = key(None, "folder, .tar, .tar.gz or .zip with the images; mnist: folder of IDX files")
    resolution: Resolution = key(128, "side of the square images: 28, 32, 64, 128 or 256", unit="pixels")
    channels: Literal[1, 3] = key(3, "3 for colour, 1 for grey")
    limit: int | None = key(None, "seeded sample; for drawn_faces how many to draw (10,000)", unit="images", ge=64)
    labels: str | None = key(None, "CSV with more labels; its first column is the file's name")
    held_out: float = key(
        0.1, "held out by content hash; of mnist its test split", unit="share of images", ge=0.0, le=0.5
    )
    max_rejected: float = key(0.05, "more rejected files than this is an error", unit="share of files", ge=0.0, le=1.0)
    horizontal_flip: bool = key(False, "mirror each training image with probability 0.5")
    seed: int = key(0, "seed of the sample and of the drawn faces", ge=0)


class ModelConfig(Section):
    """The pair of networks."""

    family: Literal["gan", "autoencoder", "vae"] = key("gan", "gan, autoencoder, or vae (variational autoencoder)")
    architecture: Literal["dcgan", "skip", "keras"] = key(
        "dcgan", "dcgan (the notebooks' pair), skip (lighter, sooner), keras (an import's)"
    )
    width: int = key(128, "channels of each layer (skip: the largest)", unit="channels", ge=4, le=2048)
    latent_size: int = key(100, "numbers in a latent", unit="dimensions", ge=1, le=8192)
    dropout: float = key(0.4, "dropout before the discriminator's logit", unit="probability", ge=0.0, lt=1.0)
    entry: str | None = key(None, "package.module:function of yours that gives the generator; it is run")
    layers: list[dict[str, Any]] | None = key(None, "of a generator that jobs.import_keras took over")
    discriminator_layers: list[dict[str, Any]] | None = key(None, "likewise; none: dcgan's beside an imported one")

    @property
    def kind(self) -> str:
        """The architecture of a GAN, else the family."""
        return self.architecture if self.family == "gan" else self.family


class ObjectiveConfig(Section):
    """What the networks minimise."""

    loss: Literal["binary_cross_entropy", "hinge"] = key(
        "binary_cross_entropy", "binary_cross_entropy (the notebooks', non-saturating) or hinge"
    )
    likelihood: Literal["gaussian", "bernoulli"] = key("gaussian", "of pixels (autoencoder, vae), or bernoulli (grey)")
    deviation: float = key(0.1, "of the gaussian likelihood, for pixels from 0 to 1", gt=0.0)
    beta: float = key(1.0, "weight of the vae's divergence from its prior", ge=0.0)
    beta_warmup_images: int = key(0, "over which beta rises evenly from 0", unit="images", ge=0)
    r1_gamma: float = key(0.0, "weight of the R1 gradient penalty on real images, 0 for none", ge=0.0)
    r1_every_steps: int = key(16, "steps between two penalties (lazy regularisation)", unit="steps", ge=1)
    augmentations: list[Literal["color", "translation", "cutout"]] = key(
        [], "DiffAugment of real and generated alike: color, translation, cutout"
    )


class OptimizerConfig(Section):
    """Adam, one for each network."""

    generator_lr: float = key(2e-4, "learning rate of the generator", gt=0.0, le=1.0)
    discriminator_lr: float = key(2e-4, "learning rate of the discriminator", gt=0.0, le=1.0)
    beta1: float = key(0.5, "Adam's decay of the mean", ge=0.0, lt=1.0)
    beta2: float = key(0.999, "Adam's decay of the variance", ge=0.0, lt=1.0)
    epsilon: float = key(1e-7, "Adam's epsilon (Keras's default)", gt=0.0)


class TrainingConfig(Section):
    """How long, in which order, and what is reported. The clock is images_seen."""

    start_from: str | None = key(None, "run or checkpoint whose networks it begins with", learned=False)
    start_digest: str | None = key(None, "sha256 of what that holds; jobs fill it in")
    schedule: Literal["notebook", "joint"] = key(
        "notebook", "notebook (discriminator on real, then on fake) or joint (both at once)"
    )
    batch_size: int = key(128, "images a step, over all workers", unit="images", ge=2)
    total_images: int = key(
        100 * 117 * 128, "length of the training (the notebook's: 100 x 117 x 128)", unit="images", learned=False, ge=1
    )
    ema_half_life_images: int = key(
        10_000,
        "half-life of the generator's average, 0 for none",
        unit="images",
        ge=0,
    )
    report_every_images: int = key(6_400, "images between two reports", unit="images", learned=False, ge=1)
    samples_every_images: int = key(64_000, "images between two sample grids", unit="images", learned=False, ge=1)


class EvaluationConfig(Section):
    """What a score is made of."""

    features: Literal["auto", "inception", "assessor"] = key(
        "auto", "inception (FID), assessor (its Fréchet distance), auto: FID if weights"
    )
    weights: str | None = key(None, "local file of the Inception weights of 2015-12-05")
    tap: Literal["auto", 64, 192, 768, 2048] = key("auto", "Inception features; auto: the deepest that is finite")
    resize: Literal["auto", "tensorflow2015", "clean"] = key(
        "auto", "tensorflow2015 (auto) or clean; where named, sizes may be mixed"
    )
    precision: Literal["float32", "bfloat16"] = key(
        "float32", "of Inception; bfloat16: faster, and tells what it moves"
    )
    metrics: Literal["auto"] | list[str] = key(
        "auto", "names (fid, kid, recall, …) or protocols (fid50k); auto: all there are"
    )
    engine: Literal["latentscape", "torchmetrics"] = key("latentscape", "whose arithmetic; torchmetrics: 2nd opinion")
    checkpoints: Literal["best", "all"] = key("best", "the best one, or every kept checkpoint of every trial")
    seeds: int = key(1, "of latents; with more than 1 each score is a mean with its sd", unit="seeds", ge=1)
    samples: int = key(5_000, "generated images in the final score", unit="images", ge=16)
    trial_samples: int = key(1_000, "generated images in the scores made while a trial trains", unit="images", ge=16)
    importance_samples: int = key(500, "codes an image in jobs.likelihood's weighted bound", unit="codes", ge=1)
    every_images: int = key(128_000, "images between two scores of a trial", unit="images", ge=1)
    batch_size: int = key(4, "blocks of 32 images computed at a time; moves no score", unit="blocks", ge=1)
    workers: PositiveInt | Literal["auto"] = key("auto", "Ray actors that share the samples; auto: one a core or GPU")
    gpus_per_worker: GpuShare | Literal["auto"] = key(
        "auto", "share of a GPU each; auto: compute's, else 1 if there are any", unit="GPUs"
    )
    seed: int = key(0, "seed of the latents; the first, where there are more", ge=0)


class AssessorConfig(Section):
    """The small CNN trained on the labels: it tags samples, and its features serve as a score's."""

    attributes: list[str] | None = key(None, "labels to learn; none named: all that the data has")
    images: int = key(20_000, "images that each of the two trains on, repeats counted", unit="images", ge=64)
    width: int = key(32, "channels of its first layer", unit="channels", ge=8)
    low: float = key(0.1, "label values up to this are 0; between low and high they are unknown", ge=0.0, le=0.5)
    high: float = key(0.9, "label values from this on are 1", ge=0.5, le=1.0)
    seed: int = key(0, "seed of its weights and batches", ge=0)


class SearchConfig(Section):
    """Which settings are tried and how trials are ended early."""

    space: dict[str, dict[str, Any]] = key({}, "key: {loguniform|uniform|randint: [low, high]} or {choice|grid: [...]}")
    trials: int = key(4, "settings to try (times each grid value)", unit="trials", ge=1)
    concurrent: PositiveInt | Literal["auto"] = key("auto", "trials at a time; auto: as many as fit", unit="trials")
    scheduler: Literal["asha", "median", "pbt", "none"] = key(
        "asha", "asha, median (both end weak trials early), pbt (weak copy strong) or none"
    )
    metric: SearchMetric = key("auto", "what trials are judged by; auto: the Fréchet distance there is")
    grace_images: int | None = key(None, "no trial ends before this; none: one evaluation", unit="images", ge=1)
    reduction_factor: int = key(3, "asha goes on with one in so many", ge=2)
    generation_images: int | None = key(None, "pbt compares so often; none: with each score", unit="images", ge=1)
    quantile: float = key(0.25, "pbt replaces so many by copies of as many", unit="share of trials", gt=0.0, le=0.5)
    sampler: Literal["random", "optuna"] = key("random", "random draws, or optuna (its model of the trials so far)")
    seeds: int = key(1, "seeds the best settings are trained with", ge=1)
    repeat_best: int = key(3, "settings trained with more seeds", unit="settings", ge=1)
    seed: int = key(0, "seed of the sampled settings", ge=0)


class LatentsConfig(Section):
    """Interpolation and arithmetic."""

    interpolation_steps: int = key(6, "pictures from one latent to the other", unit="images", ge=2)
    path_pairs: int = key(50, "pairs of samples that smoothness is measured between", unit="pairs", ge=1)
    loop_samples: int = key(6, "samples that the looping film visits; 0: no film", unit="images", ge=0, le=64)
    corner_steps: int = key(7, "side of the sheet between four corners", unit="images", ge=2, le=16)
    sheet_samples: int = key(100, "numbered samples on the contact sheet", unit="images", ge=4, le=1000)
    groups: dict[str, list[int] | dict[str, str]] = key(
        {}, "name: [numbers on the sheet, from 1] or {attribute: glasses, at: low}"
    )
    expression: str = key("glasses - no_glasses + smiling", "signed sum of groups")
    fallback_expression: str = key("old - young + female", "used where the expression's attributes are unknown")
    group_size: int = key(3, "samples a group where the assessor chooses", unit="images", ge=1)
    candidates: int = key(2_000, "samples the assessor chooses from, at most", unit="images", ge=50)
    repeats: int = key(100, "repeats, with other samples, that measure the arithmetic", unit="repeats", ge=100)
    method: Literal["difference", "interfacegan", "compass", "ganalyze", "sefa", "ganspace", "steerable"] = key(
        "interfacegan", "or difference, compass, ganalyze, sefa, ganspace, steerable"
    )
    name: str | None = key(
        None,
        "of a direction by latents.piles, or by latents.expression (difference)",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
    )
    attributes: list[str] | None = key(None, "attributes to find; none named: all that the assessor knows")
    fixed: list[str] = key([], "attributes held fixed along interfacegan's directions")
    samples: int = key(10_000, "latents that a method learns from", unit="latents", ge=64)
    side: int = key(2_500, "surest samples a side (difference, interfacegan)", unit="latents", ge=2)
    components: int = key(8, "directions that sefa and ganspace give", unit="directions", ge=1)
    edits: Literal["auto"] | list[EditName] = key(
        "auto", "steerable: zoom, shift_x, shift_y, rotate, brightness, red, …"
    )
    walk: Literal["linear", "nonlinear"] = key("linear", "of steerable: one vector, or a small network a sense")
    score: str | None = key(None, "ganalyze: package.module:function of yours that scores images; it is run")
    learning_rate: float = key(0.02, "of ganalyze and steerable", gt=0.0, le=1.0)
    directions: list[str] = key([], "files or names of directions to steer along; none named: all of the run")
    strengths: list[float] = key(
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], "how far along a direction", unit="natural steps"
    )
    strip_samples: int = key(4, "samples that a strip and a film show", unit="images", ge=1, le=16)
    effect_samples: int = key(1_000, "latents that an effect is measured on", unit="latents", ge=1_000)
    random_directions: int = key(100, "random directions that it is laid beside", unit="directions", ge=100)
    piles: str | None = key(None, "compass, difference: CSV with number and pile (low, high) of samples")
    projection_features: Literal["auto", "pixels", "assessor", "inception"] = key(
        "auto", "beside pixels: the assessor's (auto, if there is one) or Inception's"
    )
    projection_starts: int = key(4, "descents a photograph, side by side", ge=1, le=64)
    projection_steps: int = key(300, "steps of each", ge=1)
    projection_controls: int = key(8, "generated images that are to be found back", unit="images", ge=1, le=256)
    projection_held_out: int = key(16, "held-out images, where no photograph is named", unit="images", ge=1, le=1024)
    map_method: Literal["pca", "tsne"] = key("pca", "the map's plane where codes have more than two numbers")
    map_images: int = key(5_000, "held-out images on a map, at most", unit="images", ge=64)
    map_samples: int = key(5_000, "points of each kind that a map tries", unit="latents", ge=100)
    map_steps: int = key(20, "side of the sheet of a plane of two latents", unit="images", ge=2, le=40)
    map_confidence: float = key(0.9, "of the surest class; below it a picture is none", gt=0.0, le=1.0)
    map_label: str = key("digit", "the label with classes that a map is drawn by")
    seed: int = key(0, "seed of the latents", ge=0)
    start: list[str] = key([], "what studies start from: names in RUN/projections; photographs (encoder)")


class CheckpointConfig(Section):
    """What is kept on the way."""

    every_images: int | None = key(None, "images between two checkpoints; none: with each score", unit="images", ge=1)
    keep: PositiveInt | Literal["all"] = key(2, "newest checkpoints kept beside the best, or all", unit="checkpoints")


class StorageConfig(Section):
    """Where results lie."""

    path: str = key("./runs", "folder or URI (s3://, gs://) that holds the runs")
    cache_path: str | None = key(None, "images, statistics; none: <storage.path>/.cache, for a URI in ~/.cache")


class TelemetryConfig(Section):
    """Where a trial's figures go beside its own folder, TensorBoard's files and Ray's metrics."""

    mlflow: str | None = key(None, "MLflow's tracking URI, also a local store's")
    wandb: Literal["offline", "online"] | None = key(None, "Weights & Biases: offline (trials/<id>/wandb) or online")


class ComputeConfig(Section):
    """Where it runs, which is not what is learned."""

    workers: Annotated[int, Field(ge=1, le=4096)] | Annotated[str, Field(pattern=r"^[1-9]\d{0,3}\.\.[1-9]\d{0,3}$")] = (
        key(1, "DDP workers a trial; jobs.train takes 1..4: as many as fit", unit="processes")
    )
    cpus_per_worker: Annotated[float, Field(gt=0.0)] | Literal["auto"] = key(
        "auto", "auto: the cores shared out, or 1 beside a GPU", unit="cores"
    )
    gpus_per_worker: GpuShare | Literal["auto"] = key(
        "auto", "auto: 1 (at most so many workers) where there are GPUs, else 0", unit="GPUs"
    )
    precision: Literal["auto", "float32", "bfloat16", "float64"] = key(
        "auto", "auto: bfloat16 where a GPU has it or a CPU is fast at it, or float32"
    )
    images_per_pass: int | None = key(
        None, "a worker's at a time (same gradients); none: all at once", unit="images", ge=1
    )
    deterministic: bool = key(False, "the same bits each time on one kind of GPU, which costs speed")
    max_failures: int = key(2, "restarts of a trial after a worker was lost", unit="restarts", ge=0)
    resize_every_seconds: float = key(60.0, "a range of workers is fitted anew so often", unit="seconds", ge=1.0)

    @property
    def fewest_workers(self) -> int:
        """The least that a training goes on with."""
        return self.workers if isinstance(self.workers, int) else int(self.workers.partition("..")[0])

    @property
    def most_workers(self) -> int:
        """The most that a training takes."""
        return self.workers if isinstance(self.workers, int) else int(self.workers.partition("..")[2])

    @property
    def is_elastic(self) -> bool:
        """Whether the number may change while it trains."""
        return isinstance(self.workers, str)


class ExperimentKeys(Section):
    """All keys of an experiment; `Experiment` adds the checks between them."""

    name: str = key("experiment", "name of the run's folder; the YAML's stem", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = key(0, "seed of weights, batches, latents, dropout and augmentation", ge=0)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    assessor: AssessorConfig = AssessorConfig()
    search: SearchConfig = SearchConfig()
    latents: LatentsConfig = LatentsConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    storage: StorageConfig = StorageConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    compute: ComputeConfig = ComputeConfig()
