"""From a folder of pictures to a video that says its folders' names, and why."""

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from training.photos import photo, photos

from vidcam.models.checkpoint import read_checkpoint
from vidcam.options import FileOptions
from vidcam.session import Session
from vidcam.sources import open_source
from vidcam.training.run import Place, train
from vidcam.training.train_options import TrainOptions

NAMES = ("蚂蚁", "蜜蜂")
SIZE = (320, 240)
EACH = 5


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with `run`, trained on two classes of Chinese names, and `clip.mp4` of strangers."""
    folder = tmp_path_factory.mktemp("own")
    pictures = photos(folder / "set", train=12, val=6, names=NAMES)
    train(str(pictures), Place(folder / "run"), TrainOptions(imgsz=96, fit="stretch", device="cpu"))
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(2 * EACH):
            picture = photo(number // EACH, 9000 + number, SIZE)
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return folder


def likeness(picture, text, font):
    """How much the best place of a picture (H, W) looks like a text in white, at any size."""
    best = 0.0
    for size_px in range(12, 30):
        face = ImageFont.truetype(str(font), size_px)
        left, top, right, bottom = face.getbbox(text)
        drawn = Image.new("L", (right - left + 2, bottom - top + 2))
        ImageDraw.Draw(drawn).text((1 - left, 1 - top), text, 255, face)
        found = cv2.matchTemplate(picture, np.asarray(drawn), cv2.TM_CCOEFF_NORMED)
        best = max(best, float(found.max()))
    return best


def test_the_folders_names_are_drawn_on_the_video(run_main, trained, root):
    out, records = trained / "out.mp4", trained / "out.jsonl"
    code, _, err = run_main(
        "file", trained / "clip.mp4", "-o", out, "--jsonl", records, "--model", trained / "run",
        "--cam", "none", "--smoothing", "0", "--topk", "1", "--backend", "torch",
    )  # fmt: skip
    assert code == 0, err
    lines = map(json.loads, Path(records).read_text("utf-8").splitlines())
    said = [line["topk"][0]["label"] for line in lines if "topk" in line]
    assert said == [NAMES[0]] * EACH + [NAMES[1]] * EACH
    font = next((root / "fonts").glob("*.otf"))
    with av.open(str(out)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    for picture, name in zip(pictures, said, strict=True):
        (other,) = set(NAMES) - {name}
        assert likeness(picture, name, font) > 0.8 > likeness(picture, other, font)


def test_the_maps_of_a_video_are_the_librarys(trained):
    library = pytest.importorskip("pytorch_grad_cam")
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    options = FileOptions(model=str(trained / "run"), backend="torch", precision="f32")
    options = replace(options, device="cpu", cam_raw=True)
    session = Session(options)
    squares, start = [], session.backend.start

    def watched(pixels, *choices):
        squares.extend(pixels.copy())
        return start(pixels, *choices)

    session.backend.start = watched
    results = list(session.results(open_source(str(trained / "clip.mp4"), options)))

    checkpoint = read_checkpoint(trained / "run" / "best.pt")
    net, preset = checkpoint.network().eval(), checkpoint.preset
    pixels = torch.from_numpy(np.stack(squares[: len(results)])).float()
    x = ((pixels - torch.tensor(preset.mean)) / torch.tensor(preset.std)).permute(0, 3, 1, 2)
    classes = [result.prediction.cam_class for result in results]
    assert len(classes) == 2 * EACH and net(x).argmax(1).tolist() == classes
    assert set(classes) == {0, 1}
    targets = [ClassifierOutputTarget(index) for index in classes]
    with library.GradCAM(net, [net.get_submodule(preset.layer)]) as cam:
        expected = cam(x.contiguous().requires_grad_(True), targets)
    maps = np.stack([result.prediction.cam for result in results])
    got = scale_cam_image(scale_cam_image(maps, (preset.size, preset.size)))
    assert got.std(axis=(1, 2)).min() > 0.05
    assert np.abs(got - expected).max() < 1e-4


def test_what_is_like_nothing_that_was_learnt_is_shown_as_unknown(trained, cat_clip):
    options = FileOptions(
        model=str(trained / "run"), backend="torch", device="cpu", cam="none", lang=("zh",)
    )
    session = Session(options)

    def shown(path):
        source = open_source(str(path), replace(options, duration=1.0))
        return [one.prediction for one in session.results(source)]

    own, strange = shown(trained / "clip.mp4"), shown(cat_clip)
    assert [one.shown[0].label for one in own] == [NAMES[0]] * EACH + [NAMES[1]] * EACH
    assert {one.shown[0].label for one in strange} == {"未知"}
    assert {one.topk[0].label for one in strange} <= set(NAMES)
