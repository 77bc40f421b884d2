"""Categories with ranks of every kind for Hypothesis to draw, and their labels in plain Python."""

from hypothesis import strategies as st

from tests.evaluation import scenes

RANKS = ("genus", "family", "order", "phylum", "kingdom")  # kingdom and phylum above super-classes
SHAPES = ("tree", "one species per genus", "random", "gaps", "half", "kingdoms")


def kept_apart(rank, category, categories):
    """Within what the name of a category at a rank counts as the same."""
    if rank == "kingdom":
        return ""
    namesakes = [c for c in categories if dict(c.ranks).get(rank) == dict(category.ranks)[rank]]
    if all("kingdom" in dict(c.ranks) for c in namesakes):
        return dict(category.ranks)["kingdom"]
    return "" if rank == "phylum" else category.supercategory


def keys(categories, level):
    """What tells the labels of a level apart: one key per category, by category id."""
    found = {}
    for category in categories:
        ranks = dict(category.ranks)
        if level == "generic":
            found[category.id] = "any"
        elif level == "super":
            found[category.id] = category.supercategory
        elif level == "species" or level not in ranks:
            found[category.id] = category.id
        else:
            found[category.id] = ranks[level], kept_apart(level, category, categories)
    return found


@st.composite
def categories(draw):
    """The categories of `scenes`, some of which have ranks."""
    shape = draw(st.sampled_from(SHAPES))
    found = []
    for category in scenes.CATEGORIES:
        if shape == "tree":
            genus = draw(st.integers(0, 3))
            names = {"genus": f"G{genus}", "family": f"F{genus // 2}", "order": "O"}
        elif shape == "one species per genus":
            names = {"genus": f"G{category.id}", "family": f"F{category.id % 3}"}
        else:
            some = st.sampled_from(["a", "b", "c", *[None] * (shape == "gaps")])
            names = {rank: draw(some) for rank in RANKS}
            if shape == "random":
                names.pop("kingdom")
        if shape == "half" and draw(st.booleans()):
            names = {}
        if shape == "kingdoms":
            names["kingdom"] = category.supercategory[0]
        found.append(category.with_ranks({rank: name for rank, name in names.items() if name}))
    return tuple(found)
