"""The lessons' own checks: the solution passes, and answers that are nearly right do not.

Also the README's code, which people paste.
"""

import json
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


def run_cells(lesson: str, *ids: str, **names) -> dict:
    """What these cells of a lesson define, run with `names` at hand."""
    path = next((ROOT / "notebooks").glob(f"{lesson}*.ipynb"))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names |= {"torch": torch, "rng": torch.Generator().manual_seed(0), "device": "cpu"}
    for cell in ids:
        exec(sources[cell], names)
    return names


def drop_weak_in_place(dx, dy, threshold):
    weak = (dx**2 + dy**2).sum(0) < threshold
    dx[:, weak], dy[:, weak] = 0, 0
    return dx, dy


def drop_up_to_ten_in_place(dx, dy, threshold):
    return drop_weak_in_place(dx, dy, 10)


def drop_all(dx, dy, threshold):
    return 0 * dx, 0 * dy


def drop_none(dx, dy, threshold):
    return dx, dy


def drop_by_channel(dx, dy, threshold):
    strong = dx**2 + dy**2 >= threshold
    return dx * strong, dy * strong


def drop_strong(dx, dy, threshold):
    weak = (dx**2 + dy**2).sum(0) < threshold
    return dx * weak, dy * weak


@pytest.mark.parametrize("wrong, law", [
    (drop_up_to_ten_in_place, "weak go"), (drop_all, "some stay"), (drop_none, "some gradients go"),
    (drop_by_channel, "channels decide together"), (drop_strong, "weak go"),
])
def test_kept_gradients_are_checked(wrong, law):
    check = run_cells("02", "l0-check", "l0-solution")["check"]
    check(drop_weak_in_place)  # a right answer that changes what it is given
    with pytest.raises(AssertionError, match=law):
        check(wrong)


def similarity(v, p, q):
    """The rigid map without the division by |m|."""
    weights = 1 / ((p - v) ** 2).sum(dim=1, keepdim=True)
    p_star, q_star = ((weights * ends).sum(dim=0) / weights.sum() for ends in (p, q))
    p_hat, q_hat = torch.view_as_complex(p - p_star), torch.view_as_complex(q - q_star)
    m = (weights[:, 0] * p_hat.conj() * q_hat).sum() / (weights[:, 0] * p_hat.abs() ** 2).sum()
    return torch.view_as_real(torch.view_as_complex(v - p_star) * m) + q_star


def affine(v, p, q):
    def with_one(places):
        return torch.cat([places, torch.ones_like(places[:, :1])], dim=1)

    root = ((p - v) ** 2).sum(dim=1, keepdim=True) ** -0.5
    fit = torch.linalg.lstsq(root * with_one(p), root * q).solution
    return v @ fit[:2] + fit[2]


@pytest.mark.parametrize("wrong", [similarity, affine])
def test_only_a_rigid_map_passes_for_one(wrong):
    cells = run_cells("03", "mls-check", "mls-solution", points=lambda *rows: torch.tensor(rows))
    check = cells["check"]
    with pytest.raises(AssertionError, match="stretch"):
        check(wrong)


def test_the_readmes_code_runs_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    exec(code.group(1), {})
    assert (tmp_path / "cat_in_a_cup.png").stat().st_size > 10_000
