"""Labelled pictures through a network: which class is meant, what is measured, what stands out."""

import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from checkpoints import small_checkpoint
from drawn_set import fill, picture
from PIL import Image
from scipy.special import softmax
from torchvision import models

from vidcam.errors import SourceError, UsageError
from vidcam.models.checkpoint import read_checkpoint
from vidcam.overlays.words import say
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predictor
from vidcam.training.dataset import find_dataset
from vidcam.training.eval_options import EvalOptions
from vidcam.training.eval_sides import check_outside, choose_sides
from vidcam.training.evaluate import Evaluator
from vidcam.training.evaluation import Evaluation
from vidcam.training.report import page, percent
from vidcam.training.worst import Wrong, confused_pairs, wrong_answers
from vidcam.values import LANGUAGES

COLOURS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return small_checkpoint(tmp_path_factory.mktemp("network"), COLOURS, fit="crop")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of six pictures, and one of two that the network lacks."""
    names = [f"{colour}/{n}.png" for colour in COLOURS for n in range(6)]
    return fill(tmp_path_factory.mktemp("pictures"), [*names, "pink/0.png", "pink/1.png"])


def options(model, **more):
    return EvalOptions(model=str(model), device="cpu", **more)


def answered(checkpoint, folder, **more):
    evaluator = Evaluator(options(checkpoint, **more))
    matched = evaluator.match(find_dataset(folder))
    return evaluator, evaluator(matched.places, matched.dataset.samples)


def evaluated(model, folder, details=True, **more):
    given = options(model, **more)
    dataset = find_dataset(folder)
    return Evaluation(given, dataset, choose_sides(dataset, given))(details=details)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_answers_are_those_of_vidcam_image(checkpoint, folder, fit):
    evaluator, answers = answered(checkpoint, folder, fit=fit, batch=4)
    image = ImageOptions(model=str(checkpoint), fit=fit, backend="torch", device="cpu", topk=None)
    for own, seen in zip(softmax(answers.logits, 1), Predictor(image)(answers.paths), strict=True):
        scores = {one.index: one.score for one in seen.prediction.topk}
        assert own.tolist() == pytest.approx([scores[n] for n in range(3)], abs=1e-5)
    assert answers.labels.tolist() == [2] * 6 + [1] * 6 + [-1] * 2 + [0] * 6
    assert answers.logits.dtype == np.float32 and evaluator.names == COLOURS


def test_the_features_are_what_the_last_layer_sees(tmp_path, folder):
    net = models.resnet18(num_classes=3)
    torch.save({"vidcam": 1, "arch": "resnet18", "labels": COLOURS, "size": 64,
                "state_dict": net.state_dict()}, tmp_path / "resnet.pt")  # fmt: skip
    evaluator, answers = answered(tmp_path / "resnet.pt", folder)
    head = evaluator.model.net.fc
    again = answers.features @ head.weight.numpy().T + head.bias.numpy()
    assert answers.features.shape == (20, 512)
    assert np.allclose(again, answers.logits, atol=1e-4)


def test_a_head_of_convolution_gives_one_vector_a_picture(checkpoint, folder):
    _, answers = answered(checkpoint, folder)
    assert answers.features.shape == (20, 512)


@pytest.mark.parametrize(
    ("labels", "name", "place"),
    [(("10", "2", "1"), "2", 1), (("10", "2", "1"), "0", None), (("Katze", "x", "y"), "katze", 0),
     (("猫", "狗", "cat"), "狗", 1), (("a", "A", "b"), "A", 1)],
)  # fmt: skip
def test_folders_are_the_models_own_names(tmp_path, labels, name, place):
    model = small_checkpoint(tmp_path, labels)
    folder = fill(tmp_path / "set", [f"{name}/1.png", f"{labels[0]}/2.png"])
    matched = Evaluator(options(model)).match(find_dataset(folder))
    found = dict(zip(matched.dataset.classes, matched.places, strict=True))
    assert found[name] == place


def test_folders_of_imagenet_are_names_in_any_language_or_wordnet_ids(tmp_path):
    names = ["虎斑猫", "espresso", "n02123045", "2024", "281", "nothing such"]
    folder = fill(tmp_path, [f"{name}/1.png" for name in names])
    evaluator = Evaluator(options("efficientnet_lite0", lang="ja"))
    matched = evaluator.match(find_dataset(folder))
    found = dict(zip(matched.dataset.classes, matched.places, strict=True))
    assert found == {"虎斑猫": 281, "espresso": 967, "n02123045": 281, "2024": None, "281": None,
                     "nothing such": None}  # fmt: skip
    only = Evaluator(options("efficientnet_lite0", classes="tabby cat,espresso"))
    places = dict(zip(matched.dataset.classes, only.match(matched.dataset).places, strict=True))
    assert only.names == ("虎斑猫", "浓缩咖啡")
    assert (places["虎斑猫"], places["n02123045"], places["espresso"]) == (0, 0, 1)
    assert len(evaluator.names) == len(set(evaluator.names)) == 1000


def test_a_folder_of_other_classes_is_refused_with_the_names(checkpoint, tmp_path):
    fill(tmp_path, ["cat/1.png", "dog/1.png"])
    with pytest.raises(UsageError, match=r"folders are cat, dog.*classes are red, green, blue"):
        Evaluator(options(checkpoint)).match(find_dataset(tmp_path))


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(checkpoint, tmp_path):
    fill(tmp_path, ["red/1.png", "red/2.png", "blue/1.png"])
    (tmp_path / "red" / "2.png").write_bytes(b"no picture")
    _, answers = answered(checkpoint, tmp_path)
    assert [path[-9:] for path in answers.paths] == ["lue/1.png", "red/1.png"]
    (reason,) = answers.unread
    assert "red/2.png: is not a picture" in reason
    (tmp_path / "red" / "1.png").write_bytes(b"")
    (tmp_path / "blue" / "1.png").write_bytes(b"")
    with pytest.raises(SourceError, match="no picture could be read"):
        answered(checkpoint, tmp_path)


def test_a_network_without_numbers_is_refused(tmp_path, folder):
    path = small_checkpoint(tmp_path, COLOURS)
    payload = torch.load(path, weights_only=True)
    payload["state_dict"]["classifier.1.bias"][0] = float("nan")
    torch.save(payload, path)
    with pytest.raises(UsageError, match="it is broken"):
        answered(path, folder)


def test_the_part_is_test_else_val_else_all(tmp_path, folder):
    dataset = find_dataset(folder)
    assert choose_sides(dataset, options("x")).part == "all"
    for part, says in (("val", "it is not divided"), ("test", "vidcam data split")):
        with pytest.raises(UsageError, match=says):
            choose_sides(dataset, options("x", part=part))
    names = ["train/red/1.png", "val/red/2.png", "test/red/3.png"]
    fill(tmp_path, names)
    assert choose_sides(find_dataset(tmp_path), options("x")).part == "test"
    whole = choose_sides(find_dataset(tmp_path), options("x", part="all"))
    assert len(whole.samples) == 3 and whole.fit == ()
    shutil.rmtree(tmp_path / "test")
    assert choose_sides(find_dataset(tmp_path), options("x")).part == "val"


def test_thresholds_are_never_fitted_on_what_is_evaluated(tmp_path, folder):
    fill(tmp_path, ["train/red/1.png", "val/red/2.png"])
    with pytest.raises(UsageError, match="needs a test part"):
        choose_sides(find_dataset(tmp_path), options("x", fit_unknown=True))
    with pytest.raises(UsageError, match="no val part to fit on"):
        choose_sides(find_dataset(folder), options("x", fit_unknown=True))
    fill(tmp_path, ["test/red/3.png"], 5)
    sides = choose_sides(find_dataset(tmp_path), options("x", fit_unknown=True))
    assert not {one.path for one in sides.fit} & {one.path for one in sides.samples}
    for part in ("val", "all"):
        with pytest.raises(UsageError, match="fits on val"):
            choose_sides(find_dataset(tmp_path), options("x", fit_unknown=True, part=part))


def test_results_do_not_lie_among_the_pictures(tmp_path):
    for name in ("", "out", "train/out"):
        with pytest.raises(UsageError, match="would be a class"):
            check_outside(str(tmp_path / name), str(tmp_path))
    check_outside(str(tmp_path.parent / "out"), str(tmp_path))


def test_what_new_pictures_are_held_against_is_train_or_what_the_model_has(tmp_path, folder):
    path = small_checkpoint(tmp_path, COLOURS)
    for part in ("train", "val", "test"):
        shutil.copytree(folder, tmp_path / "set" / part)
    evaluated(path, tmp_path / "set", False, fit_unknown=True)
    first = read_checkpoint(path).neighbours
    assert first.features.shape == (18, 512)
    shutil.rmtree(tmp_path / "set" / "train")
    evaluated(path, tmp_path / "set", False, fit_unknown=True)
    again = read_checkpoint(path).neighbours
    assert np.array_equal(again.features, first.features)
    assert again.least == pytest.approx(first.least, abs=1e-3)


def test_classes_that_the_model_lacks_are_left_out_and_counted(checkpoint, folder):
    found = evaluated(checkpoint, folder, details=False)
    told = found.as_record()
    assert (told["n"], told["left_out"], told["left_out_classes"]) == (18, 2, {"pink": 2})
    assert told["unknown"] is None and set(told["per_class"]) == set(COLOURS)
    tops = found.answers.logits.argmax(1)
    assert told["top1"] == np.mean(tops == found.answers.labels) and told["top5"] == 1.0
    part = shutil.copytree(folder / "pink", folder.parent / "divided" / "test" / "pink")
    shutil.copytree(folder, part.parents[1] / "train")
    with pytest.raises(UsageError, match=r"part test has no picture of .*: it has pink"):
        evaluated(checkpoint, part.parents[1])
    assert evaluated(checkpoint, folder, False, classes="red,blue").as_record()["left_out"] == 8


def test_the_thresholds_go_into_the_checkpoint_and_the_scores_have_its_temperature(
    tmp_path, folder
):
    path = small_checkpoint(tmp_path, COLOURS, metrics={"val_top1": 0.5}, layer="features.12")
    for part in ("val", "test"):
        shutil.copytree(folder, tmp_path / "set" / part)
    shutil.rmtree(tmp_path / "set" / "val" / "pink")
    before, plain = read_checkpoint(path), evaluated(path, tmp_path / "set", False)
    found = evaluated(path, tmp_path / "set", False, fit_unknown=True)
    after = read_checkpoint(path)
    assert after.temperature > 0 and len(after.thresholds) == 3
    for key, tensor in before.state_dict.items():
        assert torch.equal(tensor, after.state_dict[key])
    assert after.neighbours is None  # nothing was learnt from that the pictures could be like
    kept = replace(after, temperature=None, thresholds=None, state_dict={}, versions={})
    assert kept == replace(before, state_dict={}, versions={})
    assert found.said.strange == 2 and found.said.temperature == after.temperature
    assert found.as_record()["top1"] == plain.as_record()["top1"] and plain.said is None
    again = evaluated(path, tmp_path / "set", False)  # what is stored is used from now on
    assert again.said == found.said
    assert np.allclose(found.answers.logits, plain.answers.logits / after.temperature)
    assert again.as_record() == found.as_record()
    image = ImageOptions(model=str(path), fit="crop", backend="torch", device="cpu")
    (seen,) = Predictor(image)([again.answers.paths[0]])
    top = softmax(again.answers.logits[0]).max()
    assert seen.prediction.topk[0].score == pytest.approx(top, abs=1e-5)


def test_the_worst_and_the_most_confused_are_found_and_explained(checkpoint, folder):
    found = evaluated(checkpoint, folder)
    scores = softmax(found.answers.logits, axis=1)
    wrong = wrong_answers(found.answers)
    own = scores[np.arange(18), found.answers.labels]
    misses = found.answers.logits.argmax(1) != found.answers.labels
    assert [one.true_score for one in wrong] == pytest.approx(sorted(own[misses]))
    assert found.wrong == tuple(wrong[:12]) and sum(p.count for p in found.pairs) == len(wrong)
    shown = {one.path for one in found.wrong}
    shown |= {one.path for pair in found.pairs for one in pair.examples}
    assert set(found.looked) == shown
    for looked in found.looked.values():
        assert looked.picture.shape == (320, 320, 3)
        for heated in (looked.answer, looked.true):
            assert heated is None or (
                heated.shape == (320, 320, 3) and (heated != looked.picture).any()
            )
    assert any(looked.answer is not None for looked in found.looked.values())


def test_a_network_that_cannot_be_explained_has_pictures_without_maps(tmp_path, folder, caplog):
    model = small_checkpoint(tmp_path, COLOURS, layer="classifier.3")
    with caplog.at_level("WARNING", "vidcam"):
        found = evaluated(model, folder)
    assert found.wrong and "come without a map: layer classifier.3" in caplog.text
    assert not any(one.is_explained or one.answer is not None for one in found.looked.values())
    assert "too little evidence" not in page(found, {})


def test_pairs_are_ranked_by_how_often():
    answers = [(0, 1), (2, 1), (2, 1), (1, 0), (2, 1), (2, 1)]
    wrong = [Wrong(str(n), *pair, 0.1, 0.5 + n / 100) for n, pair in enumerate(answers)]
    first, *others = confused_pairs(wrong)
    assert (first.true, first.answer, first.count) == (2, 1, 4)
    assert [one.path for one in first.examples] == ["5", "4", "2"]  # the surest, three at most
    assert [(one.true, one.answer) for one in others] == [(0, 1), (1, 0)]


class Page(HTMLParser):
    """Collects what a browser would run or fetch, and the text."""

    def __init__(self):
        super().__init__()
        self.tags, self.sources, self.text, self.titles = [], [], "", 0

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.titles += tag == "title"
        for name, value in attributes:
            assert not name.startswith("on"), name
            if name in ("src", "href", "srcset", "data", "xlink:href"):
                self.sources.append(value)

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_and_runs_nothing(tmp_path):
    evil = '<script>alert("x")<'  # a slash cannot stand in a folder's name
    model = small_checkpoint(tmp_path, [evil, "狗", '"><img src=x onerror=y>'])
    names = [f"{name}/{n}'<b>.png" for name in (evil, "狗", "<i>stranger") for n in range(5)]
    folder = fill(tmp_path / "<u>set", names)
    (folder / "狗" / "broken<b>.png").write_bytes(b"nothing")
    found = evaluated(model, folder)
    text = page(found, {"confusion <matrix>.png": b"\x89PNG"})
    seen = Page()
    seen.feed(text)
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "dl", "div",
               "dt", "dd", "table", "tr", "th", "td", "img", "svg", "path", "span", "figure",
               "figcaption", "br", "small", "ul", "li"}  # fmt: skip
    assert set(seen.tags) <= allowed
    assert seen.sources and all(one.startswith("data:image/") for one in seen.sources)
    assert "http" not in text.replace('http-equiv="', "") and "default-src 'none'" in text
    assert evil in seen.text and "狗" in seen.text and "<i>stranger (5)" in seen.text
    assert "broken<b>.png" in seen.text
    assert seen.titles == 1 + 10  # the page's, and a point's each
    assert seen.tags.count("img") >= 1 + len(found.wrong)


def test_the_page_speaks_the_language_of_the_labels(checkpoint, folder):
    found = evaluated(checkpoint, folder, lang=("zh", "en"))
    said = []
    for language in LANGUAGES:
        seen = Page()
        seen.feed(page(replace(found, subject=replace(found.subject, language=language)), {}))
        said.append(seen.text)
        for phrase in ("worst", "most confused", "left out", "least first", "recall", "mean"):
            assert say(phrase, language, "F1") in seen.text
        assert "top-5" not in seen.text  # three classes are always among the best five
    assert page(found, {}).startswith('<!doctype html><html lang="zh">')
    assert not any("Worst" in text for text in said[:4])


def test_what_validated_a_model_is_not_what_tells_its_worth(tmp_path, folder):
    """`vidcam train` chooses by val; where there is none, by test."""
    model = small_checkpoint(tmp_path, COLOURS, temperature=2.0, thresholds=(0.1, 0.2, 0.3))
    for name in ("train", "val", "test"):
        shutil.copytree(folder, tmp_path / "set" / name)

    def caution(part):
        given = options(model, part=part)
        dataset = find_dataset(tmp_path / "set")
        return Evaluation(given, dataset, choose_sides(dataset, given)).caution

    assert "temperature and thresholds were chosen by these pictures" in caution("val")
    assert "it has seen these" in caution("train") and caution("test") == ""
    assert "it has seen these" in caution("all")
    shutil.rmtree(tmp_path / "set" / "val")
    assert "chosen by these pictures" in caution("test")
    found = evaluated(model, tmp_path / "set", details=False)
    assert "最佳轮次、温度和阈值" in page(found, {})
    assert found.as_record()["settings"] == {
        "classes": 3, "fit": found.subject.fit, "size": found.subject.size, "temperature": 2.0
    }  # fmt: skip
    assert type(found.as_record()["settings"]["size"]) is int


def test_pictures_in_the_page_are_small(tmp_path):
    fill(tmp_path / "set", ["red/1.png"])
    for number in range(30):
        path = tmp_path / "set" / "blue" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        picture(number, (1600, 1200)).save(path)
    found = evaluated(small_checkpoint(tmp_path, COLOURS), tmp_path / "set")
    assert all(max(one.picture.shape) <= 320 for one in found.looked.values())
    assert len(page(found, {})) < 4_000_000


def test_a_picture_that_has_gone_since_has_no_card(checkpoint, folder):
    found = evaluated(checkpoint, folder)
    path = found.wrong[0].path
    looked = {key: value for key, value in found.looked.items() if key != path}
    fewer = page(replace(found, looked=looked, pairs=()), {}).count("<figure>")
    assert fewer == page(replace(found, pairs=()), {}).count("<figure>") - 1


def test_shares_for_people():
    assert (percent(0.9345), percent(1.0), percent(None)) == ("93.5%", "100.0%", "–")


def test_16_bit_and_palette_pictures_count_too(checkpoint, tmp_path):
    fill(tmp_path, ["red/1.png"])
    Image.new("P", (90, 70)).save(tmp_path / "red" / "2.gif")
    Image.new("I;16", (70, 90), 40_000).save(tmp_path / "red" / "3.png")
    _, answers = answered(checkpoint, tmp_path)
    assert len(answers) == 3 and not answers.unread
