"""Mistakes in a6, and right solutions in another style."""

from tests.mutants import Mutant

SOLVED = ("clean, noise = (b_slope * x_t - b * v) / area, (a * v - a_slope * x_t) / area")
TAU = "eta * d / b * (b * b - (a * d / c) ** 2) ** 0.5"
MIXED = "y = (y - (1 - p) * x) / p\n            x = (x - (1 - p) * y) / p\n"
UNDONE = ("y = (y - b * noise_of(x.to(picture), t)) / a\n"
          "            x = (x - b * noise_of(y.to(picture), t)) / a")
HEUN = "mean = (first + (there - denoise(there, then)) / then) / 2"
MEASURE = "ruled + 5 * coarse.square().mean(dim=(1, 2, 3)).sqrt()"
PHOTO = 'load_image("bandit", size=64, device="cpu")'

MUTANTS = {
    "step": [
        Mutant("area = a * b_slope - b * a_slope", "area = 1", "determinant"),
        Mutant("a * b_slope - b * a_slope", "a * b_slope + b * a_slope", "a wrong sign"),
        Mutant(SOLVED, "clean, noise = a * x_t - b * v, b * x_t + a * v", "the lesson's views"),
        Mutant(SOLVED, "clean, noise = (x_t - b * v) / a, v", "taken for the noise"),
        Mutant(SOLVED, "clean, noise = v, (x_t - a * v) / b", "taken for the clean picture"),
        Mutant("clean, noise = (", "noise, clean = (", "are exchanged"),
        Mutant("return c", "return x_t + (d - b) / b_slope * v\n    return c", "straight on"),
        Mutant("(d * d - tau * tau) ** 0.5 * noise", "d * noise", "on top of all the old"),
        Mutant("(d * d - tau * tau) ** 0.5", "(d - tau)", "variances add up"),
        Mutant("(d * d - tau * tau) ** 0.5", "(1 - eta) * d", "less by a share"),
        Mutant(" + tau * fresh", "", "no fresh noise"),
        Mutant("tau * fresh", "tau**2 * fresh", "multiplied by τ²"),
        Mutant("eta * d / b * (", "eta * (", "lacks its factor"),
        Mutant(TAU, "eta * d", "τ is η σs"),
        Mutant("eta * d / b", "(eta > 0) * d / b", "does not follow η"),
        Mutant("c, d = then", "c, d = a, b", "at the old time"),
    ],
    "guess": [
        Mutant("keep * spread / loud + 1 - keep", "1", "not held at all"),
        Mutant("keep * spread / loud + 1 - keep", "(1 - keep) * spread / loud + keep",
               "turned round"),
        Mutant("keep * spread / loud + 1 - keep", "spread / loud", "keep is not used"),
        Mutant("spread / loud", "loud / spread", "upside down"),
        Mutant("(told, guided))", "(free, guided))", "contrast of `free`"),
        Mutant("one.flatten(1).std(dim=1)[:, None, None, None]", "one.std()",
               "over the whole batch"),
        Mutant("one.flatten(1).std(dim=1)[:, None, None, None]", "one.std((2, 3), keepdim=True)",
               "Each channel is scaled"),
        Mutant("one.flatten(1).std(dim=1)[:, None, None, None]",
               "one.square().mean((1, 2, 3), keepdim=True).sqrt()", "Root mean squares"),
        Mutant(".std(dim=1)", ".var(dim=1)", "ratio of variances"),
        Mutant("(1 - guidance) * free + guidance * told", "told + guidance * (told - free)",
               "begins at `told`"),
        Mutant("(1 - guidance) * free + guidance * told", "(1 - guidance) * told + guidance * free",
               "told and free are exchanged"),
        Mutant("return told", "pass", "on at all times"),
        Mutant("return told", "return free", "nothing is said"),
        Mutant("if not interval", "if interval", "guidance is off in yours"),
        Mutant("interval[0] <= t <= interval[1]", "interval[0] < t < interval[1]",
               "off at the ends"),
        Mutant(".std(dim=1)[:, None, None, None]", ".std(dim=1)", "stops in line"),
    ],
    "clear": [
        Mutant(HEUN, "pass", "Euler's steps"),
        Mutant(HEUN, "mean = (there - denoise(there, then)) / then", "second slope alone"),
        Mutant("/ then) / 2", "/ then)", "Both slopes are added"),
        Mutant("(there - denoise(there, then)) / then", "(x - denoise(x, then)) / then",
               "at the old place"),
        Mutant("(there - denoise(there, then)) / then", "(there - denoise(there, now)) / now",
               "for the old level"),
        Mutant("x = x + (then - now) * mean", "x = (there if then else x) + (then - now) * mean",
               "where the first try ended"),
        Mutant("x = 2 * image - 1 + levels[0] * fresh",
               "x = (2 * image - 1 + levels[0] * fresh) / (1 + levels[0] ** 2) ** 0.5",
               "drowned as in the lesson"),
        Mutant(" + levels[0] * fresh", "", "gets no noise"),
        Mutant("levels[0] * fresh", "fresh", "not multiplied by the first level"),
        Mutant("2 * image - 1 + ", "", "begins as noise alone"),
        Mutant("return (x + 1) / 2", "return x", "[-1, 1]"),
        Mutant("first = (x - denoise", "first = -(x - denoise", "points the other way"),
        Mutant("pairwise(levels)", "pairwise(levels[:-1])", "last step is missing"),
        Mutant("if then > 0", "if True", "not a number"),
        Mutant("first = (x", "fresh.mul_(1.01)\n        first = (x", "in place"),
    ],
    "measure": [
        Mutant(MEASURE, MEASURE.removeprefix("ruled + "), "closeness is only half"),
        Mutant(MEASURE, "ruled", "Your measure prefers"),
        Mutant("ruled + 5 *", "ruled + 0.1 *", "Your measure prefers"),
        Mutant(MEASURE, "coarse.square().mean(dim=(1, 2, 3)).sqrt() - 9 * slopes(answers).abs()"
               ".mean(dim=(1, 2, 3))", "coloured grain"),
        Mutant("return ruled", "return -ruled", "Your measure"),
        Mutant(MEASURE, f"-({MEASURE})", "turn its sign round"),
        Mutant(MEASURE, "-answers.mean(dim=(1, 2, 3))", "does not look at the painting"),
        Mutant(MEASURE, "answers.std(dim=(1, 2, 3))", "does not look at the painting"),
        Mutant(MEASURE, f"({MEASURE} - ruled.mean()) / ruled.std()", "others in its batch"),
        Mutant(MEASURE, f"{MEASURE} - 9 * ruled.mean()", "others in its batch"),
        Mutant(".mean(dim=(1, 2, 3)).sqrt()", ".mean(dim=(2, 3)).sqrt()[:, :1]", "one number"),
        Mutant("return ruled", "return 0 * ruled + 1\n    return ruled", "the same for all"),
        Mutant("return ruled", "return 1 / (0 * ruled)\n    return ruled", "not a number"),
        Mutant("F.avg_pool2d(painting, 8)", "F.avg_pool2d(painting, 4)", "stops in line"),
    ],
    "out": [
        Mutant("steps[::-1]", "steps", "order in which they were done"),
        Mutant(MIXED, "pass\n", "mixing is not undone"),
        Mutant(MIXED, "x = p * x + (1 - p) * y\n            y = p * y + (1 - p) * x\n",
               "done once more"),
        Mutant(MIXED, "x = (x - (1 - p) * y) / p\n            y = (y - (1 - p) * x) / p\n",
               "first line is undone before its second"),
        Mutant(MIXED, "y = (y - p * x) / (1 - p + 1e-9)\n            "
               "x = (x - p * y) / (1 - p + 1e-9)\n", "p and 1 − p"),
        Mutant(UNDONE, "x = (x - b * noise_of(y.to(picture), t)) / a\n"
               "            y = (y - b * noise_of(x.to(picture), t)) / a", "x is undone before y"),
        Mutant(UNDONE, "y = (y - b * noise_of(y.to(picture), t)) / a\n"
               "            x = (x - b * noise_of(x.to(picture), t)) / a", "asks about itself"),
        Mutant(UNDONE, "y, x = [(one - b * noise_of(two.to(picture), t)) / a\n"
               "                    for one, two in ((y, x), (x, y))]", "undone at once"),
        Mutant(UNDONE, "y = y - b * noise_of(x.to(picture), t)\n"
               "            x = x - b * noise_of(y.to(picture), t)", "divided by a"),
        Mutant(UNDONE, "y = (y - b * noise_of(x.to(picture), t)) * a\n"
               "            x = (x - b * noise_of(y.to(picture), t)) * a", "a multiplies"),
        Mutant(UNDONE, "y = (y + b * noise_of(x.to(picture), t)) / a\n"
               "            x = (x + b * noise_of(y.to(picture), t)) / a", "b ε is added"),
        Mutant(UNDONE, "y = y / a - b * noise_of(x.to(picture), t)\n"
               "            x = x / a - b * noise_of(y.to(picture), t)",
               "after the division by a"),
        Mutant("torch.stack([x, y])", "torch.stack([x, x])", "one code twice"),
        Mutant("torch.stack([x, y])", "torch.stack([y, x])", "exchanged in what you return"),
        Mutant("return torch.stack([x, y])", "return x", "has shape"),
    ],
    "left": [
        Mutant("costs.append(", "costs.append(1 - moved @ way / way.norm() / "
               "(moved.square().sum(1) + 0.01).sqrt())\n        (lambda _: 0)(",
               "library's cosine"),
        Mutant(".clamp(min=0).square()", ".square()", "Who has gone too far"),
        Mutant(".clamp(min=0).square()", ".clamp(min=0)", "What is left is not squared"),
        Mutant("beside * off)", "beside * (off + 1e-12).sqrt())", "is not squared"),
        Mutant(" + beside * off", "", "cost nothing"),
        Mutant("beside * off", "off", "`beside` is not used"),
        Mutant("moved = look(", "way = way / way.norm()\n        moved = look(",
               "measured in lengths"),
        Mutant("(moved - share[:, None] * way)", "moved", "whole change"),
        Mutant("rows, columns = slice(top, top + side), slice(left, left + side)",
               "rows = columns = slice(None)", "whole picture is looked at"),
        Mutant("in frames:", "in frames[:1]:", "Only the first frame"),
        Mutant("sum(costs) / len(costs)", "sum(costs)", "frames are summed"),
        Mutant("look(start[:, :, rows, columns])", "look(start)", "looked at whole"),
        Mutant("for top, left, side", "for left, top, side", "top and left"),
        Mutant("sum(costs) / len(costs)", "(sum(costs) / len(costs)).mean()",
               "one number a picture"),
        Mutant("look(pictures[:, :, rows, columns]) -",
               "look(pictures[:, :, rows, columns]).detach() -", "No gradient"),
    ],
    "own": [
        Mutant('"a mask for bandit"', '"a title"', "Give your picture a title"),
        Mutant("size=64", "size=65", "shape (3, 65, 65)"),
        Mutant(PHOTO, f"2 * {PHOTO}", "leaves [0, 1]"),
        Mutant(PHOTO, "torch.ones(3, 64, 64) * torch.linspace(0, 1, 64)", "few flat colours"),
        Mutant('"Siamese", None', '"siamese", None', "pattern is 'siamese'"),
        Mutant('"Siamese", None', 'None, "blue"', "coat is 'blue'"),
        Mutant('"Siamese", None', "None, None", "Nothing is said"),
        Mutant("2.5", "25", "guidance is 25"),
        Mutant(", 2.5", "", "Return five things"),
    ],
    "unwanted": [
        Mutant("against * rest", "against * e", "What both words have in common"),
        Mutant("against * rest", "against * (e - rest)", "it is the rest"),
        Mutant(" / (d * d).sum(1, keepdim=True)", "", "not divided by the squared length"),
        Mutant("(d * d).sum(1, keepdim=True)", "(d * d).sum(1, keepdim=True) ** 0.5",
               "by its square"),
        Mutant("(d * d).sum(1, keepdim=True)", "(e * e).sum(1, keepdim=True)",
               "squared length of the unwanted"),
        Mutant("(d * e).sum(1, keepdim=True) / (d * d).sum(1, keepdim=True)",
               "(d * e).sum() / (d * d).sum()", "whole batch"),
        Mutant("(d - against * rest)", "(d + against * rest)", "is added"),
        Mutant("guidance * (d - against * rest)", "(guidance * d - against * rest)",
               "not multiplied by guidance"),
        Mutant("(told - free).flatten(1), (bad - free).flatten(1)",
               "told.flatten(1), bad.flatten(1)", "not counted from `free`"),
    ],
}

