"""Checks of a5, its second half: a step of the colour-flow solve, the change carried to a photo.

Expected answers are solves in float64, and pictures whose motion is a whole number of pixels.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.feedback.diagnosis import Check, Mistake
from course_lib.transfer.motion import recolored, warped


def step_checks(rng: torch.Generator) -> list[Check]:
    """Part 3: fourteen numbers for one window, by least squares."""
    moved = torch.rand(3, 6, 7, generator=rng)
    ix, iy = 0.3 * torch.randn(2, 3, 6, 7, generator=rng)
    miss = 0.6 * ix - 0.9 * iy + 0.15 * moved.flip(0) + 0.2 * torch.rand(3, 6, 7, generator=rng)
    mistakes = [
        Mistake("The step goes the wrong way: miss is what is left to explain, so J d shall come "
                "near +miss.", lambda *question: -_step(*question)),
        Mistake("The flow has the wrong sign: I1(x + u) changes by +ix du + iy dv.",
                lambda r, ix, iy, *rest: _step(r, -ix, -iy, *rest)),
        Mistake("u and v are swapped: the first number goes with ix, the second with iy.",
                lambda *question: _step(*question)[[1, 0, *range(2, 14)]]),
        Mistake("The constant column is forgotten: each pixel is (r, g, b, 1), so a row of A has "
                "four numbers.", lambda *question: _step(*question, columns=3)),
        Mistake("The constant column is 0; put a 1 beside r, g, b.",
                lambda *question: _step(*question, constant=0)),
        Mistake("The smoothness is forgotten: add σ to the diagonal of JᵀJ, so that a flat "
                "window has an answer, too.",
                lambda r, ix, iy, p, *_: _step(r, ix, iy, p, 0, 0)),
        Mistake("One σ is used for all fourteen: σ_s goes with the two of the flow, σ_c with the "
                "twelve of A.", lambda r, ix, iy, p, s, _: _step(r, ix, iy, p, s, s)),
        Mistake("σ_s and σ_c are exchanged: the flow's two numbers come first.",
                lambda r, ix, iy, p, s, c: _step(r, ix, iy, p, c, s)),
        Mistake("JᵀJ and Jᵀ miss are averaged over the equations, but σ is for their sum.",
                lambda r, ix, iy, p, s, c: _step(r, ix, iy, p, s * r.numel(), c * r.numel())),
        Mistake("A is transposed: after the flow come the four numbers of red's row, then "
                "green's, then blue's.", lambda *question: torch.cat(
                    [_step(*question)[:2], _step(*question)[2:].reshape(3, 4).T.flatten()])),
        Mistake("Only red's equations are used: each pixel gives three, one a channel.",
                lambda r, *rest: _step(r, *rest, channels=1)),
        Mistake("Motion and colour are found one without the other, so both explain the same: "
                "put all fourteen into one system.", _apart),
    ]
    question = (miss, ix, iy, moved, 0.5, 2.0)
    return [Check("no other fourteen numbers have a lower ‖miss − J d‖² + d·σd", question,
                  _step(*question), mistakes, kind="curve")]


def _step(miss: Tensor, ix: Tensor, iy: Tensor, moved: Tensor, flow: float,
          color: float, *, columns: int = 4, constant: float = 1,
          channels: int = 3) -> Tensor:
    """The least squares answer, as rows under each other; the switches are mistakes."""
    miss, ix, iy, moved = (x.double().flatten(1) for x in (miss, ix, iy, moved))
    pixels = torch.cat([moved, constant * torch.ones_like(moved[:1])])[:columns].T
    colors = [torch.cat([pixels if row == c else 0 * pixels for row in range(3)], dim=1)
              for c in range(3)]
    J = torch.cat([torch.cat([torch.stack([ix[c], iy[c]], dim=1), colors[c]], dim=1)
                   for c in range(channels)])
    sigma = torch.tensor([flow] * 2 + [color] * (3 * columns), dtype=torch.float64)
    normal = J.T @ J + sigma.diag()
    return torch.linalg.solve(normal, J.T @ miss[:channels].flatten())


def _apart(miss: Tensor, ix: Tensor, iy: Tensor, moved: Tensor, *sigma: float) -> Tensor:
    return torch.cat([_step(miss, ix, iy, 0 * moved, *sigma, constant=0)[:2],
                      _step(miss, 0 * ix, 0 * iy, moved, *sigma)[2:]])


def carry_checks(rng: torch.Generator) -> list[Check]:
    """Part 4: flow and colour of a small picture, applied to a large one."""
    patches = torch.rand(1, 3, 3, 4, generator=rng)
    photo = F.interpolate(patches, (28, 44), mode="bicubic")[0].clamp(0, 1)
    whole = torch.tensor([3, 5]) * torch.randint(0, 2, (2,), generator=rng).mul(2).sub(1)
    flow = (whole / torch.tensor([5.5, 3.5]))[:, None, None].expand(2, 8, 8)
    wave = torch.cos(torch.pi * (torch.arange(8) + 0.5) / 8)  # smooth, and flat at the border
    still = torch.eye(3, 4)[..., None, None]
    color = still + 0.25 * torch.randn(3, 4, 1, 1, generator=rng).expand(3, 4, 8, 8)
    varied = color + 0.3 * torch.randn(3, 4, 1, 1, generator=rng) * wave

    swaying = (flow + 0.07) * (1 + 0.8 * wave)
    questions = [("a motion by whole pixels and one A for all are carried exactly", flow, color),
                 ("where A varies, the moved pixel takes the A of its new place", flow, varied),
                 ("between whole pixels, and where the flow varies, all goes smoothly", swaying,
                  color),
                 ("where nothing moves and A is the identity, the photo stays", 0 * flow,
                  still.expand(3, 4, 8, 8))]
    return [Check(law, (photo, f, a), _carried(photo, f, a), _carry_mistakes(still), 0.02)
            for law, f, a in questions]


def _carry_mistakes(still: Tensor) -> list[Mistake]:
    def slip(**options: object) -> Callable:
        return lambda photo, flow, color: _carried(photo, flow, color, **options)

    return [
        Mistake("The flow is in pixels of the small picture: multiply u by W / w and v by H / h.",
                slip(scale=False)),
        Mistake("The flow is divided by the enlargement; multiply: u by W / w, v by H / h.",
                slip(power=-1)),
        Mistake("W // w and H // h round down; a photo need not be a whole multiple: divide by /.",
                slip(rounded=True)),
        Mistake("The two scales are exchanged: u, along x, grows with the width, v with the "
                "height.", slip(exchange=True)),
        Mistake("The photo moves the other way. Each pixel asks where its colour *comes from*: "
                "photo at x + u. (A warp forward would leave holes.)", slip(sign=-1)),
        Mistake("u and v are swapped: flow[0] is u, along x.", slip(swap=True)),
        Mistake("The constant column of A is not added: A has four columns, for (r, g, b, 1).",
                lambda photo, flow, color: _carried(photo, flow, torch.cat(
                    [color[:, :3], 0 * color[:, 3:]], dim=1))),
        Mistake("A is transposed: a row of A mixes red, green and blue into *one* new channel.",
                lambda photo, flow, color: _carried(photo, flow, torch.cat(
                    [color[:, :3].transpose(0, 1), color[:, 3:]], dim=1))),
        Mistake("Only the colours change: move the photo as well.",
                lambda photo, flow, color: _carried(photo, 0 * flow, color)),
        Mistake("The photo is moved, but its colours stay: apply A as well.",
                lambda photo, flow, color: _carried(photo, flow, still.expand(3, 4, 8, 8))),
        Mistake("The photo is recoloured before it moves, so each pixel takes its old place's A. "
                "The energy says A(x) · I1(x + u): move first.", slip(early=True)),
        Mistake("The fields are enlarged in blocks, as F.interpolate does if nobody asks for "
                'more: mode="bilinear".', slip(mode="nearest")),
        Mistake("The fields are enlarged in blocks, as F.interpolate does if nobody asks for "
                'more: mode="bilinear".', slip(flow_mode="nearest")),
        Mistake("Colours are taken from the nearest pixel, so the photo gets ragged: look between "
                "pixels, as warped does.", slip(whole=True)),
        Mistake("The small fields' corners are put on the photo's: a small pixel is a square of "
                "photo pixels, so leave out align_corners=True.", slip(align=True)),
    ]


def _carried(photo: Tensor, flow: Tensor, color: Tensor, *, scale: bool = True, power: int = 1,
             exchange: bool = False, sign: int = 1, swap: bool = False, early: bool = False,
             mode: str = "bilinear", flow_mode: str = "bilinear", rounded: bool = False,
             whole: bool = False, align: bool = False) -> Tensor:
    """A(x) · photo(x + u) with fields of another size; the switches are mistakes."""
    size = photo.shape[1:]
    modes = (mode if flow_mode == "bilinear" else flow_mode), mode
    enlarged, A = (F.interpolate(
        field[None], size, mode=how, align_corners=align if how == "bilinear" else None)[0]
        for field, how in zip((flow, color.flatten(0, 1)), modes, strict=True))
    A = A.unflatten(0, (3, 4))
    factor = torch.tensor([size[1] / flow.shape[2], size[0] / flow.shape[1]]) ** power
    factor = factor.floor() if rounded else factor
    factor = factor.flip(0) if exchange else factor
    flow = sign * enlarged * (factor[:, None, None] if scale else 1)
    flow = flow.flip(0) if swap else flow
    flow = flow.round() if whole else flow
    if early:
        return warped(recolored(photo, A), flow)
    return recolored(warped(photo, flow), A)


def chain_checks(rng: torch.Generator) -> list[Check]:
    """Extra 1: two flows, one after the other."""
    x, y = torch.linspace(0, 4, 18), torch.linspace(0, 3, 14)[:, None]
    phases = 6 * torch.rand(2, 2, 2, 1, 1, generator=rng)
    first, second = 1.6 * torch.sin(x + phases[0]) * torch.cos(y + phases[1])
    mistakes = [
        Mistake("The flows are added place by place; the first one has to be read where the "
                "second leads: u1(x + u2).", lambda a, b: a + b),
        Mistake("The first flow is read at x − u2; a pixel of frame 2 comes from x + u2.",
                lambda a, b: b + warped(a, -b)),
        Mistake("First and second are exchanged: begin at a pixel of frame 2, so follow u2 first.",
                lambda a, b: a + warped(b, a)),
        Mistake("The second step is lost: add u2 itself.", lambda a, b: warped(a, b)),
        Mistake("The first step is lost: that is the flow from frame 2 to frame 1.",
                lambda a, b: b),
        Mistake("u and v are swapped where the first flow is read.",
                lambda a, b: b + warped(a, b.flip(0))),
        Mistake("The second flow is subtracted; the steps add up.",
                lambda a, b: warped(a, b) - b),
    ]
    return [Check("to follow the chain is to follow both flows", (first, second),
                  second + warped(first, second), mistakes, 0.06, kind="maps")]
