"""Faithfulness of the maps of pictures: which are measured, on what square, and as what CSV."""

import csv
import io

import numpy as np
import pytest
from cam import oracle
from pictures import drawn

from vidcam.cam.faithfulness import PERCENT, Faithfulness
from vidcam.pictures.explainer import Explainer
from vidcam.pictures.maps import filled_part
from vidcam.pictures.options import ExplainOptions
from vidcam.pictures.trust import CSV_HEADER, Trust, csv_rows, means, measure
from vidcam.types import Score

SIZE = 64
SHARES = np.array(PERCENT, np.float32) / 100


@pytest.fixture(scope="module")
def explainer():
    net = oracle.network("squeezenet1_1")
    options = ExplainOptions(lang=("en",), fit="pad", cam=("gradcam", "eigencam"))
    return Explainer(options, oracle.as_model(net, SIZE))


def test_what_is_measured_are_the_maps_that_show_something(explainer):
    from dataclasses import replace

    explanation = explainer(drawn.soft())
    first, second = explanation.heatmaps
    absent = replace(second, evidence=0.0)
    empty = replace(first, grid=np.zeros_like(first.grid))
    found = measure(explainer, replace(explanation, heatmaps=(first, absent, empty, second)))
    assert [one.method for one in found] == ["gradcam", "eigencam"]
    assert {one.row_name for one in found} == {"gradcam", "eigencam"}
    assert measure(explainer, replace(explanation, heatmaps=(absent,))) == []
    whole = found[0].faithfulness
    assert whole.score == pytest.approx(first.score.score, abs=1e-5)
    assert whole.removed.shape == whole.kept.shape == (len(PERCENT),)
    again = measure(explainer, explanation)[0].faithfulness
    assert np.array_equal(again.removed, whole.removed)


def test_the_filled_part_is_where_the_picture_lies(explainer):
    explanation = explainer(np.zeros((48, 64, 3), np.uint8))
    part = filled_part(explainer.geometry, explanation.crop)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[part.y : part.y + part.height, part.x : part.x + part.width] = True
    assert np.array_equal(explanation.square[..., 0] == 0, inside)
    assert not inside.all()


def trust(name, row, label, removed, kept, score=0.8):
    curve = (np.full(len(PERCENT), value, np.float32) for value in (removed, kept))
    found = Faithfulness(SHARES, *curve, score)
    return Trust(name, row, row, None, Score(3, label, "cat", score), found)


def test_the_mean_of_each_row_over_pictures():
    found = means([
        trust("a.png", "gradcam", "猫", 0.2, 0.6), trust("b.png", "gradcam", "猫", 0.4, 0.8),
        trust("a.png", "layercam", "猫", 0.1, 0.1),
    ])  # fmt: skip
    assert {name: count for name, (count, _) in found.items()} == {"gradcam": 2, "layercam": 1}
    mean = found["gradcam"][1]
    assert mean.drop == pytest.approx(0.5) and mean.road == pytest.approx(0.2)
    assert means([]) == {}


def test_the_csv_has_a_row_a_map():
    stream = io.StringIO(newline="")
    write = csv_rows(stream)
    write(trust("图,1.png", "gradcam", "猫", 0.2, 0.6))
    [row] = csv.DictReader(io.StringIO(stream.getvalue()))
    assert tuple(row) == CSV_HEADER
    assert row["file"] == "图,1.png" and row["label"] == "猫" and row["layer"] == ""
    assert float(row["drop"]) == pytest.approx(0.6) and float(row["road"]) == pytest.approx(0.2)
    assert float(row["removed_90"]) == pytest.approx(0.2)
    assert float(row["kept_10"]) == pytest.approx(0.6)
