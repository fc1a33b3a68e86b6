"""The options of `vidcam train`, written as those of `vidcam/options.py`."""

from dataclasses import dataclass

from vidcam.models.options import MOST_PX
from vidcam.options import FITS
from vidcam.spec import option
from vidcam.training.options import AUGMENTS, DataOptions
from vidcam.values import parse_device

BACKBONE, NOTHING = "backbone", "none"
# What a run that goes on may have changed: how long it goes on, and where.
CHANGEABLE = ("epochs", "patience", "workers", "device")


def parse_freeze(text: str) -> str | int:
    """`backbone`, `none`, or how many layers."""
    if text in (BACKBONE, NOTHING):
        return text
    if not text.isdigit():
        raise ValueError(f"{text!r}: write {BACKBONE}, {NOTHING} or a number of layers")
    return int(text) or NOTHING


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """All options of `vidcam train`; None leaves what suits the network."""

    arch: str | None = option(
        None, "Network: efficientnet_lite0, cnn7, simplecnn, torchvision's or timm:NAME. "
        "Default: efficientnet_lite0.",
    )  # fmt: skip
    from_: str | None = option(
        None, "Begin with the weights of a checkpoint, with a head for these classes.",
        flags=("--from",), metavar="CHECKPOINT",
    )  # fmt: skip
    scratch: bool = option(False, "Begin with random weights even where there are published ones.")
    freeze: str | int | None = option(
        None, "What keeps its weights: backbone (all but the head), none, or the first N layers. "
        "Default: backbone where it has learnt something.",
        parse=parse_freeze, metavar="backbone|none|N",
    )  # fmt: skip
    imgsz: int | None = option(
        None, "Side of the network's square in pixels. Default: chosen by cross-validation with a "
        "frozen backbone, else the network's own.", minimum=8, maximum=MOST_PX,
    )  # fmt: skip
    fit: str | None = option(
        None, "How a picture becomes the square. Default: chosen by cross-validation with a "
        "frozen backbone, else the network's own.", choices=FITS, kind="fit",
    )  # fmt: skip
    augment: str | None = option(
        None, "Augmentation. Default: mirrored pictures for a frozen "
        "backbone, else standard.", choices=AUGMENTS, kind="augmentation",
    )  # fmt: skip
    val: float = option(
        0.2, "Share for validation, of each class, where the folder has no such part.",
        minimum=0.01, maximum=0.9,
    )  # fmt: skip
    drop_class: tuple[str, ...] = option(
        (), "Leave a class out (repeatable).", multiple=True, metavar="NAME"
    )
    balance: bool = option(False, "Give each class the same weight, however many pictures it has.")
    epochs: int = option(30, "How often all pictures are seen.", minimum=1, maximum=100_000)
    patience: int = option(
        10, "End after so many epochs without a better one; 0: never.", minimum=0, maximum=100_000
    )
    batch: int = option(32, "Pictures at a time.", minimum=2, maximum=4096)
    optimizer: str = option(
        "adamw", "Optimizer.", choices=("adam", "adamw", "sgd"), kind="optimizer"
    )
    lr: float | None = option(
        None, "Learning rate. Default: 0.01 for sgd; for the others 0.001 from random weights, "
        "0.0003 else.", parse=float, minimum=1e-9, maximum=1000,
    )  # fmt: skip
    momentum: float = option(0.9, "Momentum of sgd.", minimum=0, maximum=0.999)
    weight_decay: float | None = option(
        None, "Weight decay. Default: 0.01 for adamw, else 0.0001.", parse=float,
        minimum=0, maximum=10,
    )  # fmt: skip
    scheduler: str = option(
        "cosine", "How the rate falls.", choices=("cosine", "step", "none"), kind="scheduler"
    )
    step_size: int = option(10, "Epochs between steps.", minimum=1, maximum=100_000)
    gamma: float = option(0.1, "Factor of each step.", minimum=0.0001, maximum=1)
    label_smoothing: float = option(0.0, "Share of the target given to all.", minimum=0,
                                    maximum=0.9)  # fmt: skip
    dropout: float | None = option(
        None, "Dropout before linear layers, for cnn7, simplecnn and ResNets.", parse=float,
        minimum=0, maximum=0.95,
    )  # fmt: skip
    no_batchnorm: bool = option(False, "Leave BatchNorm out, of cnn7 and ResNets.")
    workers: int | None = option(
        None, "Processes that read pictures; 0: this one. Default: 0 on a CPU, else up to 8.",
        minimum=0, maximum=256,
    )  # fmt: skip
    device: str = option("auto", "auto, cpu, cuda[:N] or mps.", parse=parse_device)
    precision: str = option(
        "auto", "Arithmetic of training; auto is bf16 on CUDA, f32 elsewhere.",
        choices=("auto", "f32", "bf16"), kind="precision", refused=("fp16",),
        refusal="loses small gradients, which bf16 keeps; for training",
    )  # fmt: skip

    @property
    def rates(self) -> tuple[float | None, float]:
        """The learning rate, None for one that suits, and the weight decay."""
        decay = self.weight_decay
        return self.lr, decay if decay is not None else (
            0.01 if self.optimizer == "adamw" else 1e-4
        )

    @property
    def settings(self) -> dict[str, float | bool]:
        """The ablations of the network, as `models/architectures.py` takes them."""
        given: dict[str, float | bool] = {}
        if self.dropout is not None:
            given["dropout"] = self.dropout
        if self.no_batchnorm:
            given["batchnorm"] = False
        return given
