"""Every kind of picture file comes out upright, opaque and 8-bit."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from drawn import HEIGHT, SIZE, WIDTH, apart, png, saved, soft
from PIL import Image

from vidcam.errors import SourceError, UsageError
from vidcam.pictures.reading import as_picture, read_picture

# EXIF orientation: how the upright pixels (H, W, 3) lie in the file.
STORED = {
    1: lambda up: up,
    2: lambda up: up[:, ::-1],
    3: lambda up: up[::-1, ::-1],
    4: lambda up: up[::-1],
    5: lambda up: up.transpose(1, 0, 2),
    6: lambda up: np.rot90(up, 1),
    7: lambda up: np.rot90(up, 2).transpose(1, 0, 2),
    8: lambda up: np.rot90(up, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_picture_stands_upright(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](soft())))
    path = saved(tmp_path / f"a.{suffix}", stored, exif=exif, quality=95)
    picture = read_picture(path)
    assert apart(picture, soft()) < 3
    # What is upright is not turned again.
    assert apart(as_picture(picture), soft()) < 3
    with Image.open(path) as opened:
        assert apart(as_picture(opened), soft()) < 3


def test_a_broken_exif_note_does_not_hide_the_picture(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(soft()), exif=b"Exif\0\0MM\0*\0\0\0\xff\1\2")
    assert apart(read_picture(path), soft()) < 6


def test_transparent_parts_are_white(tmp_path):
    rgba = np.dstack([soft(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    rgba[:, 32:, 3], rgba[:, 48:, 3] = 128, 0
    expected = soft().astype(float)
    expected[:, 32:48] = (expected[:, 32:48] * 128 + 255 * 127) / 255
    expected[:, 48:] = 255
    for suffix in ("png", "webp", "tif"):
        path = saved(tmp_path / f"a.{suffix}", Image.fromarray(rgba), lossless=True)
        assert apart(read_picture(path), expected) < 0.5
    grey = Image.fromarray(rgba).convert("LA")
    shown = np.asarray(read_picture(saved(tmp_path / "g.png", grey)))
    assert (shown[:, 48:] == 255).all() and (shown[..., 0] == shown[..., 2]).all()
    assert abs(int(shown[0, 0, 0]) - int(grey.getpixel((0, 0))[0])) <= 1


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_colour_of_a_palette_is_white(tmp_path, suffix):
    indexed = Image.new("P", (3, 1))
    indexed.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    indexed.putdata([0, 1, 2])
    picture = read_picture(saved(tmp_path / f"a.{suffix}", indexed, transparency=1))
    assert np.asarray(picture)[0].tolist() == [[200, 0, 0], [255, 255, 255], [0, 0, 200]]


def test_a_palette_may_be_half_transparent(tmp_path):
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([200, 0, 0, 0, 200, 0])
    indexed.putdata([0, 1])
    path = saved(tmp_path / "a.png", indexed, transparency=bytes([255, 128]))
    assert np.asarray(read_picture(path))[0].tolist() == [[200, 0, 0], [127, 227, 127]]


@pytest.mark.parametrize(("depth", "white"), [(8, 255), (16, 65535)])
def test_a_transparent_grey_is_white(tmp_path, depth, white):
    levels = [0, white // 3, white]
    row = b"".join(level.to_bytes(depth // 8, "big") for level in levels)
    clear = ("tRNS", struct.pack(">H", levels[0]))
    (tmp_path / "a.png").write_bytes(png(3, 1, depth, 0, [row], clear))
    assert np.asarray(read_picture(tmp_path / "a.png"))[0, :, 0].tolist() == [255, 85, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr", "CMYK", "LAB"])
def test_every_colour_space_comes_out_as_rgb(tmp_path, mode):
    # Colours that all of them hold: black, white, a middle grey for those with one.
    rgb = np.zeros((24, 24, 3), np.uint8)
    rgb[:, 8:16], rgb[:, 16:] = 255, 0 if mode == "1" else 119
    if mode == "LAB":
        lab = np.zeros((24, 24, 3), np.uint8)
        lab[:, 8:16, 0], lab[:, 16:, 0] = 255, 127
        picture = Image.frombytes("LAB", (24, 24), lab.tobytes())
    else:
        picture = Image.fromarray(rgb)
        picture = picture.quantize(8) if mode == "P" else picture.convert(mode)
    suffix = {"CMYK": "jpg", "YCbCr": "jpg", "LAB": "tif"}.get(mode, "png")
    path = saved(tmp_path / f"a.{suffix}", picture)
    with Image.open(path) as opened:
        assert opened.mode == ("RGB" if mode == "YCbCr" else mode)
    assert apart(read_picture(path), rgb) < 1


def test_cmyk_keeps_its_hues_in_jpeg_and_tiff(tmp_path):
    # Adobe's JPEG holds the inks inverted, TIFF as they are.
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for suffix in ("jpg", "tif"):
        shown = read_picture(saved(tmp_path / f"a.{suffix}", cyan)).getpixel((8, 8))
        assert shown[0] < 10 and shown[1] > 245 and shown[2] > 245


@pytest.mark.parametrize(("mode", "kind"), [("I;16", "<u2"), ("I;16B", ">u2"), ("I", "=i4")])
def test_sixteen_bits_are_brought_down_without_clipping(tmp_path, mode, kind):
    levels = np.array([[0, 257, 25700, 65535]])
    deep = Image.frombytes(mode, (4, 1), levels.astype(kind).tobytes())
    paths = [saved(tmp_path / "a.tif", deep)]
    if mode == "I;16":
        paths += [saved(tmp_path / "a.png", deep), saved(tmp_path / "a.pgm", deep)]
    for path in paths:
        assert np.asarray(read_picture(path))[0, :, 1].tolist() == [0, 1, 100, 255]


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 100, 200], [0, 100, 200]),
        ([0, 25700, 65535], [0, 100, 255]),
        ([-2, 0, 2], [0, 128, 255]),
        ([0, 500_000, 1_000_000], [0, 128, 255]),
        ([np.nan, -np.inf, np.inf, 0.5], [0, 0, 255, 128]),
        ([np.nan, np.nan], [0, 0]),
        ([-3, -3], [0, 0]),
    ],
)
def test_floats_are_brought_to_8_bits(tmp_path, levels, shown):
    path = saved(tmp_path / "a.tif", Image.fromarray(np.array([levels], np.float32)))
    assert np.asarray(read_picture(path))[0, :, 0].tolist() == shown


def test_a_float_that_signals_is_black_without_a_warning(tmp_path):
    path = saved(tmp_path / "a.tif", Image.fromarray(np.array([[1, 0.5, 3.25]], np.float32)))
    signalling, number = struct.pack("<I", 0x7F800001), struct.pack("<f", 3.25)
    path.write_bytes(path.read_bytes().replace(number, signalling))
    assert np.asarray(read_picture(path))[0, :, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_of_several_pictures_is_read(tmp_path, suffix):
    red, blue = (Image.new("RGB", SIZE, colour) for colour in ("red", "blue"))
    path = saved(tmp_path / f"a.{suffix}", red, save_all=True, append_images=[blue])
    with Image.open(path) as opened:
        assert opened.n_frames == 2
    assert apart(read_picture(path), np.asarray(red)) < 3


@pytest.mark.parametrize(
    "name", ["萨摩耶1.jpg", "собака.png", "犬 🐕.webp", os.fsdecode(b"\xc8\xc8.jpg")]
)
def test_names_in_any_script_are_read(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(soft()).save(path, quality=95)
    assert apart(read_picture(path), soft()) < 3
    assert apart(as_picture(str(path)), soft()) < 3


@pytest.mark.parametrize(
    ("size", "side_px", "expected"),
    [
        ((1600, 1200), None, (1600, 1200)),
        ((1600, 1200), 100, (400, 300)),
        ((1600, 1200), 150, (400, 300)),
        ((1600, 1200), 151, (800, 600)),
        ((1600, 1200), 301, (1600, 1200)),
        ((1601, 1201), 75, (201, 151)),
        ((90, 60), 224, (90, 60)),
    ],
)
def test_a_large_jpeg_is_decoded_no_larger_than_needed(tmp_path, size, side_px, expected):
    path = saved(tmp_path / "a.jpg", Image.new("RGB", size, "teal"))
    assert read_picture(path, side_px).size == expected


def test_a_jpeg_at_a_fraction_is_the_same_picture(tmp_path):
    whole = Image.fromarray(soft()).resize((1280, 960), Image.Resampling.BICUBIC)
    path = saved(tmp_path / "a.jpg", whole, quality=95)
    small = read_picture(path, side_px=100)
    assert small.size == (320, 240)
    assert apart(small.resize(SIZE, Image.Resampling.BOX), soft()) < 2


def test_arrays_are_pictures():
    assert apart(as_picture(soft()), soft()) == 0
    assert apart(as_picture(soft()[::-1, ::2]), soft()[::-1, ::2]) == 0
    grey = soft()[..., 0]
    assert apart(as_picture(grey), np.dstack([grey] * 3)) == 0


def test_what_cannot_be_a_picture_is_a_usage_error():
    for array in (
        soft().astype(np.float32), soft().transpose(2, 0, 1), soft()[None], soft()[:0],
        np.dstack([soft(), soft()[..., 0]]), soft().astype(np.uint16),
    ):  # fmt: skip
        with pytest.raises(UsageError) as refused:
            as_picture(array)
        assert str(array.shape) in str(refused.value) and str(array.dtype) in str(refused.value)
    with pytest.raises(UsageError, match="not list"):
        as_picture([1, 2])
    with pytest.raises(UsageError, match="0x5"):
        as_picture(Image.new("RGB", (0, 5)))


def test_a_pil_image_is_not_changed(tmp_path):
    given = Image.fromarray(soft())
    shown = as_picture(given)
    shown.putpixel((0, 0), (9, 9, 9))
    assert apart(given, soft()) == 0
    noise = np.random.default_rng(5).integers(0, 256, (96, 96, 3), np.uint8)
    whole = saved(tmp_path / "a.png", Image.fromarray(noise)).read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:-100])
    with Image.open(tmp_path / "a.png") as damaged, pytest.raises(SourceError, match="mode RGB: "):
        as_picture(damaged)
    assert as_picture(Image.new("RGBA", (2, 2))).getpixel((0, 0)) == (255, 255, 255)


def test_reading_loads_no_network():
    code = "import sys, vidcam.pictures.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
