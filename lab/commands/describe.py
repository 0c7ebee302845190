"""lab describe MODEL: where a model's hook points are, as found by running it."""

from __future__ import annotations

import argparse
import sys

from lab.subjects.errors import SubjectError
from lab.subjects.names import organisms
from lab.subjects.subject import Subject


def describe(subject: Subject) -> str:
    """The map of hook points: a line each, with the module that carries it. `{i}` is the layer."""
    anatomy, first = subject.anatomy, subject.anatomy.blocks[0]
    at = f"{anatomy.path}.{{i}}"
    heads = f"{anatomy.n_heads} heads of {anatomy.d_head}" if anatomy.d_head else "no heads found"
    title = (
        f"{subject.name}: {anatomy.owner}, {subject.n_layers} layers, d_model {subject.d_model}, {heads}, "
        f"{subject.n_parameters / 1e6:,.1f} M parameters, context {subject.context}"
    )
    size = f"[{anatomy.n_heads}, {anatomy.d_head}]"
    where = {
        "resid_pre": f"input of {at}",
        "attn_out": first.attn_out and f"output of {at}.{first.attn_out}",
        "head_out": anatomy.d_head and f"input of {at}.{first.head_out}, {size}",
        "attn_pattern": anatomy.d_head and f"weights that {at}.{first.attention} returns under eager attention",
        "resid_mid": first.reads_mid and f"resid_pre + attn_out, as {at}.{first.reads_mid} reads it",
        "mlp_out": first.mlp_out and f"output of {at}.{first.mlp_out}",
        "resid_post": f"output of {at}",
        "norm_out": first.norms and f"outputs of {', '.join(first.norms)}",
    }
    parallel = first.attn_out is not None and first.reads_mid is None
    none = {"resid_mid": "none: attention and MLP read the same stream"} if parallel else {}
    points = [f"  {point:<13} {place or none.get(point, 'none found')}" for point, place in where.items()]
    layouts: dict[tuple[object, ...], list[str]] = {}
    for i, block in enumerate(anatomy.blocks):
        layout = block.attn_out, block.mlp_out, block.reads_mid, block.head_out, block.norms
        layouts.setdefault(layout, []).append(str(i))
    others = [f"  layers {', '.join(same)} are built otherwise than layer 0" for same in list(layouts.values())[1:]]
    how = "once, in the key-value cache" if subject.shares_prefix else "anew for each row"
    return "\n".join([title, "", *points, *others, "", f"  shared prompts are computed {how}"])


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab describe", description=__doc__)
    parser.add_argument(
        "model", help=f"a folder, a hub name, untrained:NAME, or an organism ({', '.join(organisms())})"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 or auto (default)")
    parser.add_argument("--dtype", help="float32, bfloat16 or float16")
    given = parser.parse_args(argv)
    from lab.subjects.loading import load

    try:
        print(describe(load(given.model, given.device, given.dtype)))
    except SubjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
