"""Real frames as the built-in network sees them, and how two engines' outputs on them compare."""

import av
import numpy as np
from cam import oracle

from vidcam.backends import Choice
from vidcam.prepare import Geometry, Preparer

BATCH = 8
# Where f32 has two classes this close, rounding may swap them.
MARGIN = 1.0


def real_pixels(clips, every, size):
    """(N, S, S, 3) uint8 of every `every`th frame of the clips."""
    rows = []
    for clip in clips:
        prepare = Preparer(Geometry(size, "stretch"))
        with av.open(str(clip)) as container:
            for number, picture in enumerate(container.decode(video=0)):
                if number % every == 0:
                    row = np.empty((size, size, 3), np.uint8)
                    prepare(picture, row)
                    rows.append(row)
    return np.stack(rows)


def outputs(backend, pixels, classes=None):
    """(logits, classes, normalised maps) of all pixels in batches, the last one partial."""
    logits, chosen, maps = [], [], []
    for at in range(0, len(pixels), BATCH):
        part = slice(at, at + BATCH)
        choice = Choice() if classes is None else Choice(classes[part])
        output = backend.start(pixels[part], choice)()
        logits.append(output.logits)
        chosen.append(output.classes)
        maps.append(oracle.normalised(output.maps).numpy())
    return np.concatenate(logits), np.concatenate(chosen), np.concatenate(maps)


def assert_parity(backend, pixels, reference, half):
    """The engine's labels and maps are those of torch in f32, as close as its precision allows."""
    logits, classes, expected = reference
    got_logits, got_classes, _ = outputs(backend, pixels)
    _, _, maps = outputs(backend, pixels, classes)
    same = got_classes == classes
    off = np.abs(maps - expected).max()
    if not half:
        assert same.all() and off < 1e-3
        assert np.abs(got_logits - logits).max() < 1e-3 * np.abs(logits).max()
        return
    best = np.sort(logits, 1)
    assert same.mean() >= 0.99
    assert same[best[:, -1] - best[:, -2] > MARGIN].all()
    assert off < 0.1
    assert np.abs(got_logits - logits).max() > 0, "it computed in f32"
