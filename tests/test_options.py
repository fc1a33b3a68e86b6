"""Every option: what it takes, what it refuses and with which sentence."""

import dataclasses

import pytest

from vidcam.errors import UnknownName, UsageError
from vidcam.options import (
    COLORMAPS,
    PICTURE_CAMS,
    VIDEO_CAMS,
    FileOptions,
)
from vidcam.pictures.options import ImageOptions
from vidcam.spec import from_mapping, specs
from vidcam.values import (
    LANGUAGES,
    parse_device,
    parse_key_value,
    parse_languages,
    parse_roi,
    parse_seconds,
    parse_topk,
)

# The command line of the issue and of CLI.md; a changed default is a changed program.
DEFAULTS = {
    "model": "efficientnet_lite0", "labels": None, "lang": ("zh",), "classes": None, "roi": None,
    "topk": 5, "threshold": 0.0, "unknown": True,
    "smoothing": 0.5, "cam": "gradcam", "cam_every": 1, "layer": None,
    "class_": None, "alpha": 0.5, "colormap": "jet", "cam_raw": False, "fit": None,
    "layout": "overlay", "stride": 1, "device": "auto", "backend": "auto", "precision": "auto",
    "batch": None, "encoder": "libx264", "crf": 20, "preset": "veryfast", "encoder_option": (),
    "audio": True, "track": None, "start": 0.0, "duration": None, "max_frames": None, "font": None,
}  # fmt: skip


def test_the_defaults_are_those_of_the_manual():
    assert dataclasses.asdict(FileOptions()) == DEFAULTS


def test_options_cannot_be_changed():
    options = FileOptions()
    for name in ("alpha", "lang", "nonsense"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(options, name, 1)


def test_options_are_values_equal_and_usable_as_keys():
    assert FileOptions(duration="10s") == FileOptions(duration=10.0)
    assert len({FileOptions(), FileOptions(), FileOptions(alpha=0.1)}) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), (".5", 0.5), ("150ms", 0.15), ("10s", 10), ("10m", 600),
     ("24h", 86_400), ("0", 0), (" 2s ", 2), ("1.", 1)],
)  # fmt: skip
def test_times_have_units(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)
    assert FileOptions(duration=text).duration == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1", "1 2", "10x", "1e3", "1:30", "nan", "inf", "ten"])
def test_what_is_no_time_is_refused_with_the_units(text):
    with pytest.raises(UsageError, match=r"--smoothing.*150ms"):
        FileOptions(smoothing=text)


@pytest.mark.parametrize(
    ("text", "roi"),
    [("0,0,1,1", (0, 0, 1, 1)), ("10,20,300,200", (10, 20, 300, 200)),
     ("0.25, 0.5, 0.5, 0.5", (0.25, 0.5, 0.5, 0.5))],
)  # fmt: skip
def test_a_region_is_four_numbers(text, roi):
    assert parse_roi(text) == roi
    assert FileOptions(roi=text).roi == roi


@pytest.mark.parametrize(
    "text",
    ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,10,10", "0,0,0,10", "0,0,10,0", "0,0,-5,5",
     "nan,0,1,1", "0,0,nan,1", "inf,0,1,1", "0,0,inf,1"],
)  # fmt: skip
def test_what_is_no_region_is_refused(text):
    with pytest.raises(UsageError, match="--roi"):
        FileOptions(roi=text)


def test_languages_are_a_list_without_repeats_in_any_case():
    assert parse_languages("zh") == ("zh",)
    assert parse_languages("ZH-tw, en ,zh,en") == ("zh-TW", "en", "zh")
    assert FileOptions(lang=",".join(LANGUAGES)).lang == LANGUAGES


@pytest.mark.parametrize("text", ["", "xx", "zh,", "zh en", "english"])
def test_an_unknown_language_lists_the_known_ones(text):
    with pytest.raises(UnknownName, match=r"unknown language.*(zh|en)"):
        FileOptions(lang=text)


def test_topk_is_a_count_or_all():
    assert parse_topk("all") is None and parse_topk("0") == 0 and parse_topk("12") == 12
    for text in ("", "-1", "1.5", "many", "²", "100001"):
        with pytest.raises(UsageError, match="--topk"):
            FileOptions(topk=text)


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12"])
def test_devices(device):
    assert parse_device(device) == FileOptions(device=device).device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_an_unknown_device_lists_the_known_ones(device):
    with pytest.raises(UnknownName, match=r"unknown device.*(cpu|cuda)"):
        FileOptions(device=device)


def test_encoder_options_are_name_and_value():
    assert parse_key_value("tune=film") == ("tune", "film")
    assert parse_key_value("x264-params=a=1:b=2") == ("x264-params", "a=1:b=2")
    assert parse_key_value("tune=") == ("tune", "")
    for text in ("tune", "=film", ""):
        with pytest.raises(ValueError, match="name=value"):
            parse_key_value(text)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("alpha", 0, 1), ("threshold", 0, 1), ("crf", 0, 63), ("batch", 1, 512),
     ("cam_every", 1, None), ("stride", 1, None), ("track", 0, None), ("max_frames", 1, None)],
)  # fmt: skip
def test_numbers_are_held_to_their_range(name, low, high):
    flag = "--" + name.replace("_", "-")
    assert getattr(FileOptions(**{name: low}), name) == low
    with pytest.raises(UsageError, match=f"{flag} .*must be from {low}"):
        FileOptions(**{name: low - 1})
    if high is not None:
        assert getattr(FileOptions(**{name: high}), name) == high
        with pytest.raises(UsageError, match=f"{flag} .*from {low} to {high}"):
            FileOptions(**{name: high + 1})


