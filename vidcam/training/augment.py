"""What training does to its pictures, by name, and the evaluation that goes with it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from vidcam.errors import UsageError
from vidcam.pictures.square import square_of
from vidcam.prepare import Geometry
from vidcam.spec import Spec, check_value
from vidcam.training.options import AUGMENTS

Transform = Callable[[Image.Image], Image.Image]

SIZE_PX = 224
# The notebooks' presets come with their own squares: dog25 cuts 256 out of a side of 300.
GEOMETRIES = {
    "dog25": Geometry(256, "crop", 256 / 300),
    "catdog": Geometry(224, "stretch"),
    "scenes150": Geometry(150, "stretch"),
}
BICUBIC = v2.InterpolationMode.BICUBIC
# torch has one random state for all of a process's threads.
_chance = threading.Lock()


@dataclass(frozen=True)
class Preset:
    """How pictures become squares: `train` with chance, `eval` without, both RGB to RGB.

    `geometry` is what `eval` does, in vidcam's terms, as a checkpoint stores it; `train_text` and
    `eval_text` say both in words.
    """

    name: str
    geometry: Geometry
    train: Transform
    eval: Transform
    train_text: str
    eval_text: str

    def augmented(self, picture: Image.Image, seed: int, epoch: int, sample: int) -> Image.Image:
        """The training square of a picture, always the same for the same three numbers.

        The process's own random state is as it was afterwards. Safe in several threads, which wait
        for each other; processes do not.
        """
        numbers = np.random.SeedSequence((seed, epoch, sample)).generate_state(1, np.uint64)
        with _chance:
            before = torch.get_rng_state()
            # Not torch.manual_seed, which would also reset every GPU.
            torch.default_generator.manual_seed(int(numbers[0] >> 1))
            try:
                return self.train(picture)
            finally:
                torch.set_rng_state(before)


def preset(name: str, geometry: Geometry | None = None, imgsz: int | None = None) -> Preset:
    """A preset by its name, of AUGMENTS.

    `geometry` says how pictures are evaluated (none, light, standard, strong; else the centre crop
    of a square of 224), `imgsz` changes the side of the square alone. Those of the notebooks have
    their own: with a `geometry` they raise UsageError, and `imgsz` scales what they do. Raises
    UnknownName for an unknown name.
    """
    check_value("--augment", name, Spec("", choices=AUGMENTS, kind="augmentation"))
    if name in GEOMETRIES:
        if geometry is not None:
            raise UsageError(f"--augment {name}: has its own fit; leave --fit out")
        geometry = GEOMETRIES[name]
    geometry = geometry or Geometry(SIZE_PX, "crop", 0.875)
    if imgsz is not None:
        geometry = Geometry(imgsz, geometry.fit, geometry.crop_share)
    if name in GEOMETRIES:
        return _of_notebook(name, geometry)
    return _own(name, geometry)


def describe(one: Preset) -> str:
    """Two lines that say what a preset does to a picture, in training and in evaluation."""
    return f"train  {one.train_text}\neval   {one.eval_text}"


def _of_notebook(name: str, geometry: Geometry) -> Preset:
    """As the notebooks had them: torchvision's defaults, bilinear, antialiased."""
    size = geometry.size
    square = f"Resize {size}x{size}"
    if name == "dog25":
        resized = round(size / geometry.crop_share)
        train = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip()])
        evaluation = v2.Compose([v2.Resize(resized), v2.CenterCrop(size)])
        texts = (f"RandomResizedCrop {size}, flip", f"Resize {resized}, CenterCrop {size}")
        return Preset(name, geometry, train, evaluation, *texts)
    first = [v2.Resize((size, size)), v2.RandomHorizontalFlip()]
    evaluation = v2.Resize((size, size))
    if name == "catdog":
        jitter = v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)
        train = v2.Compose([*first, v2.RandomRotation(10), jitter])
        text = f"{square}, flip, rotation 10°, jitter 0.2 (brightness, contrast, saturation)"
    else:
        train = v2.Compose([*first, v2.RandomRotation(15)])
        text = f"{square}, flip, rotation 15°"
    return Preset(name, geometry, train, evaluation, text, square)


def _own(name: str, geometry: Geometry) -> Preset:
    """Evaluation is what every other command does to a picture, `pictures/square.py`."""

    def evaluation(picture: Image.Image) -> Image.Image:
        return Image.fromarray(square_of(picture, geometry)[0])

    eval_text = f"{geometry.fit} to {geometry.size}x{geometry.size}"
    if geometry.fit == "crop":
        eval_text += f", the centre {100 * geometry.crop_share:.1f} % of the shorter side"
    if name == "none":
        return Preset(name, geometry, evaluation, evaluation, eval_text, eval_text)
    least = {"light": 0.7, "standard": 0.35, "strong": 0.2}[name]
    cut = v2.RandomResizedCrop(geometry.size, scale=(least, 1.0), interpolation=BICUBIC)
    steps: list[Transform] = [cut, v2.RandomHorizontalFlip()]
    text = f"RandomResizedCrop {geometry.size} of {100 * least:.0f} to 100 %, flip"
    if name == "standard":
        steps.append(v2.ColorJitter(0.2, 0.2, 0.2))
        text += ", jitter 0.2 (brightness, contrast, saturation)"
    if name == "strong":
        steps.append(v2.RandAugment(num_ops=2, magnitude=9))
        text += ", RandAugment 2 of strength 9"
    return Preset(name, geometry, v2.Compose(steps), evaluation, text, eval_text)
