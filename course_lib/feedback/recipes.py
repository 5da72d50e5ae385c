"""Whether the recipe of a picture of a student's own (a1 to a4) is one: what is wrong with it."""

from collections.abc import Callable
from functools import cache

import torch
from skimage.draw import polygon2mask

from course_lib.directions import ganspace, move, sefa, with_spread
from course_lib.feedback.answers import ask, plain
from course_lib.generators import load_generator
from course_lib.generators.base import Generator
from course_lib.images import load_image, sample_names
from course_lib.warping import KINDS, deform_points

FIRST_BLEND = ("chelsea", "coffee", (61, 21))
FIRST_WARP = ("chelsea", [[120, 82], [226, 97], [186, 182]])


def find_fault_in_blend(my_edit: Callable) -> str | None:
    """What keeps the recipe of a student's own blend from being one, if anything does."""
    recipe = plain(ask(my_edit))
    if not isinstance(recipe, list) or len(recipe) != 5:
        return ("Return five things: the names of the source and the target, the lasso, the "
                "offset and the gradients.")
    source, target, lasso, offset, gradients = recipe
    for name in (source, target):
        if name not in sample_names():
            return f"There is no sample photo called {name!r}: take one of {sample_names()}."
    if gradients not in ("source", "mixed", "average"):
        return f'gradients is {gradients!r}: take "source", "mixed" or "average".'
    source, target = load_image(source, size=200), load_image(target, size=320)
    height, width = source.shape[1:]
    if any(not (-1 <= x <= width and -1 <= y <= height) for x, y in lasso):
        return (f"The lasso leaves the source, which is {width} wide and {height} high: points "
                f"are (x, y), columns first.")
    region = polygon2mask((height, width), [(y, x) for x, y in lasso]) if len(lasso) > 2 else []
    y, x = torch.as_tensor(region).nonzero().T if len(region) else torch.zeros(2, 0)
    if len(x) < 150:
        return (f"The lasso holds {len(x)} pixels, too few to see: draw around something, with "
                f"at least three corners.")
    x, y = x + offset[0], y + offset[1]
    inside = (x >= 0) & (y >= 0) & (x < target.shape[2]) & (y < target.shape[1])
    if inside.float().mean() < 0.5:
        return ("Most of your region lands outside the target: the offset is where the source's "
                "top left corner goes, (x, y) in pixels of the target.")
    if inside.sum() > 0.6 * target[0].numel():
        return "Your region covers most of the target, so nothing is left to blend with."
    if (recipe[0], recipe[1], tuple(offset)) == FIRST_BLEND:
        return "That is the edit that the tool starts with: drag, draw, choose, and make it yours."
    return None


def find_fault_in_warp(my_warp: Callable) -> str | None:
    """What keeps the recipe of a student's own warp from being one, if anything does."""
    recipe = plain(ask(my_warp))
    if not isinstance(recipe, list) or len(recipe) != 5:
        return "Return five things: the photo's name, handles, their targets, kind and falloff."
    name, handles, targets, kind, falloff = recipe
    if name not in sample_names():
        return f"There is no sample photo called {name!r}: take one of {sample_names()}."
    if kind not in KINDS:
        return f"kind is {kind!r}: take one of {', '.join(map(repr, KINDS))}."
    if len(handles) < 3 or len(handles) != len(targets):
        return (f"There are {len(handles)} handles and {len(targets)} targets: take at least "
                f"three handles, and one target for each.")
    height, width = load_image(name, size=320).shape[1:]
    if any(not (0 <= x < width and 0 <= y < height) for x, y in handles):
        return (f"A handle lies outside the photo, which is {width} wide and {height} high: "
                f"points are (x, y), columns first.")
    p, q = torch.tensor(handles).float(), torch.tensor(targets).float()
    if (p - q).norm(dim=1).max() < 3:
        return "No handle moves by as much as three pixels: drag one."
    if (p - q).norm(dim=1).min() > 3:
        return "Every handle moves: set a few more that stay, to hold the rest in place."
    y, x = torch.meshgrid(*map(torch.arange, (height, width)), indexing="ij")
    places = torch.stack([x, y], dim=-1).reshape(-1, 2).float()
    moved = deform_points(places, p, q, kind=kind, falloff=float(falloff))
    moved = moved.reshape(height, width, 2)
    corner = moved[:-1, :-1]
    sides = torch.stack([moved[:-1, 1:] - corner, moved[1:, :-1] - corner], dim=-1)
    if (torch.linalg.det(sides) < 0).double().mean() > 0.05:
        return "More than a twentieth of the picture is folded over: drag less far."
    if (name, targets) == FIRST_WARP:
        return "That is the warp that the tool starts with: make it yours."
    return None


