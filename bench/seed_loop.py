"""The loop that notebooks paste together, as a yardstick: `python bench/seed_loop.py IN OUT`.

cv2.VideoCapture, a PIL picture and torchvision's transform for each frame, a batch of one,
pytorch-grad-cam on every frame (or every Nth, whose heat is carried on), its show_cam_on_image at
full size, PIL text, and cv2.VideoWriter's mp4v. The model and the labels are vidcam's, so that the
loops differ in nothing else. Prints one JSON line; the time is without start-up.
"""

import json
import time

import click
import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchvision import transforms

from vidcam.models import Model, load_model
from vidcam.options import FileOptions
from vidcam.overlays.fonts import bundled_font

TOP = 5
TEXT_PX = 28


class Looker:
    """Network and Grad-CAM as the notebooks use them."""

    def __init__(self, model: Model) -> None:
        self._net = model.net
        self._prepare = transforms.Compose(
            [
                transforms.Resize((model.size, model.size)),
                transforms.ToTensor(),
                transforms.Normalize(
                    [value / 255 for value in model.mean], [value / 255 for value in model.std]
                ),
            ]
        )
        for parameter in model.net.parameters():
            parameter.requires_grad_(True)
        self._cam = GradCAM(model=model.net, target_layers=[model.net.bn2])
        # The first calls build the kernels: that is start-up.
        self(np.zeros((model.size, model.size, 3), np.uint8), explain=True)

    def __call__(
        self, rgb: np.ndarray, explain: bool
    ) -> tuple[torch.Tensor, torch.Tensor, np.ndarray | None]:
        """Top scores, their classes, and the heat (S, S) of the first if asked for."""
        pixels = self._prepare(Image.fromarray(rgb)).unsqueeze(0)
        with torch.no_grad():
            scores = self._net(pixels).softmax(1)[0]
        values, classes = scores.topk(TOP)
        if not explain:
            return values, classes, None
        targets = [ClassifierOutputTarget(int(classes[0]))]
        return values, classes, self._cam(input_tensor=pixels, targets=targets)[0]


def seed_loop(source: str, target: str, frames: int | None, cam_every: int) -> dict[str, float]:
    """Explain `source` into `target` the notebooks' way; frames and seconds, start-up apart."""
    model = load_model(FileOptions())
    look = Looker(model)
    font = ImageFont.truetype(str(bundled_font()), TEXT_PX)
    start_s, cpu_s = time.perf_counter(), time.process_time()
    capture = cv2.VideoCapture(source)
    width, height = (
        int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    rate = capture.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(target, cv2.VideoWriter_fourcc(*"mp4v"), rate, (width, height))
    done = 0
    while frames is None or done < frames:
        more, bgr = capture.read()
        if not more:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        values, classes, fresh = look(rgb, done % cam_every == 0)
        if fresh is not None:
            heat = cv2.resize(fresh, (width, height))
        picture = Image.fromarray(
            show_cam_on_image(rgb.astype(np.float32) / 255, heat, use_rgb=True)
        )
        draw = ImageDraw.Draw(picture)
        for row, (value, index) in enumerate(zip(values, classes, strict=True)):
            text = f"{model.labels.shown[int(index)]} {float(value):.1%}"
            draw.text((20, 20 + row * 40), text, font=font, fill=(255, 255, 255))
        writer.write(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR))
        done += 1
    writer.release()
    seconds = time.perf_counter() - start_s
    return {"frames": done, "seconds": seconds, "cpu_s": time.process_time() - cpu_s}


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--frames", type=int, help="Only so many.")
@click.option("--cam-every", default=1, help="Grad-CAM on every Nth frame.")
def main(source: str, target: str, frames: int | None, cam_every: int) -> None:
    """Print the JSON line."""
    click.echo(json.dumps(seed_loop(source, target, frames, cam_every)))


if __name__ == "__main__":
    main()
