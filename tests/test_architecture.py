"""The house rules: who may import whom, what stays unloaded, sizes and docstrings.

The rules are those of the design; a rule that no longer fits is changed here, in the open.
"""

import ast
import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vidcam as package

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ROOT / "vidcam"
FILES = sorted(HOUSE.rglob("*.py"))
HEAVY = {"torch", "torchvision", "timm", "cv2", "av", "numpy", "PIL", "matplotlib", "fontTools"}
PICTURES = {"vidcam.sources", "vidcam.sinks", "vidcam.overlays"}
LIGHT, NO_NETWORK = {"torch", "cv2", "click"}, {"torch", "torchvision", "timm"}
NETWORK_ONLY = {"click", *PICTURES}

# Who (a module of vidcam or a folder of it) must not import what.
FORBIDDEN = {
    "types": LIGHT,
    "errors": LIGHT,
    "options": LIGHT,
    "spec": LIGHT,
    "values": LIGHT,
    "channel": LIGHT,
    "sources": NO_NETWORK,
    "sinks": NO_NETWORK,
    "overlays": NO_NETWORK,
    "yuv": NO_NETWORK,
    "models": NETWORK_ONLY,
    "classifier": NETWORK_ONLY,
    "cam": NETWORK_ONLY,
    "pictures": {"click", "vidcam.figures.chart", "vidcam.figures.grid"},
    "figures": {*NO_NETWORK, "click"},
    "training": {"click"},
    "backends": NETWORK_ONLY,
    # The pipeline knows only the contracts, which are the folders' own __init__.
    "stats": LIGHT,
    "view": LIGHT,
    "pipeline": {"torch", "click", *(f"{part}." for part in PICTURES)},
}

PUBLIC = [
    "ExplainOptions", "Explainer", "Explanation", "FileOptions", "Frame", "Heatmap",
    "ImageOptions", "Interrupted", "OutputError", "Prediction", "Predictor", "Rect", "Result",
    "RunStats", "Score", "Session", "SourceError", "SourceLost", "StreamInfo", "UnknownName",
    "UsageError", "VidcamError", "explain", "predict", "run", "stream",
]  # fmt: skip


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(tree, module="", is_package=False):
    """Every module that is imported at run time, function bodies included, with full names."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            for other in node.orelse:
                found |= imports_of(ast.Module([other], []), module, is_package)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*up, base]).rstrip(".")
            # A name that is imported from a package may be a module of it.
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        else:
            found |= imports_of(node, module, is_package)
    return found


def imported_by(path):
    tree = ast.parse(path.read_text("utf-8"))
    return imports_of(tree, module_of(path), path.name == "__init__.py")


def breaks(imported, forbidden):
    """Whether an import is a forbidden one; of `x.` only the modules in x are, not x itself."""
    if forbidden.endswith("."):
        return imported in MODULES and imported.startswith(forbidden)
    return imported == forbidden or imported.startswith(forbidden + ".")


def test_the_import_test_sees_every_kind_of_import():
    source = """
import torch.nn
from vidcam import cli
def late():
    from vidcam.sinks.file import VideoFileSink
    try:
        import cv2
    except ImportError:
        from .. import click
if TYPE_CHECKING:
    import click
else:
    import numpy
