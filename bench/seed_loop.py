"""The loop that notebooks paste together, as a yardstick: `python bench/seed_loop.py IN OUT [N]`.

cv2.VideoCapture, a PIL picture and torchvision's transform for each frame, a batch of one,
pytorch-grad-cam on every frame, its show_cam_on_image at full size, PIL text, and
cv2.VideoWriter's mp4v. The model and the labels are vidcam's, so that the loops differ in nothing
else. Prints one JSON line.
"""

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchvision import transforms

from vidcam.models import load_model
from vidcam.options import FileOptions
from vidcam.overlays.fonts import bundled_font

TOP = 5
TEXT_PX = 28


def seed_loop(source: Path, target: Path, frames: int | None = None) -> dict[str, float]:
    """Explain `source` into `target` the notebooks' way; frames and seconds, start-up apart."""
    model = load_model(FileOptions())
    prepare = transforms.Compose(
        [
            transforms.Resize((model.size, model.size)),
            transforms.ToTensor(),
            transforms.Normalize(
                [value / 255 for value in model.mean], [value / 255 for value in model.std]
            ),
        ]
    )
    font = ImageFont.truetype(str(bundled_font()), TEXT_PX)
    for parameter in model.net.parameters():
        parameter.requires_grad_(True)
    cam = GradCAM(model=model.net, target_layers=[model.net.bn2])
    capture = cv2.VideoCapture(str(source))
    width = capture.get(cv2.CAP_PROP_FRAME_WIDTH)
    height = capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    size = int(width), int(height)
    rate = capture.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    start = time.perf_counter()
    done = 0
    while frames is None or done < frames:
        more, bgr = capture.read()
        if not more:
            break
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        pixels = prepare(Image.fromarray(rgb)).unsqueeze(0)
        with torch.no_grad():
            scores = model.net(pixels).softmax(1)[0]
        values, classes = scores.topk(TOP)
        heat = cam(input_tensor=pixels, targets=[ClassifierOutputTarget(int(classes[0]))])[0]
        heat = cv2.resize(heat, size)
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
    return {"frames": done, "seconds": time.perf_counter() - start}


def main() -> None:
    """The command line."""
    source, target, *rest = sys.argv[1:]
    result = seed_loop(Path(source), Path(target), int(rest[0]) if rest else None)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
