"""The README and the docs: their commands run, their help is today's, their links exist."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCS_SCRIPT = ROOT / "docs" / "render_help.py"


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def readme_commands(page: Path) -> list[str]:
    """Every `vidcam …` line of a page's shell blocks, without its comment."""
    lines = "\n".join(blocks(page, "sh")).splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.startswith("vidcam ")]


def flowers(folder: Path) -> Path:
    """Two classes of eight pictures each."""
    for number in range(16):
        label, colour = ("玫瑰", "red") if number % 2 else ("tulip", "blue")
        (folder / label).mkdir(parents=True, exist_ok=True)
        noise = Image.effect_noise((96, 96), 80)
        flower = Image.merge("RGB", [noise] * 3)
        flower.paste(colour, (16, 16, 64, 48 + number))
        flower.save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `vidcam train flowers/ -o run` leaves."""
    from vidcam.training.run import Place, train
    from vidcam.training.train_options import TrainOptions

    folder = tmp_path_factory.mktemp("own")
    options = TrainOptions(imgsz=64, fit="crop")
    return train(str(flowers(folder / "flowers")), Place(folder / "run"), options).folder.path


@pytest.fixture
def workplace(tmp_path: Path, cat_clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the reader's: clip.mp4, videos/, explained/, each short."""
    import av

    (tmp_path / "videos").mkdir()
    (tmp_path / "explained").mkdir()
    with av.open(str(cat_clip)) as source, av.open(str(tmp_path / "clip.mp4"), "w") as target:
        tracks = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.dts * packet.time_base < 0.3:
                packet.stream = tracks[packet.stream_index]
                target.mux(packet)
    shutil.copy(tmp_path / "clip.mp4", tmp_path / "videos" / "a.mp4")
    for name in ("cat.jpg", "clip.jpg", "videos/a.jpg"):
        shutil.copy(ROOT / "sample_media/cat-and-coffee.jpg", tmp_path / name)
    with Image.open(ROOT / "sample_media/cat-and-coffee.jpg") as pair:
        for label, left in (("tabby cat", 0), ("espresso", 480)):
            (tmp_path / "photos" / label).mkdir(parents=True)
            pair.crop((left, 0, left + 480, 480)).save(tmp_path / "photos" / label / "a.jpg")
    flowers(tmp_path / "flowers")
    (tmp_path / "sample_media").symlink_to(ROOT / "sample_media")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def as_run_here(words: list[str]) -> list[str]:
    """A `vidcam live` command on a machine without cameras, network and display: its sources are
    the clip in real time, its receiver is not there, and it ends."""
    sources = {"0", "1", "rtsp://host/stream"}
    words = ["clip.mp4" if word in sources else word for word in words]
    words = [word.replace("rtmp://host/", "rtmp://127.0.0.1:9/") for word in words]
    return [*words, "--no-window", "--loop", "--duration", "1.5"]


COMMANDS = [
    command
    for name in ("README.md", "docs/pictures.md", "docs/explain.md")
    for command in readme_commands(ROOT / name)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_runs(
    command: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    from vidcam.cli import main

    words = shlex.split(command)
    if words[1] == "live":
        words = as_run_here(words)
    if re.search(r"--model run|eval run", command):
        (workplace / "run").symlink_to(request.getfixturevalue("own_run"))
    if "--model run" in command:
        words += ["--backend", "torch"]  # to prepare it for OpenVINO takes a quarter of a minute
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0, capsys.readouterr().err
    for name in re.findall(r"(?:-o|--jsonl|--csv|--events) (\S+)", command):
        if "://" in name:
            continue
        fixed = re.sub(r"(%\w)+", "*", name.strip("'").replace("{source}", "0"))
        written = next(workplace.glob(fixed))
        made = list(written.iterdir()) if written.is_dir() else [written]
        assert made and all(path.stat().st_size > 100 for path in made)


@pytest.mark.parametrize(
    ("page", "number"),
    [(page, n) for page in PAGES for n in range(len(blocks(page, "python")))],
    ids=lambda value: value.name if isinstance(value, Path) else str(value),
)
def test_every_python_example_runs(page: Path, number: int, workplace: Path) -> None:
    import torch
    from torchvision import models

    code = blocks(page, "python")[number]
    torch.manual_seed(0)
    net = models.resnet18(weights=None, num_classes=3)
    exec(
        compile(code, page.name, "exec"),
        {"vidcam": __import__("vidcam"), "torch": torch, "net": net},
    )
    if page.name == "checkpoints.md":
        from vidcam.models import load_model
        from vidcam.options import FileOptions

        model = load_model(FileOptions(model="fruit.pt"))
        assert model.labels.shown == ("苹果", "香蕉", "橙子")


def test_the_help_in_the_docs_is_todays() -> None:
    import runpy

    rendered = runpy.run_path(str(DOCS_SCRIPT))["rendered"]
    page = (ROOT / "docs" / "command.md").read_text("utf-8")
    assert rendered(page) == page, "run: python docs/render_help.py"


def test_both_readmes_have_the_same_commands_and_headings_in_number() -> None:
    english, chinese = (ROOT / name for name in ("README.md", "README.zh-CN.md"))
    assert readme_commands(english) == readme_commands(chinese)
    counts = [len(re.findall(r"^## ", p.read_text("utf-8"), re.M)) for p in (english, chinese)]
    assert counts[0] == counts[1]
    figures = [re.findall(r"\*\*([\d.]+)\*\*", p.read_text("utf-8")) for p in (english, chinese)]
    assert figures[0] == figures[1] and figures[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    for link in links:
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_every_option_is_in_the_commands_page() -> None:
    from vidcam.options import FileOptions, LiveOptions
    from vidcam.spec import specs

    page = (ROOT / "docs" / "command.md").read_text("utf-8")
    for name, (_, spec) in (specs(FileOptions) | specs(LiveOptions)).items():
        flag = (spec.flags or ("--" + name.replace("_", "-"),))[0].split("/")[0]
        assert flag in page