"""
    found = imports_of(ast.parse(source), "vidcam.a.b")
    assert {"torch.nn", "vidcam.cli", "vidcam.sinks.file", "cv2", "numpy"} <= found
    assert "click" not in found and "vidcam.click" in found
    assert breaks("torch.nn", "torch") and not breaks("torchvision", "torch")
    assert breaks("vidcam.sinks.file", "vidcam.sinks.")
    assert not breaks("vidcam.sinks.Sink", "vidcam.sinks.")


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_keep_to_the_design(part):
    files = [path for path in FILES if path.relative_to(HOUSE).with_suffix("").parts[0] == part]
    assert files, f"vidcam/{part} has moved: move its rule"
    broken = [
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in files
        for imported in sorted(imported_by(path))
        if any(breaks(imported, forbidden) for forbidden in FORBIDDEN[part])
    ]
    assert not broken


def test_only_the_command_line_imports_click_and_nobody_imports_it():
    users, importers = set(), set()
    for path in FILES:
        imported = imported_by(path)
        if any(breaks(name, "click") for name in imported):
            users.add(path.relative_to(HOUSE).parts[0])
        inside = path.is_relative_to(HOUSE / "cli")
        if not inside and any(breaks(name, "vidcam.cli") for name in imported):
            importers.add(path.relative_to(HOUSE).as_posix())
    assert users == {"cli"}
    assert importers == {"__main__.py"}


def loaded_by(code):
    """Top-level names of the modules that a fresh process has loaded after `code`."""
    code += "\nimport sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_importing_vidcam_loads_nothing_heavy():
    loaded = loaded_by("import vidcam; dir(vidcam); vidcam.__version__")
    assert "vidcam" in loaded and not loaded & (HEAVY | {"click", "rich"})


def test_the_errors_and_options_load_nothing_heavy():
    loaded = loaded_by("import vidcam; vidcam.FileOptions(lang='en'); vidcam.UsageError")
    assert not loaded & (HEAVY | {"click", "rich"})


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "--version",
        "file --help",
        "image --help",
        "explain --help",
        "layers --help",
        "import --help",
        "train --help",
        "eval --help",
        "compare --help",
        "data --help",
        "models --help",
        "doctor --help",
    ],
)
def test_help_loads_nothing_heavy(arguments):
    loaded = loaded_by(f"""
import sys
sys.argv = ["vidcam", *{arguments.split()!r}]
from vidcam.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
""")
    assert "click" in loaded and not loaded & HEAVY


def test_a_wrong_option_is_refused_before_anything_heavy_is_loaded():
    loaded = loaded_by("""
import sys
sys.argv = ["vidcam", "file", "x.mp4", "-o", "y.mp4", "--cam", "gradcamm"]
from vidcam.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 2, end.code
""")
    assert not loaded & HEAVY


@pytest.mark.parametrize("module", ["vidcam.sources.file", "vidcam.sources.lavfi", "vidcam.yuv",
                                    "vidcam.sinks.file", "vidcam.sinks.records",
                                    "vidcam.compositor", "vidcam.prepare"])  # fmt: skip
def test_reading_drawing_and_writing_need_no_torch(module):
    assert not loaded_by(f"import {module}") & {"torch", "torchvision", "timm", "click"}


def test_help_is_there_in_a_blink():
    best = 60.0
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "vidcam", "--help"], cwd=ROOT, capture_output=True, check=True
        )
        best = min(best, time.perf_counter() - start)
    assert best < 0.3


def test_files_stay_short():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert not {str(path): length for path, length in lengths.items() if length >= 300}


def test_no_file_or_class_is_a_drawer_for_everything():
    words = ("utils", "helper", "manager", "misc", "common")
    names = [path.stem for path in FILES]
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        names += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert not [name for name in names if any(word in name.lower() for word in words)]


def undocumented(node, where):
    """Public functions, classes and methods without a docstring; nested functions are private."""
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_"):
            continue
        if not ast.get_docstring(child):
            yield f"{where}:{child.lineno} {child.name}"
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, where)


def test_everything_public_says_what_it_is():
    missing = []
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        if not ast.get_docstring(tree):
            missing.append(str(path.relative_to(ROOT)))
        missing += undocumented(tree, path.relative_to(ROOT))
    assert not missing


def test_the_public_names_are_pinned_and_resolve():
    assert package.__all__ == PUBLIC
    for name in PUBLIC:
        value = getattr(package, name)
        assert value.__module__.startswith("vidcam.") and value.__doc__
        assert name in dir(package)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense


def test_the_names_for_type_checkers_are_the_names_at_run_time():
    tree = ast.parse((HOUSE / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if is_type_checking(node))
    homes = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(homes) == PUBLIC
    for name, home in homes.items():
        assert getattr(importlib.import_module(home), name) is getattr(package, name)