@cache
def _large_cats() -> Generator:
    return load_generator("cats-128", device="cpu")


@torch.no_grad()
def find_fault_in_mix(my_mix: Callable) -> str | None:
    """What keeps the recipe of a student's own mix of styles from being one, if anything does."""
    recipe = plain(ask(my_mix))
    if not isinstance(recipe, list) or len(recipe) != 4:
        return "Return four numbers: seed, second_seed, truncation_psi and crossover."
    seed, second, psi, crossover = recipe
    if any(isinstance(one, float) for one in (seed, second, crossover)):
        return "Seeds and crossover are whole numbers."
    if (seed, second) == (0, 1):
        return "Those are the seeds that the tool starts with: find two cats that you like."
    if seed == second:
        return "Both seeds are the same, so there is nothing to mix: take two."
    if not 0 < psi <= 1.2:
        return f"truncation_psi is {psi:g}: at 0 all are the mean cat, above 1.2 few are cats."
    generator = _large_cats()
    if not 0 < crossover < generator.num_ws:
        return (f"crossover is {crossover}: from 1 to {generator.num_ws - 1}, so that both codes "
                f"have a say.")
    codes = torch.cat([generator.sample_latent(1, space="w_plus", truncation_psi=psi,
                                               rng=torch.Generator().manual_seed(one))
                       for one in (seed, second)])
    mixed = torch.cat([codes[0, :crossover], codes[1, crossover:]])[None]
    a, b, c = generator.decode(torch.cat([codes, mixed]), space="w_plus")
    if min((c - a).abs().mean(), (c - b).abs().mean()) < 0.01:
        return ("The mix looks like one of the two: move the crossover towards the middle, or take "
                "cats that differ more.")
    return None


@cache
def _directions() -> tuple[Generator, dict]:
    generator = load_generator("cats")
    rng = torch.Generator().manual_seed(0)
    codes = generator.sample_latent(2000, space="w", rng=rng)
    return generator, {"pca": ganspace(generator, n_samples=5000, n_components=10, rng=rng),
                       "sefa": with_spread(sefa(generator, n_components=10), codes)}


@torch.no_grad()
def find_fault_in_edit(my_edit: Callable) -> str | None:
    """What keeps the recipe of a student's own edit from being one, if anything does."""
    recipe = plain(ask(my_edit))
    if not isinstance(recipe, list) or len(recipe) != 5:
        return "Return five things: the edit's name, method, index, strength and rows."
    name, method, index, strength, rows = recipe
    if not isinstance(name, str) or len(name.strip()) < 3 or name == "a name":
        return "Give the edit a name that says what changes in the picture."
    if method not in ("pca", "sefa"):
        return f'method is {method!r}: take "pca" or "sefa".'
    generator, found = _directions()
    if not isinstance(index, int) or not 0 <= index < 10:
        return f"index is {index}: there are ten directions, 0 to 9."
    if not isinstance(rows, list) or not rows or not set(rows) <= set(range(generator.num_ws)):
        return f"rows is {rows}: name some of the rows 0 to {generator.num_ws - 1} of w_plus."
    codes = generator.sample_latent(8, space="w_plus", truncation_psi=0.7,
                                    rng=torch.Generator().manual_seed(1))
    reach = float(strength * found[method].stdev[index])
    after = move(codes, found[method].components[index], reach, layers=list(rows))
    change = generator.decode(after, space="w_plus") - generator.decode(codes, space="w_plus")
    if change.abs().mean() < 0.01:
        return "One hardly sees the edit: raise the strength, or let more rows move."
    if change.abs().mean() > 0.25:
        return "The edit leaves little of the picture: lower the strength, or move fewer rows."
    return None
