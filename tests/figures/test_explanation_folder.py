"""What `vidcam explain -o` writes: names, all checked first; nothing before there is something."""

from dataclasses import replace

import numpy as np
import pytest
from cam import oracle
from PIL import Image

from vidcam.errors import UsageError
from vidcam.figures import explanation_folder as module
from vidcam.figures.explanation_folder import ExplanationFolder, Wanted
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.explanation import Explanation, Heatmap
from vidcam.pictures.options import ExplainOptions
from vidcam.types import Rect, Score

CAT = Score(281, "虎斑猫", "tabby cat", 0.8)


def explanation(*heatmaps):
    rgb = np.full((40, 60, 3), 90, np.uint8)
    return Explanation("a.png", rgb, Rect(0, 0, 60, 40), rgb, (CAT,), heatmaps)


def heatmap(method="gradcam", asked="top1", layer="bn2", score=CAT):
    return Heatmap(method, layer, asked, score, 1.0, np.ones((2, 2), np.float32))


def outputs(folder, *files, wanted=None, overwrite=False, **options):
    wanted = wanted or Wanted(maps=True)
    named = files or ("a.png",)
    return ExplanationFolder(named, ExplainOptions(**options), str(folder), wanted, overwrite)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_made_before_something_is_written(tmp_path):
    with outputs(tmp_path / "why", wanted=Wanted(faithfulness=True)):
        assert not (tmp_path / "why").exists()
    assert not (tmp_path / "why").exists()


def test_a_map_of_each_method_class_and_layer_has_a_name_of_its_own(tmp_path):
    options = {"cam": ("gradcam", "guided"), "class_": ("a/b", "a b", "猫"), "layer": ("x.1", "y")}
    maps = [
        heatmap(method, asked, layer, Score(number, asked, asked, 0.5))
        for method, layers in (("gradcam", ("x.1", "y")), ("guided", (None,)))
        for layer in layers
        for number, asked in enumerate(options["class_"])
    ]
    with outputs(tmp_path / "why", **options) as written:
        written.save("a.png", explanation(*maps), None)
    assert names(tmp_path / "why") == sorted([
        "a-explained.png",
        *(f"a-gradcam-{asked}.npy" for asked in
          ("a_b-x.1", "a_b-y", "a_b-x.1-2", "a_b-y-2", "猫-x.1", "猫-y")),
        *(f"a-guided-{asked}.npy" for asked in ("a_b", "a_b-2", "猫")),
    ])  # fmt: skip
    with Image.open(tmp_path / "why" / "a-explained.png") as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    "taken", ["a-panels.png", "a-faithfulness.png", "faithfulness.csv", "faithfulness.png",
              "a-gradcam-top1.npy"],
)  # fmt: skip
def test_every_name_is_checked_first(tmp_path, taken):
    (tmp_path / taken).write_text("mine")
    wanted = Wanted(panels=True, maps=True, faithfulness=True)
    with pytest.raises(UsageError, match=f"{taken} exists already; -y replaces it"):
        outputs(tmp_path, wanted=wanted)
    outputs(tmp_path, wanted=wanted, overwrite=True)
    assert (tmp_path / taken).read_text() == "mine"


def test_pictures_of_one_name_do_not_meet(tmp_path):
    with outputs(tmp_path / "why", "x/a.png", "y/a.png", "y/a.jpg", wanted=Wanted()) as written:
        for path in ("x/a.png", "y/a.png", "y/a.jpg"):
            written.save(path, explanation(heatmap()), None)
    assert len(names(tmp_path / "why")) == 3


def test_the_curves_begin_and_end_at_the_picture_itself(tmp_path, monkeypatch):
    drawn = []
    plain = module.score_curves

    def noting(curves, style, title, **rest):
        drawn.append((curves, title, rest["headings"], rest["axes"]))
        return plain(curves, style, title, **rest)

    monkeypatch.setattr(module, "score_curves", noting)
    options = {"cam": ("gradcam", "eigencam"), "fit": "stretch"}
    model = oracle.as_model(oracle.network("squeezenet1_1"), 64)
    explainer = Explainer(ExplainOptions(**options), model)
    explained = explainer(oracle.pixels_of(1, 64)[0], "a.png")
    folder, wanted = tmp_path / "why", Wanted(faithfulness=True)
    with outputs(folder, "a.png", "b.png", wanted=wanted, **options) as written:
        measured = written.save("a.png", explained, explainer)
        empty = replace(explained.heatmaps[0], grid=np.zeros((2, 2), np.float32))
        assert written.save("b.png", replace(explained, heatmaps=(empty,)), explainer) == []
        means = written.finish()
    assert {name: count for name, (count, _) in means.items()} == {"gradcam": 1, "eigencam": 1}
    assert names(folder) == [
        "a-explained.png", "a-faithfulness.png", "b-explained.png", "faithfulness.csv",
        "faithfulness.png",
    ]  # fmt: skip
    curves, title, headings, axes = drawn[0]
    assert title == "a.png" and [curve.name for curve in curves] == ["gradcam", "eigencam"]
    for curve, one in zip(curves, measured, strict=True):
        found = one.faithfulness
        assert curve.note == f"drop {found.drop:+.2f}, ROAD {found.road:+.2f}"
        assert curve.shares[0] == 0 and curve.shares[-1] == 1
        assert curve.removed[0] == curve.kept[-1] == found.score
        assert np.isnan(curve.removed[-1]) and np.isnan(curve.kept[0])
        assert np.array_equal(curve.removed[1:-1], found.removed)
    assert headings == ("去掉最热的部分", "只留最热的部分") and axes[1] == "该类别的得分"
    assert [curve.name for curve in drawn[-1][0]] == ["gradcam (n = 1)", "eigencam (n = 1)"]
