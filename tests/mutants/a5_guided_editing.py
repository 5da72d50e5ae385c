"""Mistakes in a5, and right solutions in another style."""

from tests.mutants import Mutant

WAY = "return torch.linalg.solve(J.T @ J + sigma.diag(), J.T @ miss.flatten())"
MIXED = 'torch.einsum("ijhw,jhw->ihw", A[:, :3], moved) + A[:, 3]'
COST = "return 5 * (above**2).mean(dim=(1, 2, 3)) + 2 * (below**2).mean(dim=(1, 2, 3))"

STROKES = ("(\"color\", \"#D98033\", 12, [(22, 20), (42, 20)]),\n"
           "        (\"color\", \"#F2F2F2\", 10, [(28, 54), (36, 54)]),")

MUTANTS = {
    "histograms": [
        Mutant("atan2(dy, dx)", "atan2(dx, dy)", "dx and dy are exchanged"),
        Mutant("/ math.pi * bins % bins", "/ (2 * math.pi) * bins % bins", "modulo π"),
        Mutant("(dx**2 + dy**2).sqrt()", "(dx**2 + dy**2).sqrt() * (torch.atan2(dy, dx) > 0)",
               "negative angle are lost"),
        Mutant("share = place - lower", "share = (place - lower).round()", "between the two"),
        Mutant("share = place - lower", "share = 0", "below its angle"),
        Mutant("share = place - lower", "share = 1 - (place - lower)", "shares are exchanged"),
        Mutant("((lower + 1) % bins == k)", "(lower + 1 == k)", "its share is lost"),
        Mutant("part * length", "part", "Edges are counted"),
        Mutant("part * length", "part * length**2", "squared length"),
        Mutant(" * cell**2", "", "cells' means"),
        Mutant("torch.stack(layers, dim=1)", "F.normalize(torch.stack(layers, dim=1), dim=1)",
               "scaled to length 1"),
        Mutant("atan2(dy, dx)", "atan2(dx, -dy)", "directions of the lines"),
        Mutant("* bins % bins", "* bins % bins - 0.5", "half a step"),
        Mutant("torch.stack(layers, dim=1)", "torch.stack(layers, dim=1).mT", "Rows and columns"),
        Mutant("torch.stack(layers, dim=1)", "torch.stack(layers)", "shape"),
        Mutant("return torch.stack(layers, dim=1)", "return torch.stack(layers, dim=1).detach()",
               "No gradient comes back"),
        Mutant("share = place - lower", "share = (place - lower).detach()", "not the slope"),
        Mutant("length = (dx**2 + dy**2).sqrt()", "length = (dx**2 + dy**2).sqrt().detach()",
               "not the slope"),
    ],
    "wish": [
        Mutant(COST, "return 5 * (above**2).mean() + 2 * (below**2).mean()",
               "one number a picture"),
        Mutant(COST, "cost = 5 * (above**2).mean() + 2 * (below**2).mean()\n"
               "        return cost.expand(len(pictures))", "depends on the others"),
        Mutant(COST, "return -5 * (above**2).mean(dim=(1, 2, 3)) - (below**2).mean(dim=(1, 2, 3))",
               "is negative"),
        Mutant("0.8 - pictures", "0.1 + pictures", "turn its sign round"),
        Mutant("pictures[:, :, 46:60, 20:44].clamp(min=0.8)\n",
               "pictures[:, :, 46:60, 20:44]\n", "different wishes"),
        Mutant("        return pictures\n", "        return pictures * 0 + 0.2\n", "one colour"),
        Mutant("        return pictures\n", "        return pictures.mean(dim=1, keepdim=True)"
               ".expand_as(pictures)\n", "makes the pictures grey"),
        Mutant(COST, "return (above > 0.1).float().mean(dim=(1, 2, 3))", "No gradient"),
        Mutant(COST, "return (above.round() + 0 * above).abs().mean(dim=(1, 2, 3))",
               "is 0 everywhere"),
        Mutant("pictures[:, :, 12:28, 16:48] = pictures[:, :, 12:28, 16:48].clamp(max=0.3)\n"
               "        pictures[:, :, 46:60, 20:44] = pictures[:, :, 46:60, 20:44].clamp(min=0.8)"
               "\n        ", "", "as they are"),
        Mutant(COST, "return above.square().sum((1, 2, 3)).sqrt() + (0 * above.sum((1, 2, 3)))"
               ".sqrt()", "root or a norm"),
        Mutant(COST, f"{COST} + 0 * (above.abs() * 0).sum((1, 2, 3)).sqrt()", "not a number"),
        Mutant(COST, f"{COST} + 0 * (above * 0).sum((1, 2, 3)).pow(0.5)", "not a number"),
        Mutant(COST, COST.replace("(above**2)", "(above.detach()**2)"), "not the slope"),
        Mutant(COST, COST.replace("(above**2)", "(above * above.detach())"), "not the slope"),
        Mutant("pictures = pictures.clone()\n        ", "", "its argument pictures in place"),
        Mutant("        return pictures\n", "        return pictures * 0 + 1\n", "one colour"),
        Mutant('"a tuxedo: dark above, a white bib"', '"a wish"', "Give the wish a name"),
        Mutant("cost, met\n", "met\n", "three things"),
        Mutant("return pictures\n", "pass\n", "met returns nothing"),
    ],
    "step": [
        Mutant("J.T @ miss.flatten())", "-J.T @ miss.flatten())", "the wrong way"),
        Mutant("ix.flatten(1), iy.flatten(1)", "-ix.flatten(1), -iy.flatten(1)",
               "flow has the wrong sign"),
        Mutant("ix.flatten(1), iy.flatten(1)", "iy.flatten(1), ix.flatten(1)", "u and v are"),
        Mutant("torch.ones_like(moved[:1])", "torch.zeros_like(moved[:1])", "column is 0"),
        Mutant(WAY, "keep = [0, 1, 2, 3, 4, 6, 7, 8, 10, 11, 12]\n    J, sigma = J[:, keep], "
               "sigma[keep]\n    " + WAY, "column is forgotten"),
        Mutant(" + sigma.diag()", "", "smoothness is forgotten"),
        Mutant("[color_smoothness] * 12", "[flow_smoothness] * 12", "One σ is used"),
        Mutant("[flow_smoothness] * 2 + [color_smoothness] * 12",
               "[color_smoothness] * 2 + [flow_smoothness] * 12", "are exchanged"),
        Mutant("J.T @ J + sigma.diag(), J.T @ miss.flatten()",
               "J.T @ J / len(J) + sigma.diag(), J.T @ miss.flatten() / len(J)", "are averaged"),
        Mutant("2 + 4 * c:6 + 4 * c", "2 + c::3", "A is transposed"),
        Mutant("J = J.flatten(0, 1)", "J, miss = J[0], miss[0]", "Only red"),
        Mutant(WAY, "a, b = J[:, :2], J[:, 2:]\n    r = miss.flatten()\n    "
               "return torch.cat([torch.linalg.solve(x.T @ x + s.diag(), x.T @ r)\n"
               "        for x, s in ((a, sigma[:2]), (b, sigma[2:]))])", "one without the other"),
        Mutant("miss.flatten()", "miss", "stops in line"),
    ],
    "carry": [
        Mutant("u, v = u * size[1] / flow.shape[2], v * size[0] / flow.shape[1]\n    ", "",
               "in pixels of the small picture"),
        Mutant("u * size[1] / flow.shape[2], v * size[0] / flow.shape[1]",
               "u / size[1] * flow.shape[2], v / size[0] * flow.shape[1]", "is divided by"),
        Mutant("u * size[1] / flow.shape[2], v * size[0] / flow.shape[1]",
               "u * size[0] / flow.shape[1], v * size[1] / flow.shape[2]", "two scales"),
        Mutant("u * size[1] / flow.shape[2], v * size[0] / flow.shape[1]",
               "u * (size[1] // flow.shape[2]), v * (size[0] // flow.shape[1])", "round down"),
        Mutant("torch.stack([u, v])", "-torch.stack([u, v])", "comes from"),
        Mutant("torch.stack([u, v])", "torch.stack([v, u])", "u and v are swapped"),
        Mutant(" + A[:, 3]", "", "constant column"),
        Mutant("ijhw,jhw->ihw", "jihw,jhw->ihw", "A is transposed"),
        Mutant("warped(photo, torch.stack([u, v]))", "photo", "Only the colours"),
        Mutant(f"return {MIXED}", "return moved", "its colours stay"),
        Mutant(f"moved = warped(photo, torch.stack([u, v]))\n    return {MIXED}",
               f"moved = photo\n    photo = {MIXED}\n    return warped(photo, torch.stack([u, v]))",
               "before it moves"),
        Mutant('[None], size, mode="bilinear")[0].unflatten', "[None], size)[0].unflatten",
               "in blocks"),
        Mutant(MIXED, f"({MIXED}).clamp(0, 1)", "clamped"),
        Mutant('F.interpolate(flow[None], size, mode="bilinear")',
               "F.interpolate(flow[None], size)", "in blocks"),
        Mutant("torch.stack([u, v])", "torch.stack([u, v]).round()", "nearest pixel"),
        Mutant('u, v = F.interpolate(flow[None], size, mode="bilinear")[0]',
               'u, v = F.interpolate(flow[None], size, mode="bilinear", align_corners=True)[0]',
               "corners are put on"),
        Mutant("u, v = u * size", "photo.clamp_(0.1, 0.9)\n    u, v = u * size",
               "its argument photo in place"),
    ],
    "own": [
        Mutant('"ginger, with a white bib"', '"a title"', "Give your picture a title"),
        Mutant('"w", 0.1', '"v", 0.1', "space is"),
        Mutant('"w", 0.1', '"w", 50', "smoothness is 50"),
        Mutant(STROKES, '("color", "#F1EFF6", 6, [(8, 51)])', "has that already"),
        Mutant(STROKES, '("color", "#D98032", 8, [(26, 20), (38, 20)])', "tool's first stroke"),
        Mutant("(22, 20), (42, 20)", "", "no point"),
        Mutant("(42, 20)]", "(70, 20)]", "leaves the picture"),
        Mutant('"#D98033"', '"ginger"', "six digits"),
        Mutant('"#D98033"', '"#D9803G"', "six digits"),
        Mutant('bib", 8', 'bib", 8.5', "seed is 8.5"),
        Mutant('("color", "#D98033", 12, [(22', '("drag", "", 1, [(22', "paint with colour"),
        Mutant('("color", "#D98033", 12, [(22', '("color", 12, [(22', "as printed"),
    ],
    "chain": [
        Mutant("second + warped(first, second)", "second + first", "read where"),
        Mutant("warped(first, second)", "warped(first, -second)", "x − u2"),
        Mutant("second + warped(first, second)", "first + warped(second, first)",
               "are exchanged"),
        Mutant("second + warped", "warped", "second step is lost"),
        Mutant("second + warped(first, second)", "second", "first step is lost"),
        Mutant("warped(first, second)", "warped(first, second.flip(0))", "u and v are swapped"),
        Mutant("second + warped(first, second)", "warped(first, second) - second",
               "is subtracted"),
    ],
    "track": [
        Mutant("torch.tensor([x + best % side, y + best // side])",
               "torch.tensor([y + best // side, x + best % side])", "x and y are swapped"),
        Mutant("argmin()", "argmax()", "least similar"),
        Mutant("window - first[:, None, None]).abs().sum(dim=0).argmin()",
               "window * first[:, None, None]).sum(dim=0).argmax()", "largest product"),
        Mutant(".abs().sum(dim=0)", ".square().sum(dim=0)", "Squares of the differences"),
        Mutant("side = 2 * reach + 1", "side = 2 * reach", "ends one short"),
        Mutant("torch.tensor([x + best % side, y + best // side])",
               "torch.tensor([best % side, best // side])", "window's corner"),
        Mutant("torch.tensor([x + best % side, y + best // side])",
               "torch.tensor([best % side - reach, best // side - reach])", "within the window"),
        Mutant("x, y = (int(value) - reach for value in place)\n    side = 2 * reach + 1\n"
               "    window = features[:, y:y + side, x:x + side]",
               "x, y, side, window = 0, 0, features.shape[2], features", "whole picture"),
        Mutant("first[:, None, None]",
               "features[:, int(place[1]), int(place[0])][:, None, None]", "stays where it was"),
    ],
}