@pytest.mark.parametrize("name", ["alpha", "threshold"])
def test_no_number_is_no_number(name):
    with pytest.raises(UsageError, match=f"--{name}"):
        FileOptions(**{name: float("nan")})


@pytest.mark.parametrize(
    "wrong",
    [{"roi": (-5, 0, 10, 10)}, {"roi": (0, 0, 10)}, {"lang": ("xx",)}, {"topk": -1},
     {"smoothing": -1.0}, {"start": -2.0}, {"duration": -3.0}, {"alpha": "lots"},
     {"stride": "often"}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_wrong_values_from_python_are_refused_like_wrong_text(wrong):
    with pytest.raises(UsageError):
        FileOptions(**wrong)


@pytest.mark.parametrize(
    ("option", "kind", "nearest"),
    [({"cam": "gradcamm"}, "method", "gradcam"), ({"colormap": "jett"}, "colormap", "jet"),
     ({"colormap": "Viridis "}, "colormap", "viridis"), ({"fit": "cropp"}, "fit", "crop"),
     ({"backend": "openvno"}, "backend", "openvino"), ({"precision": "bf6"}, "precision", "bf16"),
     ({"layout": "side"}, "layout", "side-by-side"), ({"lang": "zh-tv"}, "language", "zh-TW")],
)  # fmt: skip
def test_an_unknown_value_lists_the_nearest(option, kind, nearest):
    with pytest.raises(UnknownName, match=f"unknown {kind} .*{nearest}"):
        FileOptions(**option)


@pytest.mark.parametrize("method", PICTURE_CAMS)
def test_methods_for_pictures_are_refused_for_video_with_what_they_cost(method):
    with pytest.raises(UsageError) as caught:
        FileOptions(cam=method)
    sentence = str(caught.value)
    assert method in sentence and "passes" in sentence and "not for video" in sentence
    assert all(name in sentence for name in VIDEO_CAMS)


def test_all_choices_are_taken():
    for name in VIDEO_CAMS:
        assert FileOptions(cam=name).cam == name
    for name in COLORMAPS:
        assert FileOptions(colormap=name).colormap == name


def test_keywords_become_options_and_an_unknown_one_lists_the_nearest():
    assert from_mapping(FileOptions, {"topk": "all", "lang": "en"}.items()) == FileOptions(
        topk=None, lang=("en",)
    )
    with pytest.raises(UnknownName, match=r"unknown option 'colourmap'.*colormap"):
        from_mapping(FileOptions, [("colourmap", "jet")])


@pytest.mark.parametrize("name", specs(FileOptions))
def test_every_option_has_a_help_sentence_and_a_default_that_it_would_take(name):
    default, spec = specs(FileOptions)[name]
    assert spec.help[0].isupper() or spec.help.startswith("auto")
    assert spec.help.endswith(".") and len(spec.help) < 80
    assert getattr(FileOptions(**{name: default}), name) == default
    if spec.choices and default is not None:
        assert default in spec.choices


def test_pictures_have_their_own_defaults():
    options = ImageOptions()
    assert (options.topk, options.layout, options.fit, options.batch) == (10, None, None, None)
    shared = {name: value for name, value in DEFAULTS.items() if hasattr(options, name)}
    shared |= {"topk": 10, "layout": None}
    assert dataclasses.asdict(options) == shared
    assert not hasattr(options, "smoothing") and not hasattr(options, "cam")


def test_the_layouts_of_pictures_are_not_those_of_videos():
    for layout in ("overlay", "chart", "both"):
        assert ImageOptions(layout=layout).layout == layout
    with pytest.raises(UnknownName, match=r"unknown layout 'side-by-side'.*overlay"):
        ImageOptions(layout="side-by-side")
    with pytest.raises(UnknownName, match=r"unknown option 'smoothing'"):
        from_mapping(ImageOptions, [("smoothing", 1)])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"topk": -1}, "--topk"), ({"topk": "some"}, "--topk"), ({"batch": 0}, "from 1 to 512"),
     ({"threshold": 1.1}, "from 0 to 1"), ({"fit": "fill"}, "unknown fit")],
)  # fmt: skip
def test_wrong_values_for_pictures_are_refused(wrong, says):
    with pytest.raises(UsageError, match=says):
        ImageOptions(**wrong)


@pytest.mark.parametrize("name", specs(ImageOptions))
def test_every_option_for_pictures_has_a_help_sentence(name):
    default, spec = specs(ImageOptions)[name]
    assert spec.help.endswith(".") and len(spec.help) < 90
    assert getattr(ImageOptions(**{name: default}), name) == default
