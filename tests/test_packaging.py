"""The wheel carries everything that the program needs."""

import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def config() -> ConfigParser:
    """setup.cfg."""
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def installed_files() -> list[str]:
    """What pip installed of vidcam; empty in a bare checkout or an editable install."""
    # Not metadata.files: a build leaves vidcam.egg-info in the checkout, which comes first there.
    places = [sysconfig.get_path("purelib")]
    found = list(metadata.distributions(name="vidcam", path=places))
    names = [str(file) for one in found for file in one.files or []]
    return names if "vidcam/pipeline.py" in names else []


def test_every_folder_of_the_package_is_in_setup_cfg() -> None:
    folders = {path.parent for path in (ROOT / "vidcam").rglob("__init__.py")}
    expected = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(config()["options"]["packages"].split()) == expected | {"vidcam.fonts"}


def test_every_import_from_outside_is_a_requirement() -> None:
    needs = config()["options"]["install_requires"].lower()
    for name in ("torch", "torchvision", "timm", "grad-cam", "opencv-python", "numpy", "pillow"):
        assert name in needs
    for name in ("click", "av", "rich", "fonttools", "matplotlib", "efficientnet_lite0"):
        assert name in needs


@pytest.mark.skipif(not installed_files(), reason="vidcam is not installed by pip here")
def test_the_installed_package_has_font_labels_and_types() -> None:
    names = installed_files()
    for wanted in ("vidcam/fonts/NotoSansCJKsc-Regular-subset.otf", "vidcam/fonts/OFL.txt",
                   "vidcam/labels/zh-TW.txt", "vidcam/py.typed"):  # fmt: skip
        assert wanted in names


@pytest.mark.skipif(not installed_files(), reason="vidcam is not installed by pip here")
def test_the_installed_package_draws_outside_the_checkout(tmp_path: Path) -> None:
    code = (
        "import vidcam\n"
        "from vidcam.overlays.fonts import Font, bundled_font\n"
        "assert '猫' and ord('猫') in Font(bundled_font()).characters\n"
        "print(vidcam.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "site-packages" in done.stdout