OTHERS = {
    "histograms": """
def edge_histograms(dx, dy, cell, bins):
    centers = (torch.arange(bins) * math.pi / bins)[:, None, None]
    apart = (torch.atan2(dy, dx)[:, None] - centers + math.pi / 2) % math.pi - math.pi / 2
    shared = torch.relu(1 - apart.abs() * bins / math.pi) * torch.hypot(dx, dy)[:, None]
    return shared.unflatten(3, (-1, cell)).sum(4).unflatten(2, (-1, cell)).sum(3)
""",
    "wish": """
def my_wish():
    def cost(pictures):
        return (pictures - pictures.flip(3)).abs().flatten(1).mean(1)

    def met(pictures):
        left = pictures[..., :32]
        return torch.cat([left, left.flip(3)], dim=3)

    return ["mirrored", cost, met]
""",
    "step": """
def color_flow_step(miss, ix, iy, moved, flow_smoothness, color_smoothness):
    rows, rest = [], []
    for c in range(3):
        for p in range(miss[0].numel()):
            row = [0.0] * 14
            row[0], row[1] = float(ix[c].flatten()[p]), float(iy[c].flatten()[p])
            row[2 + 4 * c:6 + 4 * c] = [*moved.flatten(1)[:, p].tolist(), 1.0]
            rows.append(row)
            rest.append(float(miss[c].flatten()[p]))
    roots = [flow_smoothness ** 0.5] * 2 + [color_smoothness ** 0.5] * 12
    A = torch.cat([torch.tensor(rows), torch.tensor(roots).diag()]).double()
    b = torch.cat([torch.tensor(rest), torch.zeros(14)]).double()
    return torch.linalg.lstsq(A, b[:, None]).solution[:, 0].numpy()
""",
    "carry": """
def carry_over(photo, flow, color):
    h, w = photo.shape[1:]
    fields = torch.cat([flow, color.reshape(12, *flow.shape[1:])])[None]
    u, v, *rows = F.interpolate(fields, (h, w), mode="bicubic")[0]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack([(x + u * (w / flow.shape[2])) * 2 / (w - 1) - 1,
                        (y + v * (h / flow.shape[1])) * 2 / (h - 1) - 1], dim=-1)
    r, g, b = F.grid_sample(photo[None], grid[None], padding_mode="border", align_corners=True)[0]
    return torch.stack([rows[i] * r + rows[i + 1] * g + rows[i + 2] * b + rows[i + 3]
                        for i in (0, 4, 8)]).numpy()
""",
    "own": """
def my_picture():
    return ["a pale cat", 11, "w_plus", 0, [["color", "#F0F0F0", 14, [[22, 22], [42, 22]]],
                                           ["sketch", "#000000", 1, [[11, 26], [16, 4]]]]]
""",
    "chain": """
def chain(first, second):
    h, w = first.shape[1:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    grid = torch.stack([(x + second[0]) * 2 / (w - 1) - 1, (y + second[1]) * 2 / (h - 1) - 1], -1)
    return second + F.grid_sample(first[None], grid[None], padding_mode="border",
                                  align_corners=True)[0]
""",
    "track": """
def track(features, first, place, reach):
    best, where = float("inf"), None
    for y in range(int(place[1]) - reach, int(place[1]) + reach + 1):
        for x in range(int(place[0]) - reach, int(place[0]) + reach + 1):
            off = float((features[:, y, x] - first).abs().sum())
            if off < best:
                best, where = off, (x, y)
    return where
""",
}
