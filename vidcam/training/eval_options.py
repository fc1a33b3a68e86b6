"""The options of `vidcam eval`, written as those of `vidcam/options.py`."""

from dataclasses import dataclass

from vidcam.options import BATCH_HELP, MOST_IN_BATCH, FontOptions, ModelOptions
from vidcam.spec import option

PARTS = ("train", "val", "test", "all")


@dataclass(frozen=True, kw_only=True)
class EvalOptions(FontOptions, ModelOptions):
    """All options of `vidcam eval` but the model's, which is an argument."""

    backend: str = option(
        "auto", "Engine of the network.", choices=("auto", "torch"), kind="backend",
        refused=("compile", "openvino"),
        refusal="gives scores without the features of the map; for eval",
    )  # fmt: skip
    precision: str = option(
        "auto", "Arithmetic of the network.", choices=("auto", "f32"), kind="precision",
        refused=("bf16", "fp16"), refusal="is for speed; networks are evaluated in",
    )  # fmt: skip
    part: str | None = option(
        None, "Which pictures: of test, val, train, or all. Default: test, else val, else all.",
        choices=PARTS, kind="part",
    )  # fmt: skip
    fit_unknown: bool = option(
        False, "Fit on the val part when to say 未知, and store it in the checkpoint."
    )
    batch: int | None = option(None, BATCH_HELP, minimum=1, maximum=MOST_IN_BATCH)
