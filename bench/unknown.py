"""How often unknown is said of classes that were left out: `python bench/unknown.py FOLDER`.

FOLDER holds train/, val/ and test/ with a folder a class. For each of `--draws` draws the head of
the built-in network learns all classes but `--drop` of them, "unknown" is fitted on val, and what
it says is measured on test: of the classes that were learnt, and of those left out, which are shown
with all their pictures. Prints one JSON line, with thresholds on the scores alone and with
neighbours too.
"""

import json
from itertools import combinations

import click
import numpy as np
from numpy.typing import NDArray
from report import machine, versions

from vidcam.models import load_model
from vidcam.options import FileOptions
from vidcam.prepare import Geometry
from vidcam.training.choose import FOLDS, folds_of, groups_of
from vidcam.training.dataset import TEST, TRAIN, VAL, find_dataset
from vidcam.training.features import Backbone, Features, features_of, labels_of, plain, side_px
from vidcam.training.logistic import solve
from vidcam.training.unknown import Learnt, fit_unknown, measure_unknown

STRENGTH = 0.03
Part = tuple[Features, NDArray[np.int64]]


def shares(parts: dict[str, Part], groups: NDArray[np.int64], dropped: tuple[int, ...]) -> list:
    """For scores alone and with neighbours: accuracy, what is kept, what is said of strangers."""
    (train, labels), (val, val_labels), (test, test_labels) = (
        parts[name] for name in (TRAIN, VAL, TEST)
    )
    known = np.setdiff1d(np.unique(labels), dropped)
    place = np.full(labels.max() + 1, -1)
    place[known] = np.arange(len(known))
    mine, vals, tests = (np.isin(own, known) for own in (labels, val_labels, test_labels))
    head = solve(train[mine], place[labels[mine]], len(known), STRENGTH)
    folds = folds_of(place[labels[mine]], groups[mine], seed=0)
    learnt = Learnt.of(train[mine], folds, val[vals])
    strange = np.concatenate([train[~mine], val[~vals], test[~tests]])
    found = []
    for given in (None, learnt):
        unknown = fit_unknown(head(val[vals]), place[val_labels[vals]], learnt=given)
        said = measure_unknown(
            unknown, head(test[tests]), place[test_labels[tests]], head(strange), test[tests],
            strange,
        )  # fmt: skip
        right = (head(test[tests]).argmax(1) == place[test_labels[tests]]).mean()
        found.append((right, said.kept, said.of_strange))
    return found


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--drop", default=2, help="So many classes are left out.")
@click.option("--draws", default=50, help="So many choices of them at most.")
def main(folder: str, drop: int, draws: int) -> None:
    """Print the JSON line."""
    dataset = find_dataset(folder)
    model = load_model(FileOptions())
    geometry = Geometry(model.size, "crop", model.crop_share)
    backbone = Backbone(model.net, model.mean, model.std, model.size)
    parts: dict[str, Part] = {}
    for name in (TRAIN, VAL, TEST):
        part = dataset.part(name)
        if part is None:
            raise click.UsageError(f"{folder} has no {name}/")
        views = [(side_px(geometry), plain(geometry))]
        (features,) = features_of(part.samples, views, backbone, {})
        parts[name] = features, labels_of(part.samples, {})
    train = dataset.part(TRAIN)
    groups = groups_of([sample.path for sample in train.samples] if train else [])
    every = list(combinations(range(len(dataset.classes)), drop))
    chosen = np.random.default_rng(0).permutation(len(every))[:draws]
    rows = np.array([shares(parts, groups, every[number]) for number in chosen], float)
    told = {
        name: dict(zip(("top1", "kept", "of_strange"), rows[:, n].mean(0).round(4), strict=True))
        for n, name in enumerate(("scores", "with neighbours"))
    }
    counts = {name: len(features) for name, (features, _) in parts.items()}
    click.echo(json.dumps({
        "bench": "unknown", "classes": len(dataset.classes), "dropped": drop, "draws": len(chosen),
        "pictures": counts, "folds": FOLDS, "shares": told,
        "machine": machine(), "versions": versions(),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
