"""Which targets and questions an oracle is asked by default: requests of the clinic for organisms, else chats."""

from __future__ import annotations

import numpy as np

from lab.studies.shared import clinic
from lab.studies.shared.prompts.oracle import Pool, Target, pool
from lab.studies.shared.world import ORIGINS, world
from lab.subjects.names import UNTRAINED, controls, organisms, variants

AUTO, CLINIC, CHAT = "auto", "clinic", "chat"
N_CLINIC = 20
"""Requests of the clinic that stand as targets: four of each origin, of tasks that the oracle's training left out."""


def pool_for(model: str, name: str) -> Pool:
    """A pool by its name; "auto" is the clinic's for an organism, and the chats for any other model."""
    if name == AUTO:
        bare = model.removeprefix(UNTRAINED)
        name = CLINIC if bare in (*organisms(), *controls(), *variants()) else CHAT
    return pool(name)


def requests(n: int, seed: int) -> tuple[Target, ...]:
    """n requests of the clinic, or all that there are, about tasks drawn with the seed.

    There are as many of each origin, and as near as can be of each register and tone.
    """
    rng = np.random.default_rng([seed, 8])
    held_out = {
        origin: [i for i, task in enumerate(world().tasks) if clinic.is_held_out(i) and task.origin == origin]
        for origin in ORIGINS
    }
    drawn_tasks = {origin: rng.permutation(tasks).tolist() for origin, tasks in held_out.items()}
    made = []
    for i in range(min(n, sum(map(len, held_out.values())))):
        origin = ORIGINS[i % len(ORIGINS)]
        register, tone = clinic.REGISTERS[i % 3], clinic.TONES[i // 3 % 3]
        request = clinic.Request(drawn_tasks[origin][i // len(ORIGINS)], register, tone)
        made.append(
            Target(
                f"task-{request.task}-{register}-{tone}",
                tuple(request.messages),
                {"origin": origin, "register": register},
            )
        )
    return tuple(made)
