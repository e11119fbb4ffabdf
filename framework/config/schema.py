"""The whole configuration: every section and key with its default, unit and bounds, in the order of reading.

Defaults are stated here and nowhere else. The file is long because there are many keys, and it is one file so that
every key is found in one place. The line of help of each key has to fit into 110 columns after `key=default`.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from framework.config.metrics import MetricName, NetworkName
from framework.config.schedule import Schedule
from framework.config.section import Section, key

GpuShare = Annotated[float, Field(ge=0.0, le=1.0)]  # a worker computes on one GPU
# Bounds that no machine reaches, so that a slip of the finger is refused at once.
MOST_IMAGES = 10**12 - 1  # the name of a checkpoint has 12 digits
MOST_SAMPLES = 10**8
MOST_TRIALS = 10_000  # of a search, over all grid values
MOST_BATCH = 2**26
MOST_SEED = 10**18
LearningRate = Annotated[float, Field(gt=0.0, le=1.0)]
Gamma = Annotated[float, Field(ge=0.0)] | Literal["auto"] | Schedule
Resolution = Literal[28, 32, 64, 128, 256]
# fmt: off
EditName = Literal["zoom", "shift_x", "shift_y", "rotate", "brightness", "red", "green", "blue"]
# fmt: on
# fmt: off
AugmentationName = Literal[
    # A new one goes to the end: the place of each is that of one of its random numbers.
    "color", "translation", "cutout", "flip", "rotation", "scale", "hue", "saturation", "noise",
]
# fmt: on
AUGMENTATIONS: tuple[AugmentationName, ...] = get_args(AugmentationName)
SearchMetric = Literal["auto", MetricName, "efficientnet_frechet_distance", "assessor_frechet_distance"]


def _in_list(value: Any) -> Any:
    """A single number as a list of one."""
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else value


# YAML reads True and 3, the names of classes, as a truth value and a number.
GroupText = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, bool | int) else value)]
Truncation = Annotated[float, Field(gt=0.0, le=4.0)]  # ψ; at 0 all samples are the same image, which no score can judge


class DataConfig(Section):
    """Where the images come from and how they are prepared."""

    source: Literal["utkface", "folder", "mnist", "drawn_faces"] = key(
        "utkface", "utkface (labels in file names), folder, mnist or drawn_faces"
    )
    path: str | None = key(None, "folder, archive, .parquet, .npz or .npy of images; mnist: IDX files")
    resolution: Resolution = key(128, "side of the square images: 28, 32, 64, 128 or 256", unit="pixels")
    channels: Literal[1, 3] = key(3, "3 for colour, 1 for grey")
    limit: int | None = key(
        None, "size of a random sample; of drawn_faces the number (10,000)", unit="images", ge=64, le=10**9
    )
    labels: str | None = key(None, "CSV or JSON of labels, also one within data.path; or folders")
    held_out: Annotated[float, Field(ge=0.0, le=0.5)] | Literal["folders"] = key(
        0.1, "kept out of training; folders: valid, val, test; mnist: own", unit="share"
    )
    max_rejected: float = key(0.05, "fail if more files are unusable", unit="share of files", ge=0.0, le=1.0)
    largest_file_bytes: int = key(512 << 20, "reject a larger image file unread", unit="bytes", ge=1 << 16, le=1 << 40)
    most_files: int = key(5_000_000, "fail if the source has more files", unit="files", ge=1)
    horizontal_flip: bool = key(False, "mirror each training image with probability 0.5")
    seed: int = key(0, "seed of the random sample and of drawn faces", ge=0, le=MOST_SEED)
    copies: Literal["once", "keep"] = key("once", "of files with the same content take one (once) or each (keep)")
    rules: Literal[1, 2] = key(2, "rules of packing (docs/images.md); a run keeps those it began with")

    @property
    def packing_rules(self) -> int:
        """The rules by which the images are packed: `rules` for files, 1 for MNIST and drawn faces, which have none."""
        return 1 if self.source in {"mnist", "drawn_faces"} else self.rules

    @property
    def takes_copies_once(self) -> bool:
        """Whether one of several files with the same content is taken; by rules 1 each of them is."""
        return self.packing_rules > 1 and self.copies == "once"


class ModelConfig(Section):
    """The networks: family, architecture and size."""

    family: Literal["gan", "autoencoder", "vae"] = key("gan", "gan, autoencoder or vae (variational autoencoder)")
    architecture: Literal["dcgan", "skip", "residual", "keras"] = key(
        "dcgan", "dcgan (of the notebooks), skip (fast), residual or keras (imported)"
    )
    width: int = key(128, "channels of each layer; skip, residual: at full size", unit="channels", ge=4, le=2048)
    blocks: int = key(1, "residual: blocks per size of the maps", unit="blocks", ge=1, le=16)
    latent_size: int = key(100, "length of a latent vector", unit="dimensions", ge=1, le=8192)
    discriminator: Literal["own", "projected", "both"] = key(
        "own", "own (of the pair), projected (on pretrained features) or both"
    )
    feature_network: Literal["efficientnet-lite0", "efficientnet-lite2"] = key(
        "efficientnet-lite0", "projected, both: efficientnet-lite0 or -lite2"
    )
    projection_channels: int = key(64, "projected, both: channels of its maps", unit="channels", ge=8, le=512)
    condition: list[str] = key([], "labels to generate by, such as [female, age]; docs/conditional.md")
    dropout: float = key(0.4, "dropout before the discriminator's output", unit="probability", ge=0.0, lt=1.0)
    entry: str | None = key(None, "your own generator, package.module:function; this code is run")
    layers: list[dict[str, Any]] | None = key(None, "generator layers, written by jobs.import_keras")
    discriminator_layers: list[dict[str, Any]] | None = key(None, "the same for the discriminator; null: a dcgan one")

    @property
    def kind(self) -> str:
        """The architecture of a GAN, else the family."""
        return self.architecture if self.family == "gan" else self.family


class ObjectiveConfig(Section):
    """The loss that training minimises."""

    loss: Literal["binary_cross_entropy", "hinge", "least_squares", "relativistic"] = key(
        "binary_cross_entropy", "binary_cross_entropy, hinge, least_squares or relativistic"
    )
    likelihood: Literal["gaussian", "bernoulli"] = key(
        "gaussian", "autoencoder, vae: pixels are gaussian or (grey) bernoulli"
    )
    deviation: float = key(0.1, "standard deviation of gaussian pixels, which are 0 to 1", gt=0.0)
    beta: float = key(1.0, "vae: weight of the KL divergence from the prior", ge=0.0)
    beta_warmup_images: int = key(0, "vae: beta rises linearly from 0 over these", unit="images", ge=0, le=MOST_IMAGES)
    r1_gamma: Gamma = key(0.0, "R1, gradient penalty on real images: weight, auto or a schedule")
    r2_gamma: Gamma = key(0.0, "R2, the same on generated images")
    r1_every_steps: int = key(16, "steps between two penalties, R1 and R2 (lazy)", unit="steps", ge=1, le=MOST_IMAGES)
    augmentations: list[AugmentationName] = key(
        [], "of real and generated: color, translation, flip, rotation, scale, …"
    )
    augmentation_probability: Annotated[float, Field(ge=0.0, le=1.0)] | Schedule | Literal["adaptive"] = key(
        1.0, "of each operation; a number, a schedule or adaptive (ADA)"
    )
    augmentation_target: float = key(0.6, "adaptive: the mean sign of the logits of real images", gt=-1.0, lt=1.0)
    augmentation_speed_images: int = key(
        500_000, "adaptive: images in which it can rise from 0 to 1", unit="images", ge=1, le=MOST_IMAGES
    )


class OptimizerConfig(Section):
    """The settings of Adam; each network has an optimizer of its own."""

    generator_lr: LearningRate | Schedule = key(2e-4, "learning rate of the generator, or a schedule")
    discriminator_lr: LearningRate | Schedule = key(2e-4, "learning rate of the discriminator, or a schedule")
    beta1: float = key(0.5, "Adam's decay rate of the gradients' mean", ge=0.0, lt=1.0)
    beta2: Annotated[float, Field(ge=0.0, lt=1.0)] | Schedule = key(
        0.999, "Adam's decay rate of the squared gradients' mean, or a schedule"
    )
    epsilon: float = key(1e-7, "Adam's epsilon (Keras's default)", gt=0.0)


class TrainingConfig(Section):
    """How long training takes, in which order it steps, and what it reports. All lengths count images_seen."""

    start_from: str | None = key(None, "run or checkpoint whose networks training starts from", learned=False)
    start_digest: str | None = key(None, "sha256 of that checkpoint; written by the jobs")
    freeze_discriminator: int = key(
        0, "with start_from: first layers not trained, from the image on", unit="layers", ge=0, le=1_000
    )
    schedule: Literal["notebook", "joint"] = key(
        "notebook", "notebook (discriminator on real, then on fake half-batches) or joint"
    )
    batch_size: int = key(128, "images per step, over all workers", unit="images", ge=2, le=MOST_BATCH)
    total_images: int = key(
        100 * 117 * 128,
        "length of the training; default as in the notebook",
        unit="images",
        learned=False,
        ge=1,
        le=MOST_IMAGES,
    )
    budget_minutes: float | None = key(
        None, "ends it after so many CPU-minutes, on a card GPU-minutes", unit="minutes", learned=False, gt=0.0, le=1e8
    )
    on_collapse: Literal["warn", "stop", "rewind"] = key(
        "warn", "warn, stop, or rewind (to the best checkpoint, half learning rates)"
    )
    most_rewinds: int = key(2, "rewinds, after which a collapse stops the training", unit="rewinds", ge=1, le=100)
    ema_half_life_images: Annotated[int, Field(ge=0, le=MOST_IMAGES)] | Schedule = key(
        10_000, "half-life of the generator's average; 0: none; or a schedule", unit="images"
    )
    report_every_images: int = key(
        6_400, "images between two reports", unit="images", learned=False, ge=1, le=MOST_IMAGES
    )
    samples_every_images: int = key(
        64_000, "images between two sample grids", unit="images", learned=False, ge=1, le=MOST_IMAGES
    )


class EvaluationConfig(Section):
    """Which scores are computed, from which images and features."""

    features: Literal["auto", NetworkName] | str = key(
        "auto", "auto, inception (FID), efficientnet, assessor, FILE or module:function"
    )
    weights: str | None = key(None, "file of Inception weights; null: fetched if missing, none: never fetched")
    tap: Literal["auto", 64, 192, 768, 2048] = key("auto", "Inception features; auto: the deepest that are finite")
    resize: Literal["auto", "tensorflow2015", "clean"] = key(
        "auto", "tensorflow2015 (auto) or clean; if named, sizes may be mixed"
    )
    precision: Literal["float32", "bfloat16"] = key(
        "float32", "Inception precision; bfloat16 is faster, its effect is reported"
    )
    metrics: Literal["auto"] | list[str] = key(
        "auto", "metrics (fid, kid, …) or protocols (fid50k); auto: a standard set"
    )
    engine: Literal["latentscape", "torchmetrics"] = key(
        "latentscape", "which code computes metrics; torchmetrics is a check"
    )
    checkpoints: Literal["best", "all"] = key("best", "the best one, or all kept checkpoints of all trials")
    seeds: int = key(1, "seeds of samples; above 1 a score is a mean with its sd", unit="seeds", ge=1, le=1_000)
    samples: int = key(5_000, "generated images in a final score", unit="images", ge=16, le=MOST_SAMPLES)
    trial_samples: int = key(
        1_000, "generated images in a score during training", unit="images", ge=16, le=MOST_SAMPLES
    )
    importance_samples: int = key(500, "codes per image in jobs.likelihood's bound", unit="codes", ge=1, le=1_000_000)
    every_images: int = key(128_000, "images between two scores during training", unit="images", ge=1, le=MOST_IMAGES)
    feature_batch_blocks: int = key(4, "batch in blocks of 32 images; same scores", unit="blocks", ge=1, le=1_024)
    workers: Annotated[int, Field(ge=1, le=4096)] | Literal["auto"] = key(
        "auto", "parallel Ray tasks or actors; auto: one per core or GPU"
    )
    gpus_per_worker: GpuShare | Literal["auto"] = key(
        "auto", "share of a GPU each; auto: as compute's, else 1 if there are GPUs", unit="GPUs"
    )
    seed: int = key(0, "seed of the samples' latents; the first of several", ge=0, le=MOST_SEED)
    truncation: Annotated[list[Truncation], BeforeValidator(_in_list)] = key(
        [1.0], "ψ of the samples of final scores; all scores for each, with a figure", min_length=1, max_length=100
    )
    per_class: str | None = key(None, "label of model.condition; final scores also for each of its classes")


class AssessorConfig(Section):
    """The assessor: two small CNNs that classify labels. They tag samples, and their features serve for scores."""

    attributes: list[str] | None = key(None, "labels to learn; null: all that the data has")
    images: int = key(
        20_000, "training images of each of the two, repeats counted", unit="images", ge=64, le=MOST_IMAGES
    )
    width: int = key(32, "channels of the first layer", unit="channels", ge=8, le=1_024)
    low: float = key(0.1, "label values up to this count as 0; between low and high as unknown", ge=0.0, le=0.5)
    high: float = key(0.9, "label values from this up count as 1", ge=0.5, le=1.0)
    seed: int = key(0, "seed of weights and batches", ge=0, le=MOST_SEED)


class SearchConfig(Section):
    """Which settings are tried, and which trials are stopped early."""

    space: dict[str, dict[str, Any]] = key({}, "key: {loguniform|uniform|randint: [low, high]} or {choice|grid: [...]}")
    trials: int = key(4, "settings to try (times each grid value)", unit="trials", ge=1, le=MOST_TRIALS)
    concurrent: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | Literal["auto"] = key(
        "auto", "trials at a time; auto: as many as fit", unit="trials"
    )
    scheduler: Literal["asha", "median", "pbt", "none"] = key(
        "asha", "asha or median (stop weak trials early), pbt (population-based), none"
    )
    metric: SearchMetric = key("auto", "metric that ranks trials; auto: the available Fréchet distance")
    grace_images: int | None = key(
        None, "no trial stops before; null: the first score", unit="images", ge=1, le=MOST_IMAGES
    )
    reduction_factor: int = key(3, "asha continues one trial in this many", ge=2, le=1_000)
    generation_images: int | None = key(
        None, "pbt compares this often; null: at each score", unit="images", ge=1, le=MOST_IMAGES
    )
    quantile: float = key(0.25, "worst trials pbt replaces by best", unit="share of trials", gt=0.0, le=0.5)
    sampler: Literal["random", "optuna"] = key("random", "random draws, or optuna (learns from finished trials)")
    seeds: int = key(1, "seeds with which the best settings are trained", ge=1, le=1_000)
    repeat_best: int = key(3, "settings that are trained with more seeds", unit="settings", ge=1, le=1_000)
    seed: int = key(0, "seed of the sampled settings", ge=0, le=MOST_SEED)


class WalksConfig(Section):
    """Walks between latents (jobs.interpolate)."""

    steps: int = key(6, "images from one latent to the other", unit="images", ge=2, le=1_000)
    pairs: int = key(50, "pairs of samples over which smoothness is measured", unit="pairs", ge=1, le=1_000_000)
    loop_samples: int = key(6, "samples in the looping film; 0: no film", unit="images", ge=0, le=64)
    corner_steps: int = key(7, "side of the grid between four samples", unit="images", ge=2, le=16)


class ArithmeticConfig(Section):
    """Sums of groups of samples (jobs.arithmetic), and the numbered sheet that groups are chosen from."""

    expression: str = key("glasses - no_glasses + smiling", "signed sum of groups")
    fallback_expression: str = key("old - young + female", "used if a group of expression is unknown")
    group_size: int = key(3, "samples per group that the assessor chooses", unit="images", ge=1, le=1_000_000)
    candidates: int = key(2_000, "samples the assessor chooses from, at most", unit="images", ge=50, le=MOST_SAMPLES)
    repeats: int = key(100, "repeats with other samples for the success rate", unit="repeats", ge=100, le=1_000_000)
    sheet_samples: int = key(100, "numbered samples on the sheet", unit="images", ge=4, le=1000)


class DirectionsConfig(Section):
    """How directions in latent space are found (jobs.discover)."""

    method: Literal["difference", "interfacegan", "compass", "ganalyze", "sefa", "ganspace", "steerable"] = key(
        "interfacegan", "or difference, compass, ganalyze, sefa, ganspace, steerable"
    )
    name: str | None = key(
        None,
        "name of a direction from sorted_samples, expression or score",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
    )
    attributes: list[str] | None = key(None, "attributes to find; null: all that the assessor knows")
    fixed: list[str] = key([], "interfacegan: attributes that should not change")
    samples: int = key(10_000, "latents that a method learns from", unit="latents", ge=64, le=MOST_SAMPLES)
    per_class: int = key(
        2_500, "difference, interfacegan: surest samples per class", unit="latents", ge=2, le=MOST_SAMPLES
    )
    components: int = key(8, "sefa, ganspace: number of directions", unit="directions", ge=1, le=8_192)
    edits: Literal["auto"] | list[EditName] = key(
        "auto", "steerable: zoom, shift_x, shift_y, rotate, brightness, red, …"
    )
    path: Literal["linear", "nonlinear"] = key(
        "linear", "steerable: linear (one vector) or nonlinear (a small network)"
    )
    score: str | None = key(None, "ganalyze: your own score, package.module:function; it is run")
    learning_rate: float = key(0.02, "ganalyze, steerable: learning rate", gt=0.0, le=1.0)
    sorted_samples: str | None = key(None, "compass, difference: CSV with number and pile (low, high)")


class SteeringConfig(Section):
    """Which directions samples are moved along, and how their effect is measured (jobs.steer)."""

    directions: list[str] = key([], "names or files of directions; empty: all directions of the run")
    strengths: list[Annotated[float, Field(ge=-1000.0, le=1000.0)]] = key(
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], "how far samples are moved", unit="natural steps"
    )
    strip_samples: int = key(4, "samples in a strip and in a film", unit="images", ge=1, le=16)
    effect_samples: int = key(
        1_000, "latents over which an effect is measured", unit="latents", ge=1_000, le=MOST_SAMPLES
    )
    random_directions: int = key(100, "random directions to compare with", unit="directions", ge=100, le=1_000_000)


class ProjectionConfig(Section):
    """How the latent of a photograph is searched for (jobs.project)."""

    features: Literal["auto", "pixels", "assessor", "efficientnet", "inception"] = key(
        "auto", "features compared besides pixels; auto: assessor, else efficientnet"
    )
    starts: int = key(4, "parallel optimisation starts per photograph", ge=1, le=64)
    steps: int = key(300, "optimisation steps per start", ge=1, le=1_000_000)
    controls: int = key(8, "generated images projected as a control", unit="images", ge=1, le=256)
    held_out: int = key(16, "held-out images if no photograph is named", unit="images", ge=1, le=1024)


class MapsConfig(Section):
    """Maps of the latent space of an autoencoder or VAE (jobs.latent_map)."""

    method: Literal["pca", "tsne"] = key("pca", "projection to a plane if latents have more than 2 dimensions")
    images: int = key(5_000, "held-out images on a map, at most", unit="images", ge=64, le=MOST_SAMPLES)
    samples: int = key(5_000, "points of each kind that are decoded", unit="latents", ge=100, le=MOST_SAMPLES)
    steps: int = key(20, "side of the sheet of decoded 2-dimensional latents", unit="images", ge=2, le=40)
    confidence: float = key(0.9, "minimum classifier confidence; less confident images have no class", gt=0.0, le=1.0)
    label: str = key("digit", "label whose classes colour the map")


class LatentsConfig(Section):
    """Studies of the latent space: what all of them share, and a section for each."""

    groups: dict[str, list[int] | dict[str, GroupText]] = key(
        {}, "name: [numbers on the sheet, from 1] or {attribute: glasses, at: low}"
    )
    seed: int = key(0, "seed of the samples' latents", ge=0, le=MOST_SEED)
    truncation: float = key(1.0, "ψ, the scale of sampled latents; below 1 typical, less varied images", ge=0.0, le=4.0)
    start: list[str] = key([], "where studies start: names in RUN/projections, or photographs")
    condition: dict[str, str | float | None] = key(
        {}, "conditional generators: label: value of all samples; null: unknown"
    )
    walks: WalksConfig = WalksConfig()
    arithmetic: ArithmeticConfig = ArithmeticConfig()
    directions: DirectionsConfig = DirectionsConfig()
    steering: SteeringConfig = SteeringConfig()
    projection: ProjectionConfig = ProjectionConfig()
    maps: MapsConfig = MapsConfig()


class CheckpointConfig(Section):
    """Which checkpoints are kept."""

    every_images: int | None = key(
        None, "images between checkpoints; null: at each score", unit="images", ge=1, le=MOST_IMAGES
    )
    keep: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["all"] = key(
        2, "newest checkpoints kept besides the best, or all", unit="checkpoints"
    )


class StorageConfig(Section):
    """Where results are stored."""

    path: str = key("./runs", "folder or URI (s3://, gs://) that holds the runs")
    cache_path: str | None = key(None, "cache of images and statistics; null: <storage.path>/.cache")


class TelemetryConfig(Section):
    """Where metrics are sent, besides the trial's own files, TensorBoard and Ray."""

    mlflow: str | None = key(None, "MLflow tracking URI, or that of a local store")
    wandb: Literal["offline", "online"] | None = key(None, "Weights & Biases: offline (trials/<id>/wandb) or online")


