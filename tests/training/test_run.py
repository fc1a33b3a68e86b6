"""A run from a folder of pictures to a model that answers as it was measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from training.photos import photos

from vidcam.errors import SourceError, UnknownName, UsageError
from vidcam.models.checkpoint import read_checkpoint
from vidcam.pictures.options import ImageOptions
from vidcam.pictures.predictor import Predictor
from vidcam.training.cores import silent
from vidcam.training.frozen import HeadTraining
from vidcam.training.run import Place, train
from vidcam.training.sides import sides_of
from vidcam.training.start import start_of
from vidcam.training.train_options import TrainOptions

QUICK = TrainOptions(imgsz=64, device="cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Noisy pictures, of which a few of the validation ones are of the other class."""
    folder = photos(tmp_path_factory.mktemp("run") / "set", train=15, val=10)
    for number in range(3):
        one, other = (folder / "val" / name / f"{number}.png" for name in ("暖 warm", "冷 cold"))
        one.write_bytes(other.with_name(f"{number + 5}.png").read_bytes())
    return str(folder)


@pytest.fixture(scope="module")
def ended(pictures, tmp_path_factory):
    return train(pictures, Place(tmp_path_factory.mktemp("ended") / "run"), QUICK)


def test_the_default_solves_a_head_and_chooses_by_cross_validation(ended):
    assert not ended.is_loop and ended.metrics["val_n"] == 20
    assert ended.metrics["val_top1"] == pytest.approx(0.85) and ended.metrics["cv_top1"] > 0.9
    assert {row["fit"] for row in ended.rows} == {"crop", "stretch"}
    assert {row["size"] for row in ended.rows} == {64}
    checkpoint = read_checkpoint(ended.folder.path)
    assert checkpoint.arch == "efficientnet_lite0" and checkpoint.labels == ("冷 cold", "暖 warm")
    preset = checkpoint.preset
    assert (preset.size, preset.mean, preset.std) == (64, (127.0,) * 3, (128.0,) * 3)
    assert preset.fit == ended.rows[-1]["fit"] and preset.layer == "bn2"
    assert checkpoint.metrics["val_top1"] == ended.metrics["val_top1"]
    assert checkpoint.versions["torch"] and len(checkpoint.thresholds) == 2


def test_image_answers_as_the_training_measured(ended, pictures):
    sides = sides_of(pictures, QUICK)
    start = start_of(QUICK, sides.labels)
    solved = HeadTraining(start, sides, QUICK, lambda _what: silent)()
    predictor = Predictor(ImageOptions(model=str(ended.folder.path), backend="torch", topk=2))
    answers = [one.prediction.topk for one in predictor([one.path for one in sides.val])]
    tops = [topk[0].index for topk in answers]
    assert tops == solved.logits.argmax(1).tolist()
    assert np.mean(np.equal(tops, solved.labels)) == ended.metrics["val_top1"]
    # The scores are those logits too, all divided by one temperature.
    scores = [{one.index: one.score for one in topk} for topk in answers]
    odds = np.array([np.log(one[1]) - np.log(one[0]) for one in scores])
    ratios = (solved.logits[:, 1] - solved.logits[:, 0]) / odds
    assert ratios.min() > 0 and np.ptp(ratios) < 0.01 * ratios.mean()


