"""What runs between blocks and is as good as they: a U-Net's bottom."""

from collections.abc import Collection, Iterator, Sequence

from fathometer.instruments.module_kinds import above, is_embedding, is_follower, is_inside
from fathometer.instruments.stacks import Block, Stacks


def bridges(stacks: Stacks, blocks: Sequence[Block]) -> list[Block]:
    """Return what runs between the first and the last block, lies in none, and is as good a block.

    Among single layers each other layer is, with the activation after it; among blocks of several layers what else has
    several. Between the calls of a recurrent cell nothing is: its readout runs as often.
    """
    if stacks.are_cells(blocks):
        return []
    members = {name for block in blocks for name in block}
    around = {outer for name in members for outer in above(name)}
    small = all(stacks.cover([block]) == 1 for block in blocks)
    found: dict[Block, None] = {}
    for place, name in _between(stacks, members):
        homes = [outer for outer in above(name) if stacks.runs[outer] and outer not in around]
        if small:
            outermost = [name, *(home for home in homes if stacks.inside[home] == 1)][-1]
            found[outermost, *(_followers(stacks, place) if outermost == name else ())] = None
        elif homes and stacks.inside[homes[-1]] > 1:
            found[homes[-1],] = None
    return list(found)


def _between(stacks: Stacks, members: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield (place in the trace, name) of the layers outside of the members that end between the first and the last."""
    ended = [place for place, step in enumerate(stacks.steps) if is_inside(step.name, members)]
    layers = {layer for layer in stacks.layers if not is_inside(layer, members)}
    for place in range(ended[0], ended[-1]):
        name = stacks.steps[place].name
        if name in layers and not is_embedding(stacks.module(name)):
            yield place, name


def _followers(stacks: Stacks, place: int) -> Iterator[str]:
    """Yield the activations and norms right after a layer."""
    for step in stacks.steps[place + 1 :]:
        if not is_follower(step.name, stacks.module(step.name)):
            return
        yield step.name