class ComputeConfig(Section):
    """Where training runs; apart from rounding this does not change what is learned."""

    workers: Annotated[int, Field(ge=1, le=4096)] | Annotated[str, Field(pattern=r"^[1-9]\d{0,3}\.\.[1-9]\d{0,3}$")] = (
        key(1, "DDP workers per trial; jobs.train also takes a range, 1..4", unit="processes")
    )
    cpus_per_worker: Annotated[float, Field(gt=0.0, le=4096.0)] | Literal["auto"] = key(
        "auto", "auto: an equal share of the cores, or 1 with a GPU", unit="cores"
    )
    gpus_per_worker: GpuShare | Literal["auto"] = key(
        "auto", "auto: 1 if there are GPUs (limits the workers), else 0", unit="GPUs"
    )
    precision: Literal["auto", "float32", "bfloat16", "float64"] = key(
        "auto", "auto: bfloat16 where the GPU or CPU is fast at it, else float32"
    )
    images_per_pass: int | None = key(
        None, "images a worker computes at once, same gradients; null: all", unit="images", ge=1, le=MOST_BATCH
    )
    deterministic: bool = key(False, "bit-identical on the same kind of GPU, but slower")
    max_failures: int = key(2, "restarts of a trial after losing a worker", unit="restarts", ge=0, le=1_000_000)
    resize_every_seconds: float = key(
        60.0, "how often the number of workers in a range is adapted", unit="seconds", ge=1.0, le=1e9
    )

    @property
    def fewest_workers(self) -> int:
        """The least number of workers that a training continues with."""
        return self.workers if isinstance(self.workers, int) else int(self.workers.partition("..")[0])

    @property
    def most_workers(self) -> int:
        """The largest number of workers that a training uses."""
        return self.workers if isinstance(self.workers, int) else int(self.workers.partition("..")[2])

    @property
    def is_elastic(self) -> bool:
        """Whether the number of workers may change during training."""
        return isinstance(self.workers, str)


class ExperimentKeys(Section):
    """All keys of an experiment; `Experiment` adds the checks between them."""

    name: str = key(
        "experiment", "name of the run's folder; default: the YAML file's name", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
    )
    seed: int = key(0, "seed of weights, batches, latents, dropout and augmentation", ge=0, le=MOST_SEED)
    recipe: str | None = key(None, "one of recipes, whose settings are added")
    recipes: dict[str, dict[str, Any]] = key({}, "name: {key: value, ...}, settings under a name")
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
