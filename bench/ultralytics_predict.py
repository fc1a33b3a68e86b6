"""ultralytics' `predict` on vidcam's network: `python bench/ultralytics_predict.py CLIP FOLDER`.

The network is exported to ONNX, softmax and normalisation inside, with the metadata by which
ultralytics knows a classifier, and runs in onnxruntime. `predict` draws its labels on every frame
and saves a video (Motion JPEG is what it writes on Linux); it makes no map. Prints one JSON line;
the time is without start-up.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

NEEDS = "ultralytics onnx onnxruntime onnxscript"
# ultralytics asks these when it is imported: no network, no installing, no settings of the user's.
os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}


def export(path: Path) -> None:
    """Write vidcam's built-in network as ultralytics wants a classifier."""
    import onnx
    import torch
    from torch import Tensor, nn

    from vidcam.models import load_model
    from vidcam.options import FileOptions

    model = load_model(FileOptions(lang=("en",)))

    class Classifier(nn.Module):
        """Pixels (N, 3, S, S) in 0..1 to probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.net = model.net
            self.register_buffer("mean", torch.tensor(model.mean).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(model.std).view(1, 3, 1, 1))

        def forward(self, pixels: Tensor) -> Tensor:
            """As the class says."""
            return self.net((pixels * 255 - self.mean) / self.std).softmax(1)

    sample = (torch.zeros(1, 3, model.size, model.size),)
    names = {"input_names": ["images"], "output_names": ["output0"]}
    torch.onnx.export(
        Classifier().eval(), sample, path, **names, dynamo=True, external_data=False, verbose=False
    )
    written = onnx.load(path)
    about: dict[str, Any] = {
        "task": "classify", "names": dict(enumerate(model.labels.shown)),
        "imgsz": [model.size, model.size], "stride": 1, "batch": 1, "channels": 3,
    }  # fmt: skip
    for key, value in about.items():
        entry = written.metadata_props.add()
        entry.key, entry.value = key, str(value)
    onnx.save(written, path)


def predict(clip: str, network: Path, folder: Path) -> dict[str, Any]:
    """Run once to set up, then with the clock on the whole clip."""
    from ultralytics import YOLO

    model = YOLO(str(network), task="classify")
    settings: dict[str, Any] = {
        "save": True, "stream": True, "verbose": False,
        "project": str(folder), "name": "predicted", "exist_ok": True,
    }  # fmt: skip
    started = model.predict(clip, **settings)
    next(started)
    started.close()
    start_s, cpu_s = time.perf_counter(), time.process_time()
    frames = 0
    for result in model.predict(clip, **settings):
        frames += 1
        label = result.names[result.probs.top1]
    seconds = time.perf_counter() - start_s
    return {
        "frames": frames,
        "seconds": seconds,
        "cpu_s": time.process_time() - cpu_s,
        "last_label": label,
    }


@click.command()
@click.argument("clip")
@click.argument("folder", type=click.Path(path_type=Path))
def main(clip: str, folder: Path) -> None:
    """Print the JSON line; the exported network stays in FOLDER for the next run."""
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    network = folder / "network.onnx"
    said, sys.stdout = sys.stdout, sys.stderr  # both libraries talk on stdout
    try:
        if not network.exists():
            export(network)
        report = predict(clip, network, folder)
    except ImportError:
        raise click.ClickException(f"not installed: pip install {NEEDS}") from None
    finally:
        sys.stdout = said
    click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