OTHERS = {
    "step": ["""
def step(x_t, v, now, then, eta, fresh):
    # the two equations, by a matrix
    a, b, p, q = now
    pair = torch.stack([x_t, v]).double().flatten(1)
    both = torch.linalg.solve(torch.tensor([[a, b], [p, q]]).double(), pair)
    clean, noise = both.reshape(2, *x_t.shape)
    tau = eta * then[1] / b * abs(b**2 - (a * then[1] / then[0]) ** 2) ** 0.5
    old = max(then[1] ** 2 - tau**2, 0) ** 0.5
    return (then[0] * clean + old * noise + tau * fresh).numpy()
""", """
def step(x_t, v, now, then, eta, fresh):
    # first x̂ from both, then ε̂ from what is left of x_t
    clean = (v / now[3] - x_t / now[1]) / (now[2] / now[3] - now[0] / now[1])
    noise = (x_t - now[0] * clean) / now[1]
    share = 1 - (now[0] * then[1] / then[0] / now[1]) ** 2
    new = eta**2 * share
    return then[0] * clean + then[1] * ((1 - new) ** 0.5 * noise + new**0.5 * fresh)
"""],
    "guess": ["""
def guided_guess(told, free, t, guidance, keep, interval):
    found = []
    for one, other in zip(told.double(), free.double()):
        if t < interval[0] or t > interval[1]:
            found.append(one)
            continue
        loud = other + guidance * (one - other)
        held = loud * (one - one.mean()).norm() / (loud - loud.mean()).norm()
        found.append(torch.lerp(loud, held, keep))
    return torch.stack(found).numpy()
""", """
def guided_guess(told, free, t, guidance, keep, interval):
    # guidance 1 outside: the ratio of deviations is 1 there
    g = guidance if min(interval) <= t <= max(interval) else 1.0
    loud = free + g * (told - free)
    ratio = (told.var((1, 2, 3), keepdim=True) / loud.var((1, 2, 3), keepdim=True)).sqrt()
    return loud - keep * (1 - ratio) * loud
"""],
    "clear": ["""
def clear(denoise, image, levels, fresh):
    # in units where the picture is [0, 1], the slope halved
    x = image + levels[0] * fresh / 2
    for k in range(len(levels) - 1):
        now, then = levels[k], levels[k + 1]
        guess = (denoise(2 * x - 1, now) + 1) / 2
        if then == 0:
            return guess
        there = guess + then / now * (x - guess)
        again = (denoise(2 * there - 1, then) + 1) / 2
        x = x + (then - now) * ((x - guess) / now + (there - again) / then) / 2
""", """
def clear(denoise, image, levels, fresh):
    def slope(x, level):
        return (x - denoise(x, level)) / level

    def go(x, levels):
        if len(levels) == 1:
            return x
        length, first = levels[1] - levels[0], slope(x, levels[0])
        second = slope(x + length * first, levels[1]) if levels[1] else first
        return go(x + 0.5 * length * first + 0.5 * length * second, levels[1:])

    y = image.double() * 2 - 1
    return ((go(y + levels[0] * fresh.double(), levels) + 1) / 2).tolist()
"""],
    "measure": ["""
def my_measure(painting, answers):
    # as close as can be, but not pixel by pixel the painting
    found, inside = [], (painting < 0.99).any(0)
    for one in answers.double().numpy():
        off = abs(one - painting.numpy()).mean(0)[inside.numpy()]
        found.append(off.mean() + (off < 0.004).mean())
    return found
""", """
def my_measure(painting, answers):
    # the garment's mean colour, and a penalty for being flat or grainy
    inside = (painting < 0.99).any(0)
    tint = (answers[:, :, inside].mean(2) - painting[:, inside].mean(1)).norm(dim=1)
    fine = answers - F.avg_pool2d(answers, 3, 1, 1)
    level = fine[:, :, inside].abs().flatten(1).median(1).values
    return 0.5 * tint + torch.where((level > 0.004) & (level < 0.06), 0.0, 0.5)
""", """
def my_measure(painting, answers):
    # the garment's colour, and cloth's share of steps between neighbours, told by two bounds
    inside = (painting < 0.99).any(0)
    steps = answers[:, :, inside].diff(dim=2).abs().mean((1, 2))
    tint = (answers[:, :, inside].mean(2) - painting[:, inside].mean(1)).abs().sum(1)
    return tint + (steps < 0.002).float() + (steps > 0.12).float()
"""],
    "out": ["""
def way_out(noise_of, picture, steps, p):
    # the mixing as a matrix, inverted
    q = 1 - p
    back = torch.linalg.inv(torch.tensor([[p, q], [q * p, p + q * q]], dtype=torch.float64))
    pair = torch.stack([picture, picture]).detach().double()
    for t, a, b in reversed(steps):
        x, y = torch.tensordot(back, pair, 1)
        y = (y - b * noise_of(x, t)) / a
        x = (x - b * noise_of(y, t)) / a
        pair = torch.stack([x, y])
    return pair
""", """
def way_out(noise_of, picture, steps, p):
    if not steps:
        return [picture, picture]

    def undo(x, y, steps):
        if not steps:
            return [x, y]
        *rest, (t, a, b) = steps
        y = y / p + x * (p - 1) / p
        x = x / p + y * (p - 1) / p
        y = y / a - noise_of(x, t) * (b / a)
        return undo(x / a - noise_of(y, t) * (b / a), y, rest)

    x, y = undo(picture, picture, list(steps))
    return [x.detach(), y.detach()]
"""],
    "left": ["""
def change_left(look, pictures, start, way, frames, beside):
    # Pythagoras: what lies beside the way is the whole change without what lies along it
    total = 0
    for y, x, n in frames:
        d = look(pictures[..., y:y + n, x:x + n]) - look(start[..., y:y + n, x:x + n])
        along = (d * way).sum(1) / way.norm() ** 2
        rest = d.pow(2).sum(1) / way.norm() ** 2 - along**2
        total = total + torch.relu(1 - along) ** 2 + beside * rest
    return total / len(frames)
""", """
def change_left(look, pictures, start, way, frames, beside):
    # in a basis whose first axis is the way
    d = len(way)
    Q, R = torch.linalg.qr(torch.cat([way[:, None].double(), torch.eye(d).double()], dim=1))
    Q = Q * torch.sign(R[0, 0])
    costs = []
    for top, left, side in frames:
        cut = [one[:, :, top:top + side][:, :, :, left:left + side] for one in (pictures, start)]
        place = (look(cut[0]) - look(cut[1])).double() @ Q / way.double().norm()
        costs.append((1 - place[:, 0]).clamp(min=0) ** 2
                     + beside * place[:, 1:].square().sum(dim=1))
    return torch.stack(costs).mean(dim=0)
"""],
    "own": ["""
def my_photo():
    return ["a ginger tuxedo", load_image("tuxedo", size=64).cpu().numpy(), None, "ginger", 3]
""", """
def my_photo():
    return ("both at once", load_image("british", size=64).tolist(), "white muzzle", "black", 2.0)
"""],
    "unwanted": ["""
def away_from(told, bad, free, guidance, against):
    found = []
    for d, e, f in zip((told - free).double(), (bad - free).double(), free.double()):
        unit = d / d.norm()
        found.append(f + guidance * d - guidance * against * (e - (unit * e).sum() * unit))
    return torch.stack(found).numpy()
""", """
def away_from(told, bad, free, guidance, against):
    # by least squares: the part of e that no multiple of d explains
    d, e = ((one - free).double().flatten(1)[..., None] for one in (told, bad))
    rest = e - d @ torch.linalg.lstsq(d, e).solution
    return free + guidance * (d - against * rest)[..., 0].reshape(free.shape)
"""],
}
