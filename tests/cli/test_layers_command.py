"""`vidcam layers`: the list agrees with what --layer takes, and its total with the network."""

import re

import pytest
from checkpoints import small_checkpoint

from vidcam.cam.layers import check_layer, default_layer
from vidcam.errors import UsageError


@pytest.fixture
def listed(run_main):
    """Runs the command; gives {layer: (mark, kind, shape, parameters)}, and stderr."""

    def run(*arguments):
        code, out, err = run_main("layers", *arguments)
        assert code == 0, err
        rows = {}
        for line in out.splitlines():
            mark, (name, *rest) = line[0], line[1:].split()
            if name == "layer":
                continue
            number = int(rest.pop().replace(",", ""))
            shape = rest.pop() if re.fullmatch(r"\d+(x\d+)+", (rest or [""])[-1]) else ""
            rows[name] = mark, " ".join(rest), shape, number
        return rows, err

    return run


def test_the_built_in_network(listed, builtin):
    rows, err = listed()
    modules = dict(builtin.net.named_modules())
    assert list(rows) == [*filter(None, modules), "total"] and err == ""
    assert rows["total"][3] == sum(p.numel() for p in builtin.net.parameters()) == 4_652_008
    leaves = [name for name, module in modules.items() if name and not list(module.children())]
    direct = {
        name: sum(p.numel() for p in module.parameters(recurse=False))
        for name, module in modules.items()
    }
    assert sum(direct.values()) == rows["total"][3]
    assert rows["conv_stem"] == ("+", "Conv2dSame", "1x32x112x112", 864) and "conv_stem" in leaves
    assert [name for name, row in rows.items() if row[0] == "*"] == ["bn2"]
    assert default_layer(builtin.net, builtin.size) == "bn2"
    for name in ("classifier", "global_pool", "blocks.6.0.drop_path", "blocks.6", "blocks.0"):
        if rows[name][0] == "+":
            check_layer(builtin.net, name, builtin.size)
        else:
            with pytest.raises(UsageError, match=f"layer {name} cannot carry a map"):
                check_layer(builtin.net, name, builtin.size)


def test_every_mark_of_a_checkpoint_is_what_layer_takes(listed, tmp_path):
    from vidcam.models import load_model
    from vidcam.options import ModelOptions

    path = str(small_checkpoint(tmp_path, layer="features.9"))
    model = load_model(ModelOptions(model=path))
    rows, _ = listed(path)
    assert [name for name, row in rows.items() if row[0] == "*"] == ["features.9"]
    for name in filter("total".__ne__, rows):
        try:
            check_layer(model.net, name, model.size)
        except UsageError:
            assert rows[name][0] == " ", name
        else:
            assert rows[name][0] in "+*", name


def test_a_checkpoint_whose_own_layer_cannot_carry_a_map(listed, tmp_path):
    rows, err = listed(str(small_checkpoint(tmp_path, layer="classifier")))
    assert "layer classifier cannot carry a map" in err
    assert not [name for name, row in rows.items() if row[0] == "*"]


def test_quiet_leaves_the_heading_out(run_main, tmp_path):
    path = str(small_checkpoint(tmp_path))
    loud, quiet = (run_main("layers", path, *more)[1] for more in ((), ("-q",)))
    assert loud.splitlines()[1:] == quiet.splitlines()
    assert loud.splitlines()[0].split() == ["layer", "kind", "gives", "parameters"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["resnet51"],
            "unknown model 'resnet51', nor is there such a file or folder; nearest: resnet",
        ),
        (["missing.pt"], "missing.pt"),
        (["resnet18", "resnet34"], "vidcam layers --help"),
    ],
)
def test_a_wrong_name(run_main, arguments, says):
    code, out, err = run_main("layers", *arguments)
    assert code == 2 and out == "" and says in err and len(err.splitlines()) == 1