def test_the_same_seed_gives_the_same_head(ended, pictures, tmp_path):
    before = torch.get_rng_state()
    again = train(pictures, Place(tmp_path / "run"), QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert again.metrics == ended.metrics
    weights = [read_checkpoint(one.folder.path).state_dict for one in (ended, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_folder_without_parts_is_split(tmp_path):
    folder = photos(tmp_path / "set", train=20, val=0)
    for name in ("暖 warm", "冷 cold"):  # each has a twin
        for number in range(20):
            picture = Image.open(folder / name / f"{number}.png")
            picture.transpose(0).save(folder / name / f"{number} mirrored.png")
    sides = sides_of(str(folder), TrainOptions(seed=3))
    assert sides.val_name == "split" and (len(sides.train), len(sides.val)) == (64, 16)
    names = [{s.path.replace(" mirrored", "") for s in part} for part in (sides.train, sides.val)]
    assert not names[0] & names[1]
    assert sides == sides_of(str(folder), TrainOptions(seed=3))
    assert sides.digest != sides_of(str(folder), TrainOptions(seed=4)).digest


def test_test_validates_where_val_is_missing_and_classes_can_be_dropped(tmp_path):
    folder = photos(tmp_path / "set", train=3, val=2, names=("a", "b", "c"))
    (folder / "val").rename(folder / "test")
    (folder / "train" / "空").mkdir()
    sides = sides_of(str(folder), TrainOptions(drop_class=("b",)))
    assert sides.val_name == "test" and sides.labels == ("a", "c") and sides.counts() == [3, 3]
    assert len(sides.val) == 4 and any("train/空 is empty" in one for one in sides.passed)
    with pytest.raises(UnknownName, match="class in --drop-class 'bb'; nearest: b"):
        sides_of(str(folder), TrainOptions(drop_class=("bb",)))
    with pytest.raises(UsageError, match=r"two classes at least are needed to learn, .* only a"):
        sides_of(str(folder), TrainOptions(drop_class=("b", "c")))


def test_what_cannot_be_learnt_is_one_sentence(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="holds no picture"):
        train(str(tmp_path / "none"), Place(tmp_path / "run"), QUICK)
    with pytest.raises(SourceError, match="no such file"):
        train(str(tmp_path / "gone"), Place(tmp_path / "run"), QUICK)
    folder = photos(tmp_path / "one", train=3, val=0, names=("only",))
    with pytest.raises(UsageError, match="two classes at least are needed"):
        train(str(folder), Place(tmp_path / "run"), QUICK)
    assert not (tmp_path / "run").exists()


def test_corrupt_pictures_do_not_stop_a_solved_head(tmp_path):
    folder = photos(tmp_path / "set", train=8, val=4)
    bad = [folder / "train" / "暖 warm" / "2.png", folder / "val" / "冷 cold" / "1.png"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:300])
    ended = train(str(folder), Place(tmp_path / "run"), replace(QUICK, fit="crop", balance=True))
    assert len(ended.unread) == 2 and ended.metrics["val_n"] == 7


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("more", [{}, {"arch": "simplecnn"}])
def test_a_run_that_could_read_nothing_leaves_no_folder(tmp_path, part, more):
    folder = photos(tmp_path / "set", train=4, val=3)
    for path in (folder / part).rglob("*.png"):
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(
        SourceError, match=r"no batch held a training picture|picture could be read"
    ):
        train(str(folder), Place(tmp_path / "run"), replace(QUICK, fit="crop", **more))
    assert not (tmp_path / "run").exists()


def test_a_run_is_replaced_resumed_or_refused(pictures, ended, tmp_path):
    path = ended.folder.path
    with pytest.raises(UsageError, match=r"not empty; --resume goes on with its run, -y replaces"):
        train(pictures, Place(path), QUICK)
    with pytest.raises(UsageError, match="a solved head has no epochs to add"):
        train(pictures, Place(path, resume=True), TrainOptions())
    with pytest.raises(UsageError, match=r"holds no run to go on with"):
        train(pictures, Place(tmp_path, resume=True), QUICK)
    with pytest.raises(UsageError, match=r"folder .* does not exist"):
        train(pictures, Place(tmp_path / "gone" / "run"), QUICK)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        train(pictures, Place(tmp_path / "file"), QUICK)


LOOP = TrainOptions(arch="simplecnn", imgsz=16, epochs=1, device="cpu", augment="none")


def test_a_run_goes_on_only_with_what_it_was_begun_with(tmp_path):
    folder, place = photos(tmp_path / "set", train=4, val=3), Place(tmp_path / "run")
    train(str(folder), place, LOOP)
    again = replace(place, resume=True)
    with pytest.raises(UsageError, match=r"--lr 0\.5: the run in .* was begun with the default;"):
        train(str(folder), again, TrainOptions(epochs=3, lr=0.5))
    with pytest.raises(UsageError, match=r"--balance: the run in .* was begun without;"):
        train(str(folder), again, TrainOptions(epochs=3, balance=True))
    with pytest.raises(UsageError, match=r"--batch 8: the run in .* was begun with 32;"):
        train(str(folder), again, TrainOptions(epochs=3, batch=8))
    (folder / "train" / "冷 cold" / "0.png").rename(folder / "train" / "冷 cold" / "x.png")
    with pytest.raises(UsageError, match="other pictures than the folder holds now"):
        train(str(folder), again, TrainOptions(epochs=3))
    for part in ("train", "val"):
        (folder / part / "冷 cold").rename(folder / part / "cool")
    with pytest.raises(UsageError, match=r"other classes .*gone 冷 cold; new cool"):
        train(str(folder), again, TrainOptions(epochs=3))
    (tmp_path / "run" / "state.pt").write_bytes(b"PK nothing")
    with pytest.raises(UsageError, match=r"state\.pt is damaged"):
        train(str(folder), again, TrainOptions(epochs=3))


@pytest.mark.parametrize("wrong", [{"device": "cuda:99"}, {"freeze": "99", "device": "cpu"}])
def test_what_is_refused_leaves_all_as_it_was(tmp_path, wrong):
    folder = photos(tmp_path / "set", train=4, val=3)
    options, path = TrainOptions(imgsz=64, **wrong), tmp_path / "run"
    said = r"--device cuda:99: torch sees|--freeze 99: of \d+ layers at least one"
    with pytest.raises(UsageError, match=said):
        train(str(folder), Place(path), options)
    assert not path.exists()
    path.mkdir()
    (path / "best.pt").touch()
    with pytest.raises(UsageError, match=said):
        train(str(folder), Place(path, overwrite=True), options)
    assert (path / "best.pt").exists()


def test_of_another_version_only_a_solved_head_begins_anew(pictures, ended, tmp_path, caplog):
    path = tmp_path / "run"
    path.mkdir()
    state = ended.folder.read_state() | {"done": False, "digest": "another", "vidcam_run": 0}
    torch.save(state, path / "state.pt")
    caplog.set_level("INFO", "vidcam")
    again = train(pictures, Place(path, resume=True), TrainOptions())
    assert again.metrics == ended.metrics and again.folder.read_state()["done"]
    assert "of another version of vidcam; its head, which is solved, begins anew" in caplog.text
    torch.save(state | {"kind": "loop"}, path / "state.pt")
    with pytest.raises(UsageError, match=r"of another version of vidcam; begin anew with -y, or"):
        train(pictures, Place(path, resume=True), TrainOptions())
    torch.save({"net": {}}, path / "state.pt")
    with pytest.raises(UsageError, match="is no state of a run"):
        train(pictures, Place(path, resume=True), TrainOptions())


def test_a_checkpoint_of_fixed_size_says_which(tmp_path):
    folder, place = photos(tmp_path / "set", train=4, val=3), Place(tmp_path / "run")
    train(str(folder), place, LOOP)
    begun = TrainOptions(from_=str(place.folder), imgsz=23)  # pools to as much as 16
    with pytest.raises(UsageError, match=r"are for 16 px, .* to 24 px; --imgsz 16 goes on"):
        start_of(replace(begun, imgsz=24), ("a", "b"))
    assert start_of(begun, ("a", "b")).preset.size == 23


def test_a_checkpoint_of_ones_own_begins_another_set(ended, tmp_path):
    folder = photos(tmp_path / "set", train=6, val=4, names=("一", "二", "三"))
    path = str(ended.folder.path)
    second = train(str(folder), Place(tmp_path / "run"), TrainOptions(from_=path, device="cpu"))
    checkpoint, before = read_checkpoint(second.folder.path), read_checkpoint(ended.folder.path)
    assert len(checkpoint.labels) == 3 and checkpoint.preset == before.preset
    assert torch.equal(
        checkpoint.state_dict["conv_stem.weight"], before.state_dict["conv_stem.weight"]
    )
    with pytest.raises(UsageError, match="is of efficientnet_lite0; leave --arch out"):
        start_of(TrainOptions(from_=path, arch="cnn7"), ("a", "b"))
    with pytest.raises(UsageError, match="--scratch: not with --from"):
        start_of(TrainOptions(from_=path, scratch=True), ("a", "b"))


def test_networks_begin_as_they_are_asked_to():
    start = start_of(TrainOptions(arch="resnet50", scratch=True, augment="scenes150"), ("a", "b"))
    assert (start.preset.size, start.preset.fit, start.freeze) == (150, "stretch", "none")
    start = start_of(TrainOptions(arch="cnn7", augment="dog25"), ("a", "b"))
    assert start.preset.size == 256 and start.preset.crop_share == pytest.approx(256 / 300)
    assert start.net.fc1.weight.shape == (512, 512 * 16 * 16) and not start.has_learnt
    with pytest.raises(UsageError, match="cnn7 begins with random weights, which must be learnt"):
        start_of(TrainOptions(arch="cnn7", freeze="backbone"), ("a", "b"))
    with pytest.raises(UsageError, match="--augment catdog: has its own fit"):
        start_of(TrainOptions(arch="simplecnn", augment="catdog", fit="crop"), ("a", "b"))
    with pytest.raises(UnknownName, match="architecture"):
        start_of(TrainOptions(arch="resnet5"), ("a", "b"))


def test_an_asked_for_augmentation_makes_more_views(tmp_path):
    folder = photos(tmp_path / "set", train=5, val=3)
    ended = train(str(folder), Place(tmp_path / "run"), replace(QUICK, augment="catdog"))
    assert read_checkpoint(ended.folder.path).preset.fit == "stretch"
    assert {(row["size"], row["fit"]) for row in ended.rows} == {(64, "stretch")}
