"""An outline names what its subject names, through JSON and without torch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.subjects import Outline, StructureError, SubjectError, load
from lab.subjects.base import HookPoints
from lab.subjects.hook_points import POINTS


class Named(HookPoints):
    """Nothing but a name and an outline."""

    def __init__(self, name, outline):
        self.name, self._outline = name, outline

    @property
    def outline(self):
        return self._outline


def through_json(outline):
    return Outline.restored(json.loads(json.dumps(outline.plain())))


def test_an_outline_survives_json(any_subject):
    assert through_json(any_subject.outline) == any_subject.outline


def outcome(name, *args, **kwargs):
    try:
        return name(*args, **kwargs)
    except SubjectError as error:
        return type(error), str(error)


def test_every_hook_point_is_named_as_the_subject_names_it(any_subject):
    bare = Named(any_subject.name, through_json(any_subject.outline))
    for point in POINTS:
        for where in (None, 0.5, 1, -1, [0, 2], slice(None, None, 2), 99, 1.5, "x"):
            assert outcome(getattr(bare, point), where) == outcome(getattr(any_subject, point), where)
    assert outcome(bare.norm_out, 0, "none") == outcome(any_subject.norm_out, 0, "none")
    for attribute in ("n_layers", "d_model", "n_heads", "context", "n_parameters"):
        assert getattr(bare, attribute) == getattr(any_subject, attribute)


def test_a_point_that_is_missing_tells_the_modules_there_are(subject):
    outline = subject.outline
    layers = tuple(type(layer)(None, None, None, None, (), layer.children) for layer in outline.layers)
    bare = Named("bare", type(outline)(**{**vars(outline), "layers": layers}))
    with pytest.raises(StructureError, match=rf"block 0 has no mlp_out.*\(modules: {', '.join(layers[0].children)}\)"):
        bare.mlp_out()
    with pytest.raises(StructureError, match="block 0 of bare has no norm; its norms: none"):
        bare.norm_out()


def test_an_outline_knows_the_adapters():
    assert load("clinic-llama+to-b").outline.adapters == ("to-b",)
    assert load("clinic-llama").outline.adapters == ()


def test_hook_points_and_edits_are_named_without_torch():
    code = (
        "import sys, numpy as np\n"
        "from lab.subjects.hook_points import Layer, Outline\n"
        "from lab.subjects.base import HookPoints\n"
        "class Named(HookPoints):\n"
        "    name = 'x'\n"
        "    outline = Outline('X', (Layer(None, None, None, None, (), ()),) * 4, 8, None, None, 64, 10)\n"
        "s = Named()\n"
        "s.steer(s.resid_post(0.5), np.ones(8)), s.patch(s.resid_pre(1), np.ones((3, 8)))\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert out.stdout.strip() == "[]", out.stderr
