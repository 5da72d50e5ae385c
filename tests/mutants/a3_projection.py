"""Mistakes in a3, and right solutions in another style."""

from tests.mutants import Mutant

UNIT = "a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)"

MUTANTS = {
    "distance": [
        Mutant("m = adaptive_avg_pool2d(mask[None].float(), a.shape[2:])",
               "m = torch.ones(1, *a.shape[2:])", "mask is not used"),
        Mutant("/ m.sum()", "/ m.numel()", "number of places"),
        Mutant(" / m.sum()", "", "not divided by the sum"),
        Mutant("mask[None].float()", "(mask[None] > 0).float()", "all or nothing"),
        Mutant("adaptive_avg_pool2d(mask[None].float(), a.shape[2:])",
               "mask[None, :: len(mask) // a.shape[2], :: mask.shape[1] // a.shape[3]]",
               "one pixel of each square"),
        Mutant("adaptive_avg_pool2d", "torch.nn.functional.adaptive_max_pool2d",
               "largest value"),
        Mutant(UNIT, "pass", "scale each to length 1"),
        Mutant(UNIT, "a, b = (one / (one**2).sum((2, 3), keepdim=True) ** 0.5 for one in (a, b))",
               "over places, not channels"),
        Mutant(UNIT, "a, b = (one / (one**2).sum((1, 2, 3), keepdim=True) ** 0.5 "
               "for one in (a, b))", "Each whole map"),
        Mutant("((a - b) ** 2).sum(dim=1)", "((a - b) ** 2).mean(dim=1)",
               "averaged over the channels"),
        Mutant("((a - b) ** 2)", "(a - b).abs()", "squares should be"),
        Mutant("total = total + (", "total = (", "Only the last layer"),
        Mutant("return total", "return total / len(features)", "layers are averaged"),
        Mutant("return total", "return total.mean()", "one number a picture"),
    ],
    "loop": [
        Mutant("losses.argmin(dim=0)", "0 * losses.argmin(dim=0)", "first start's code"),
        Mutant("losses.argmin(dim=0)", "0 * losses.argmin(dim=0) + k - 1", "last start's code"),
        Mutant("losses.argmin(dim=0)", "losses.sum(dim=1).argmin().expand(n)",
               "One start is chosen"),
        Mutant("argmin", "argmax", "The worst is kept"),
        Mutant("[losses.argmin(dim=0), torch.arange(n)]", ".mean(dim=0)", "averaged"),
        Mutant("with torch.no_grad():\n        losses = loss(generator.decode(code, space=space), "
               "wanted)", "with torch.no_grad():\n        losses = loss(generator.decode("
               "starts.flatten(0, 1), space=space), wanted)", "before the descent"),
        Mutant("        optimizer.zero_grad()\n", "", "zero_grad()"),
        Mutant("wanted).sum().backward()", "wanted).sum().neg().backward()",
               "raised, not lowered"),
        Mutant(".clone().requires_grad_()", ".clone()", "requires_grad_()"),
        Mutant("Adam([code]", "Adam(generator.parameters()", "comes back as it started"),
        Mutant("Adam([code]", "Adam([code, *generator.parameters()]", "changes the weights"),
        Mutant("lr=learning_rate", "lr=0.3", "give the optimizer learning_rate"),
        Mutant("lr=learning_rate", "lr=0.01", "give the optimizer learning_rate"),
        Mutant("Adam([code], lr=learning_rate)", "SGD([code], lr=learning_rate)",
               "plain gradient descent"),
        Mutant("generator.decode(code, space=space), wanted).sum()",
               "generator.decode(code), wanted).sum()", "space is not used"),
        Mutant("return code.detach()", "return code", "hangs on the graph"),
        Mutant("range(steps)", "range(1)", "one step"),
        Mutant("wanted).sum().backward()", "wanted).sum()", "comes back as it started"),
        Mutant("wanted).sum().backward()", "wanted).backward()", "stops in line"),
        Mutant("target.repeat(k, 1, 1, 1)", "target", "stops in line"),
    ],
    "mix": [
        Mutant("first + shares[:, None] * (second - first)",
               "second + shares[:, None] * (first - second)", "exchanged"),
        Mutant("shares[:, None]", "shares.round()[:, None]", "all or nothing"),
        Mutant("shares[:, None]", "shares.mean()", "mean share"),
        Mutant("(second - first)", "second", "first stays whole"),
        Mutant("shares[:, None]", "0.5", "half and half"),
        Mutant("shares[:, None]", "shares.flip(0)[:, None]", "order is turned round"),
        Mutant("shares[:, None]", "shares[:, None] ** 2", "squared"),
        Mutant("shares[:, None]", "shares", "stops in line"),
    ],
    "slerp": [
        Mutant("lengths[0] ** (1 - t) * lengths[1] ** t", "((1 - t) * lengths[0] + t * lengths[1])",
               "even steps"),
        Mutant("lengths[0] ** (1 - t) * lengths[1] ** t", "lengths[0]", "first one's all the way"),
        Mutant("lengths[0] ** (1 - t) * lengths[1] ** t * ", "", "of length 1"),
        Mutant("lengths[0] ** (1 - t) * lengths[1] ** t", "lengths[0] ** t * lengths[1] ** (1 - t)",
               "exponents"),
        Mutant("return lengths", "return (1 - t) * lengths[0] * a + t * lengths[1] * b\n"
               "    return lengths", "straight line, which"),
        Mutant("(turn.cos() * a + turn.sin() * across)",
               "torch.nn.functional.normalize((1 - t) * a + t * b, dim=1)", "faster in the middle"),
        Mutant("lengths = a.norm", "a, b = b, a\n    lengths = a.norm", "exchanged: t = 0"),
        Mutant("return lengths", "o = torch.arccos(cosine)\n    return (torch.sin((1 - t) * o) * "
               "lengths[0] * a + torch.sin(t * o) * lengths[1] * b) / torch.sin(o)\n"
               "    return lengths", "lesson's way round"),
        Mutant(", keepdim=True), b.norm", "), b.norm", "stops in line"),
    ],
    "start": [
        Mutant("(limit / strangeness).clamp(max=1)", "1", "not held back"),
        Mutant(".clamp(max=1)", "", "also those that are nearer"),
        Mutant("(limit / strangeness).clamp(max=1)",
               "(limit / (way / std).abs()).clamp(max=1)", "bends the way"),
        Mutant("(limit / strangeness).clamp(max=1)", "(limit / strangeness.max()).clamp(max=1)",
               "by one factor"),
        Mutant("return mean + way * (", "return (mean + way) * (", "towards 0"),
        Mutant("(way / std)", "way", "not measured in deviations"),
        Mutant("square().mean(dim=1", "square().sum(dim=1", "squares are summed"),
        Mutant("return mean + way", "return way", "never added again"),
        Mutant("(photos).mean(dim=1)", "(photos)[:, 0]", "first row only"),
        Mutant("(photos).mean(dim=1)", "(photos)[:, -1]", "last row only"),
        Mutant("(photos).mean(dim=1)", "(photos).sum(dim=1)", "rows are summed"),
        Mutant("encoder(photos)", "encoder(2 * photos - 1)", "pictures in [-1, 1]"),
        Mutant("photos = photos.reshape(-1, *photos.shape[-3:])\n    ", "", "pass photo[None]"),
        Mutant("with torch.no_grad():", "if True:", "hangs on the graph"),
    ],
    "own": [
        Mutant("2, 13, 0.8, 5", "0, 1, 0.8, 5", "tool starts with"),
        Mutant("2, 13, 0.8, 5", "2, 2, 0.8, 5", "the same"),
        Mutant("2, 13, 0.8, 5", "2, 13, 0.0, 5", "the mean cat"),
        Mutant("2, 13, 0.8, 5", "2, 13, 0.8, 12", "crossover is 12"),
        Mutant("2, 13, 0.8, 5", "2, 13, 0.8", "four numbers"),
        Mutant("2, 13, 0.8, 5", "2, 13, 0.8, 5.0", "whole numbers"),
    ],
    "stroke": [
        Mutant("off[:, :, mask].sum(dim=1).mean(dim=1)", "(off.sum(1) * mask).mean(dim=(1, 2))",
               "over all pixels"),
        Mutant(".mean(dim=1)", ".sum(dim=1)", "not divided"),
        Mutant(".sum(dim=1)", ".mean(dim=1)", "averaged over the channels"),
        Mutant("[:, :, mask]", "[:, :, ~mask]", "outside the mask"),
        Mutant(".mean(dim=1)", ".mean()", "one number a picture"),
        Mutant("return off", "return ((image[:, :, mask].mean(2) - color) ** 2).sum(1)\n"
               "    return off", "mean colour"),
        Mutant("color[:, None, None]", "color", "stops in line"),
        Mutant("(image -", "(image.detach() -", "No gradient comes back"),
    ],
    "change": [
        Mutant(" / sum((a**2).sum() for a in old)", "", "not divided"),
        Mutant("(a**2).sum() for a in old", "(a**2).sum() for a in new", "*new* weights"),
        Mutant("return change / sum((a**2).sum() for a in old)",
               "return (change / sum((a**2).sum() for a in old)) ** 0.5", "root is taken"),
        Mutant("return change / sum((a**2).sum() for a in old)",
               "return sum(((b - a) ** 2).sum() / (a**2).sum() for a, b in zip(old, new))",
               "its own ratio"),
        Mutant("zip(old, new, strict=True)", "[(old[-1], new[-1])]", "Only the last tensor"),
        Mutant("((b - a) ** 2).sum()", "(b**2).sum() - (a**2).sum()", "change of the norm"),
    ],
}

