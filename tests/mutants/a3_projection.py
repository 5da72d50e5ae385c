"""Mistakes in a3, and right solutions in another style."""

from tests.mutants import Mutant

UNIT = "a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)"

MUTANTS = {
    "distance": [
        Mutant(UNIT, "pass", "scale each to length 1"),
        Mutant(UNIT, "a, b = (one / (one**2).sum((2, 3), keepdim=True) ** 0.5 for one in (a, b))",
               "over places, not channels"),
        Mutant(UNIT, "a, b = (one / (one**2).sum((1, 2, 3), keepdim=True) ** 0.5 "
               "for one in (a, b))", "Each whole map"),
        Mutant(".sum(dim=1).mean(dim=(1, 2))", ".mean(dim=1).mean(dim=(1, 2))",
               "averaged over the channels"),
        Mutant("((a - b) ** 2)", "(a - b).abs()", "squares should be"),
        Mutant("total = total + (", "total = (", "Only the last layer"),
        Mutant("return total", "return total / len(features)", "layers are averaged"),
        Mutant("return total", "return total.mean()", "one number a picture"),
        Mutant(".mean(dim=(1, 2))", ".sum(dim=(1, 2))", "summed over places"),
    ],
    "loop": [
        Mutant("        optimizer.zero_grad()\n", "", "zero_grad()"),
        Mutant("target).sum().backward()", "target).sum().neg().backward()", "raised, not lowered"),
        Mutant("start.clone().requires_grad_()", "start.clone()", "requires_grad_()"),
        Mutant("Adam([code]", "Adam(generator.parameters()", "comes back as it started"),
        Mutant("Adam([code]", "Adam([code, *generator.parameters()]", "changes the weights"),
        Mutant("lr=learning_rate", "lr=0.1", "give the optimizer learning_rate"),
        Mutant("lr=learning_rate", "lr=0.01", "give the optimizer learning_rate"),
        Mutant("Adam([code], lr=learning_rate)", "SGD([code], lr=learning_rate)",
               "plain gradient descent"),
        Mutant("range(steps)", "range(150)", "Adam's"),
        Mutant("generator.decode(code, space=space)", "generator.decode(code)",
               "space is not used"),
        Mutant("generator.decode(code, space=space)", 'generator.decode(code, space="z")',
               "space is not used"),
        Mutant("loss(generator.decode(code, space=space), target)",
               "(generator.decode(code, space=space) - target).square().mean(dim=(1, 2, 3))",
               "loss that was passed is not used"),
        Mutant("loss(generator.decode(code, space=space), target)", "(generator.decode(code, "
               "space=space) - target).abs().mean(dim=(1, 2, 3))",
               "loss that was passed is not used"),
        Mutant("return code.detach()", "return code", "hangs on the graph"),
        Mutant("start.clone().requires_grad_()", "start.requires_grad_()", "its argument start"),
        Mutant("target).sum().backward()", "target).sum()", "comes back as it started"),
        Mutant("return code.detach()", "return generator.decode(code, space=space)",
               "That is the picture"),
        Mutant("return code.detach()",
               "return loss(generator.decode(code, space=space), target)", "That is the loss"),
        Mutant("range(steps)", "range(1)", "one step"),
        Mutant("optimizer.step()", "optimizer.step()\n        code.data.clamp_(-1, 1)", "[-1, 1]"),
        Mutant("target).sum().backward()", "target)[0].backward()", "first photo"),
        Mutant("target).sum().backward()", "target).backward()", "stops in line"),
    ],
    "mix": [
        Mutant("mixed = first.clone()\n    mixed[:, layers] = second[:, layers]",
               "mixed = second.clone()\n    mixed[:, layers] = first[:, layers]", "exchanged"),
        Mutant("mixed[:, layers] = second[:, layers]",
               "layers = [row - 1 for row in layers]\n    mixed[:, layers] = second[:, layers]",
               "counted from 1"),
        Mutant("mixed[:, layers] = second[:, layers]", "mixed = second", "All rows"),
        Mutant("mixed[:, layers] = second", "mixed[:, layers] += second", "are added"),
        Mutant("= second[:, layers]", "= (first + second)[:, layers] / 2", "averaged"),
        Mutant("mixed[:, layers] = second[:, layers]",
               "mixed[:, layers[0]:] = second[:, layers[0]:]", "names each"),
        Mutant("mixed[:, layers] = second[:, layers]",
               "mixed[:, :, layers] = second[:, :, layers]", "Features are replaced"),
        Mutant("first.clone()", "first", "its argument first in place"),
    ],
    "slerp": [
        Mutant("return (torch", "return (1 - t) * a + t * b\n    return (torch", "straight line"),
        Mutant("torch.sin((1 - t) * theta) * a + torch.sin(t * theta) * b",
               "torch.sin((1 - t) * theta) * b + torch.sin(t * theta) * a", "exchanged"),
        Mutant(" / torch.sin(theta)", "", "divides by sin"),
        Mutant("torch.cosine_similarity(a, b, dim=1)", "(a * b).sum(dim=1)", "by both lengths"),
        Mutant("torch.cosine_similarity(a, b, dim=1))[:, None]",
               "torch.cosine_similarity(a.flatten(), b.flatten(), dim=0))", "One angle"),
        Mutant("return (torch.sin((1 - t) * theta) * a + torch.sin(t * theta) * b) / "
               "torch.sin(theta)", "way = (torch.sin((1 - t) * theta) * a + torch.sin(t * theta)"
               " * b)\n    return way / way.norm(dim=1, keepdim=True)", "keep their lengths"),
        Mutant("[:, None]", "", "stops in line"),
    ],
    "start": [
        Mutant(".mean(dim=1)", "[:, 0]", "first row only"),
        Mutant(".mean(dim=1)", "[:, -1]", "last row only"),
        Mutant(".mean(dim=1)", ".sum(dim=1)", "rows are summed"),
        Mutant("encoder(photos)", "encoder(2 * photos - 1)", "pictures in [-1, 1]"),
        Mutant("encoder(photos)", "encoder(255 * photos)", "[0, 255]"),
        Mutant(".mean(dim=1)", ".mean(dim=0)", "photos of the batch are averaged"),
        Mutant(".mean(dim=1)", "", "Those are the rows"),
        Mutant("photos if photos.ndim == 4 else photos[None]", "photos", "pass photo[None]"),
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
    "distance": """
def feature_distance(features, others):
    cosines = [torch.cosine_similarity(a.double(), b.double(), dim=1)
               for a, b in zip(features, others)]
    return torch.stack([(2 - 2 * cosine).flatten(1).mean(1) for cosine in cosines]).sum(0)
""",
    "loop": """
def project(generator, target, start, space, loss, steps, learning_rate):
    w = torch.nn.Parameter(start.detach().clone())
    m, s = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(1, steps + 1):
        picture = generator.decode(w, space=space)
        (slope,) = torch.autograd.grad(loss(picture, target).sum(), w)
        m, s = 0.9 * m + 0.1 * slope, 0.999 * s + 0.001 * slope**2
        step_size = learning_rate / (1 - 0.9**step)
        w.data -= step_size * m / ((s / (1 - 0.999**step)).sqrt() + 1e-8)
    return w.data
""",
    "mix": """
def mix_styles(first, second, layers):
    return torch.stack([(second if row in layers else first)[:, row]
                        for row in range(first.shape[1])], dim=1)
""",
    "slerp": """
def slerp(a, b, t):
    a, b = a.double(), b.double()
    lengths = [code.norm(dim=1) for code in (a, b)]
    theta = torch.acos((a * b).sum(1) / lengths[0] / lengths[1])
    rows = [(np_sin((1 - t) * o) * x + np_sin(t * o) * y) / np_sin(o)
            for x, y, o in zip(a, b, theta.tolist())]
    return torch.stack(rows).numpy()

def np_sin(angle):
    import math
    return math.sin(angle)
""",
    "start": """
def encoder_start(encoder, photos):
    rows = encoder(photos.reshape(-1, *photos.shape[-3:])).detach()
    return sum(rows.unbind(1)) / rows.shape[1]
""",
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
