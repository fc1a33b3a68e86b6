"""One batch of a data set as the network sees it."""

from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch

from vidcam.errors import SourceError
from vidcam.pictures.inputs import readable
from vidcam.pictures.reading import read_picture
from vidcam.training.augment import Preset, preset
from vidcam.training.dataset import find_dataset
from vidcam.training.options import PreviewOptions
from vidcam.types import Pixels

# ImageNet's, which nearly all networks are given.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Shown:
    """A batch: `pixels` (N, S, S, 3) uint8 RGB, denormalised, and a label for each.

    `unread` are the pictures that could not be decoded, each with its reason; others stand in.
    """

    pixels: Pixels
    labels: tuple[str, ...]
    preset: Preset
    unread: tuple[str, ...]


def batch_of(folder: str | PathLike[str], options: PreviewOptions) -> Shown:
    """A shuffled batch of the first part (train, where there is one), augmented.

    It passes through the network's normalisation and back, so that what it loses is seen. Raises
    SourceError when the folder holds no data set or no picture of it can be read, UsageError for
    wrong options.
    """
    dataset = find_dataset(folder)
    chosen = preset(options.augment, imgsz=options.imgsz)
    samples = next(part for part in dataset.parts if part.samples).samples
    order = np.random.default_rng((options.seed, options.epoch)).permutation(len(samples))
    batch: list[torch.Tensor] = []
    labels: list[str] = []
    unread: list[str] = []
    for index in order.tolist():
        if len(batch) == options.batch:
            break
        sample = samples[index]
        try:
            picture = read_picture(sample.path)
        except SourceError as error:
            unread.append(str(error))
            continue
        square = chosen.augmented(picture, options.seed, options.epoch, index)
        batch.append(normalised(np.asarray(square)))
        labels.append(readable(dataset.classes[sample.label]))
    if not batch:
        raise SourceError(
            f"{readable(dataset.folder)}: no picture could be read; vidcam data check says why"
        )
    return Shown(denormalised(torch.stack(batch)), tuple(labels), chosen, tuple(unread))


def normalised(square: Pixels) -> torch.Tensor:
    """(3, S, S) float32 of (S, S, 3) uint8, by ImageNet's means and deviations."""
    scaled = torch.from_numpy(square.copy()).permute(2, 0, 1).float() / 255
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)


def denormalised(batch: torch.Tensor) -> Pixels:
    """(N, S, S, 3) uint8 of what the network is given, (N, 3, S, S) float32."""
    scaled = batch * torch.tensor(DEVIATION).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    rounded = (scaled * 255).round().clamp(0, 255).to(torch.uint8)
    return np.asarray(rounded.permute(0, 2, 3, 1).contiguous().numpy())