OTHERS = {
    "distance": ["""
def feature_distance(features, others, mask):
    total = 0
    for a, b in zip(features, others):
        cosine = torch.cosine_similarity(a.double(), b.double(), dim=1)
        step = len(mask) // a.shape[2], mask.shape[1] // a.shape[3]
        m = torch.nn.functional.avg_pool2d(mask[None].double(), step)
        total = total + ((2 - 2 * cosine) * m).sum((1, 2)) / m.sum()
    return total.tolist()
""", """
def feature_distance(features, others, mask):
    # in the picture's own size: each place is as large as its square
    total = 0
    for a, b in zip(features, others):
        off = (a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)).square().sum(1)
        large = torch.nn.functional.interpolate(off[:, None].double(), mask.shape)[:, 0]
        total = total + (large * mask).sum((1, 2)) / mask.double().sum()
    return total
"""],
    "loop": ["""
def project(generator, target, starts, space, loss, steps, learning_rate):
    found = []
    for photo in range(len(target)):
        best = None
        for start in starts[:, photo:photo + 1]:
            w = torch.nn.Parameter(start.detach().clone())
            optimizer = torch.optim.Adam([w], lr=learning_rate)
            for _ in range(steps):
                optimizer.zero_grad()
                loss(generator.decode(w, space=space), target[photo:photo + 1]).sum().backward()
                optimizer.step()
            value = loss(generator.decode(w, space=space), target[photo:photo + 1]).item()
            if best is None or value < best[0]:
                best = value, w.data
        found.append(best[1])
    return torch.cat(found)
""", """
def project(generator, target, starts, space, loss, steps, learning_rate):
    w = starts.detach().clone().requires_grad_()
    m, s = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(1, steps + 1):
        total = sum(loss(generator.decode(one, space=space), target).sum() for one in w)
        (slope,) = torch.autograd.grad(total, w)
        m, s = 0.9 * m + 0.1 * slope, 0.999 * s + 0.001 * slope**2
        step_size = learning_rate / (1 - 0.9**step)
        w.data -= step_size * m / ((s / (1 - 0.999**step)).sqrt() + 1e-8)
    codes = w.data
    values = torch.stack([loss(generator.decode(one, space=space), target) for one in codes])
    return [codes[int(values[:, i].argmin()), i] for i in range(len(target))]
"""],
    "mix": ["""
def mix_styles(first, second, shares):
    return torch.stack([(1 - s) * first[:, row] + s * second[:, row]
                        for row, s in enumerate(shares.tolist())], dim=1)
""", """
def mix_styles(first, second, shares):
    s = torch.diag(shares.double())
    return (s @ second.double() + (torch.eye(len(s)) - s) @ first.double()).numpy()
"""],
    "slerp": ["""
def slerp(a, b, t):
    a, b = a.double(), b.double()
    p, q = a.norm(dim=1), b.norm(dim=1)
    theta = torch.acos((a * b).sum(1) / p / q)
    rows = []
    for x, y, o, m, n in zip(a, b, theta, p, q):
        unit = (torch.sin((1 - t) * o) * x / m + torch.sin(t * o) * y / n) / torch.sin(o)
        rows.append(unit * torch.exp((1 - t) * m.log() + t * n.log()))
    return torch.stack(rows).numpy()
""", """
def slerp(a, b, t):
    # in the plane of a and b, as complex numbers: a power turns and grows at once
    p, q = a.double().norm(dim=1), b.double().norm(dim=1)
    along = a.double() / p[:, None]
    x = (b.double() * along).sum(1)
    rest = b.double() - x[:, None] * along
    y = rest.norm(dim=1)
    place = torch.polar(p, torch.zeros_like(p)) * (torch.complex(x, y) / p) ** t
    return place.real[:, None] * along + place.imag[:, None] * rest / y[:, None]
"""],
    "start": ["""
def leashed_start(encoder, photos, mean, std, limit):
    rows = encoder(photos if photos.ndim == 4 else photos[None]).detach()
    found = []
    for w in sum(rows.unbind(1)) / rows.shape[1]:
        strange = float((((w - mean) / std) ** 2).mean()) ** 0.5
        found.append(w if strange <= limit else mean + (w - mean) * limit / strange)
    return torch.stack(found)
""", """
def leashed_start(encoder, photos, mean, std, limit):
    # in deviations: a projection onto a ball
    w = encoder(photos.reshape(-1, *photos.shape[-3:])).detach().double().mean(1)
    units = (w - mean) / std
    radius = limit * units.shape[1] ** 0.5
    units = torch.renorm(units, 2, 0, radius)
    return (mean + std * units).numpy()
"""],
    "own": """
def my_mix():
    return [8, 13, 0.7, 6]
""",
    "stroke": """
def stroke_loss(image, mask, color):
    return [sum(((one[c][mask] - color[c]) ** 2).sum() for c in range(3)) / mask.sum()
            for one in image]
""",
    "change": """
def weight_change(old, new):
    before, after = (torch.cat([one.flatten() for one in ones]).double() for ones in (old, new))
    return float((after - before).norm() ** 2 / before.norm() ** 2)
""",
}
