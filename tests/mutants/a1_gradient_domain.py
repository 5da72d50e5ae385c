"""Mistakes in a1, and right solutions in another style."""

from tests.mutants import Mutant

RET = "return left + sums + give / give[-1] * (right - left - sums[-1])"
PAIRS = """before = np.concatenate([number.ravel(), number[:-1].ravel()])
    after = np.concatenate([np.roll(number, -1, axis=1).ravel(), number[1:].ravel()])
    wish = np.concatenate([field[0].numpy().ravel(), field[1, :-1].numpy().ravel()])"""

MUTANTS = {
    "row": [
        Mutant("(1 / trust)", "(0 * trust + 1)", "trust is not used"),
        Mutant("(1 / trust)", "trust", "most trusted differences give way most"),
        Mutant("(1 / trust)", "(1 / trust**2)", "counts twice"),
        Mutant("(1 / trust)", "(1 / trust**0.5)", "by its root"),
        Mutant("differences.cumsum(0)", "(trust * differences).cumsum(0)",
               "changes what is wished"),
        Mutant("give / give[-1] * (right - left - sums[-1])", "0", "right end is not met"),
        Mutant(RET, "return right - sums[-1] + sums", "left end is not met"),
        Mutant(RET, "return torch.cat([left + sums[:-1], right[None]])", "last step"),
        Mutant("differences.cumsum(0)", "0 * differences.cumsum(0)", "differences are not used"),
        Mutant("differences.cumsum(0)", "-differences.cumsum(0)", "wrong sign"),
        Mutant(RET, f"{RET}[1:-1]".replace("left + sums", "(left + sums").replace("])[", "]))["),
               "put the two ends around"),
        Mutant("return left", "left", "its return is missing"),
    ],
    "toy": [
        Mutant("number.ravel(), number[:-1].ravel()]", "number[:, :-1].ravel(), "
               "number[:-1].ravel()]", "stops in line"),
        Mutant("field[0].numpy().ravel(), field[1, :-1].numpy().ravel()",
               "field[1].numpy().ravel(), field[0, :-1].numpy().ravel()", "exchanged"),
        Mutant("-np.ones(n), np.ones(n)", "np.ones(n), -np.ones(n)", "wrong sign"),
        Mutant("field[0].numpy().ravel(), field[1, :-1].numpy().ravel()",
               "field[0].roll(-1, 1).numpy().ravel(), field[1, 1:].numpy().ravel()",
               "one pixel too far"),
        Mutant("after, [0]", "after, [height * width - 1]", "bottom right"),
        Mutant("np.append(wish, corner.item())", "np.append(wish, 0)", "fixes the overall level"),
        Mutant("reshape(height, width)\n    ### END", "reshape(width, height).T\n    ### END",
               "read column by column"),
        Mutant("reshape(height, width)  # which", "reshape(width, height).T  # which",
               "read row by row"),
        Mutant("return torch.from_numpy(spsolve(A.T @ A, A.T @ b)).reshape(height, width)",
               "u = corner + torch.nn.functional.pad(field[1, :-1, :1].cumsum(0), (0, 0, 1, 0))\n"
               "    return u + torch.nn.functional.pad(field[0, :, :-1].cumsum(1), (1, 0))",
               "one path"),
        Mutant(PAIRS,
               "before = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])\n"
               "    after = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])\n"
               "    wish = np.concatenate([field[0, :, :-1].numpy().ravel(), "
               "field[1, :-1].numpy().ravel()])", "all the way round"),
        Mutant(PAIRS,
               "before = np.concatenate([number.ravel(), number.ravel()])\n"
               "    after = np.concatenate([np.roll(number, -1, axis=1).ravel(), "
               "np.roll(number, -1, axis=0).ravel()])\n"
               "    wish = field.numpy().ravel()", "only left and right"),
    ],
    "blend": [
        Mutant("(trust.flatten()[p] * trust.flatten()[q])", "(0 * trust.flatten()[p] + 1)",
               "trust is not used"),
        Mutant("(trust.flatten()[p] * trust.flatten()[q])", "trust.flatten()[p]", "divides out"),
        Mutant("(trust.flatten()[p] * trust.flatten()[q])",
               "(trust.flatten()[p] + trust.flatten()[q])", "sum or mean"),
        Mutant("(trust.flatten()[p] * trust.flatten()[q])",
               "(trust.flatten()[p] * trust.flatten()[q]).square()", "squared"),
        Mutant("c * (x[:, p] - x[:, q] + y[:, q] * ~both)",
               "x[:, p] - x[:, q] + c * (y[:, q] * ~both)", "differences in b lack"),
        Mutant("c * (x[:, p] - x[:, q] + y[:, q] * ~both)",
               "c * (x[:, p] - x[:, q]) + y[:, q] * ~both", "values in b lack"),
        Mutant("x[:, p] - x[:, q] + y", "x[:, q] - x[:, p] + y", "a negative"),
        Mutant(" + y[:, q] * ~both", "", "known neighbours are missing"),
        Mutant("y[:, q] * ~both", "x[:, q] * ~both", "source's own colours"),
        Mutant("x[:, p] - x[:, q] + y", "(x[:, p] - x[:, q]) * both + y", "leave Ω"),
        Mutant("x[:, p] - x[:, q] + ", "", "no detail"),
        Mutant("return y.reshape(target.shape)", "return target", "target as it was"),
        Mutant("return y.reshape(target.shape)",
               "return blend_poisson(target, gradient(source), mask).value", "do it by hand"),
        Mutant("p, q = neighbor_pairs(mask)", "import course_lib.blending as library\n"
               "    return library.seamless_clone(source, target, mask).value\n"
               "    p, q = neighbor_pairs(mask)", "do it by hand"),
        Mutant("return y.reshape(target.shape)", "return y.reshape(target.shape) * mask",
               "Outside Ω"),
        Mutant("p, q = neighbor_pairs(mask)\n    inside = mask.flatten()",
               "p, q = neighbor_pairs(~mask)\n    inside = ~mask.flatten()", "for the rest"),
        Mutant("return y.reshape(target.shape)", "return y.reshape(target.shape).clamp(0, 1)",
               "clamp"),
        Mutant(".T.reshape(len(y), n)", ".T.reshape(len(y), n)[:1]", "first one"),
    ],
    "without": [
        Mutant("return field - along * g", "return along * g", "runs along g; it shall go"),
        Mutant(" / torch.where(squared > 0, squared, 1)", "", "divide by g · g"),
        Mutant("squared = (g**2).sum(dim=0)", "squared = (g**2).sum(dim=0) ** 0.5",
               "divided by the length"),
        Mutant("g = other.sum(dim=1, keepdim=True)", "g = other", "its own gradient of y"),
        Mutant("field - along * g", "field - 2 * along * g", "turned round"),
        Mutant("along = (field * g).sum(dim=0)", "squared = g**2\n    along = field * g",
               "before you multiply by g"),
        Mutant("return field - along * g", "return field * (squared == 0)",
               "what runs across g shall stay"),
        Mutant("return field - along * g", "return field - other", "subtracted as it is"),
        Mutant("torch.where(squared > 0, squared, 1)", "squared", "not a number"),
        Mutant("squared = (g**2)", "g = torch.stack([-g[1], g[0]])\n    squared = (g**2)",
               "by a right angle"),
        Mutant("g = other.sum(dim=1, keepdim=True)", "field, other = other, field\n"
               "    g = other.sum(dim=1, keepdim=True)", "fields are exchanged"),
    ],
    "shrink": [
        Mutant("(2 * beta)", "beta", "λ / β of its length"),
        Mutant("smoothness / (2 * beta)", "smoothness * beta / 2", "divide by β"),
        Mutant("(1 - smoothness / (2 * beta) / length.clamp(min=1e-9)).clamp(min=0)",
               "length > smoothness / (2 * beta)", "that is L0's answer"),
        Mutant("(1 - smoothness / (2 * beta) / length.clamp(min=1e-9)).clamp(min=0)",
               "length**2 >= smoothness / beta", "L0's answer to the letter"),
        Mutant("(h**2 + v**2).sum(dim=0)", "(h**2 + v**2)", "Each channel decides"),
        Mutant("return h * share, v * share", "one, two = ((1 - smoothness / (2 * beta) / "
               "(d**2).sum(0).sqrt()).clamp(min=0) for d in (h, v))\n    return h * one, v * two",
               "shortened apart"),
        Mutant("return h * share, v * share", "return tuple(d.sign() * (d.abs() - smoothness / "
               "(2 * beta)).clamp(min=0) for d in (h, v))", "by itself"),
        Mutant(".clamp(min=0)", "", "turned round"),
        Mutant(".sqrt()", "", "take the root"),
        Mutant("(h**2 + v**2).sum(dim=0)", "(h**2 + v**2).mean(dim=0)", "averaged"),
        Mutant("S.roll(-1, dims=-1) - S, S.roll(-1, dims=-2) - S", "gradient(S)", "periodic"),
        Mutant("S.roll(-1, dims=-1) - S, S.roll(-1, dims=-2) - S",
               "S - S.roll(1, dims=-1), S - S.roll(1, dims=-2)", "neighbour before"),
        Mutant("S.roll(-1, dims=-1) - S, S.roll(-1, dims=-2) - S",
               "S.roll(-1, dims=-2) - S, S.roll(-1, dims=-1) - S", "x and y have changed"),
        Mutant("return h * share, v * share", "return h, v", "No gradient gets shorter"),
        Mutant("(1 - smoothness / (2 * beta) / length.clamp(min=1e-9)).clamp(min=0)",
               "1 / (1 + smoothness / beta)", "for the squared length"),
    ],
    "picture": [
        Mutant("number, eye = ", "trust = torch.ones_like(trust)\n    number, eye = ",
               "trusted alike"),
        Mutant("(trust * image)", "image", "missing on the right"),
        Mutant("sparse.diags(trust.flatten().double().numpy())", "eye", "missing on the left"),
        Mutant("number, eye = ", "trust = trust**2\n    number, eye = ", "squared"),
        Mutant("number, eye = ", "trust = (trust > 0).float()\n    number, eye = ",
               "all or nothing"),
        Mutant("    number, eye = ", "    known, image_, trust = trust > 0, image, "
               "torch.ones_like(trust)\n    number, eye = ", "trusted alike"),
        Mutant("+ beta * (D.T", "- beta * (D.T", "wrong sign"),
        Mutant("+ beta * (D.T", "+ (D.T", "missing on the right side"),
        Mutant("+ beta * D.T @ D", "+ D.T @ D", "missing on the left side"),
        Mutant("[h.flatten(1), v.flatten(1)]", "[v.flatten(1), h.flatten(1)]", "exchanged"),
        Mutant("[h.flatten(1), v.flatten(1)]", "[0 * h.flatten(1), v.flatten(1) * 0]",
               "mere blur"),
        Mutant("for axis in (1, 0)]", "for axis in (0, 1)]", "exchanged"),
        Mutant("field = torch", "h, v = h.roll(-1, -1), v.roll(-1, -2)\n    field = torch",
               "neighbour after"),
    ],
    "own": [
        Mutant('"hubble", "rocket", lasso, (70, -2), "mixed"',
               '"chelsea", "coffee", lasso, (61, 21), "mixed"', "tool starts with"),
        Mutant("(70, -2)", "(700, -2)", "outside the target"),
        Mutant('"mixed"', '"mix"', "gradients is 'mix'"),
        Mutant("(196, 4), (196, 100)", "(4, 196), (100, 196)", "leaves the source"),
        Mutant('"hubble"', '"galaxies"', "no sample photo"),
        Mutant("lasso = [", "lasso = [(5, 5), (9, 5), (9, 9)]\n    [", "too few"),
        Mutant('lasso, (70, -2), "mixed"', "lasso", "five things"),
    ],
    "gray": [
        Mutant("field = gradient(image)\n", "from course_lib.blending import color_to_gray as own\n"
               "    return own(image, closeness=closeness).value[0]\n", "do it by hand"),
        Mutant("field.abs().argmax", "field.argmax", "with its sign"),
        Mutant(".double().numpy()\n", ".double().numpy()\n    v = np.abs(v)\n", "lost their signs"),
        Mutant("return torch.from_numpy(gray).reshape(height, width)", "return image.mean(0)",
               "mean of the channels"),
        Mutant("argmax", "argmin", "smallest difference"),
        Mutant("closeness * mean.ravel()", "closeness * mean.mean()", "mean brightness"),
        Mutant("left = A.T", "closeness = closeness**2\n    left = A.T", "squared"),
        Mutant("left = A.T", "closeness = closeness**0.5\n    left = A.T", "its root"),
        Mutant("A.T @ b +", "-A.T @ b +", "wrong sign"),
    ],
}

OTHERS = {
    "row": ["""
def rebuild_row(differences, trust, left, right):
    n = len(differences)
    A, b = np.zeros((n, n - 1)), differences.numpy().astype(np.float64)
    for i in range(n):
        if i > 0:
            A[i, i - 1] = -1
        if i < n - 1:
            A[i, i] = 1
    b[0] += float(left)
    b[-1] -= float(right)
    root = trust.numpy().astype(np.float64) ** 0.5
    inner = np.linalg.lstsq(root[:, None] * A, root * b, rcond=None)[0]
    return [float(left), *inner.tolist(), float(right)]
""", """
def rebuild_row(differences, trust, left, right):
    # a chain of springs: one force for all
    force = (right - left - differences.sum()).double() / (1 / trust.double()).sum()
    u = [left.double()]
    for d, c in zip(differences, trust):
        u.append(u[-1] + d + force / c)
    return torch.stack(u)
"""],
    "toy": ["""
def rebuild(field, corner):
    height, width = field.shape[1:]
    u = torch.zeros(height, width, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([u], max_iter=400, tolerance_grad=1e-10, tolerance_change=1e-14,
                                  line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((u.roll(-1, 1) - u - field[0]) ** 2).sum()
        loss = loss + ((u[1:] - u[:-1] - field[1, :-1]) ** 2).sum() + (u[0, 0] - corner) ** 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return u
""", """
def rebuild(field, corner):
    # waves along x, mirrored along y: every wave by itself
    height, width = field.shape[1:]
    b = field[0].roll(1, 1) - field[0]
    b[1:] += field[1, :-1]
    b[:-1] -= field[1, :-1]
    both = torch.cat([b, b.flip(0)]).double()
    x, y = (2 - 2 * torch.cos(2 * torch.pi * torch.arange(n) / n) for n in (width, 2 * height))
    below = (y[:, None] + x).double()
    below[0, 0] = 1
    u = torch.fft.ifft2(torch.fft.fft2(both) / below).real[:height]
    return u - u[0, 0] + corner
"""],
    "blend": ["""
def poisson_blend(source, target, mask, trust):
    f = target.double().clone()
    pad = lambda x: torch.nn.functional.pad(x.double(), (1, 1, 1, 1))
    guide, weight = pad(source), pad(trust[None])
    around = [(slice(1, -1), slice(2, None)), (slice(1, -1), slice(0, -2)),
              (slice(2, None), slice(1, -1)), (slice(0, -2), slice(1, -1))]
    whole = sum(weight[:, a, b] for a, b in around)
    for _ in range(3000):
        padded = pad(f)
        total = sum((padded[:, a, b] + source - guide[:, a, b]) * weight[:, a, b]
                    for a, b in around)
        f = torch.where(mask, total / whole, f)
    return f.numpy()
""", """
def poisson_blend(source, target, mask, trust):
    # the energy itself, minimised in one Newton step by autograd
    t, inside = trust.double(), mask.flatten()
    answer = target.double().flatten(1).clone()
    for x, y in zip(source.double(), answer):
        def energy(f):
            off = y.masked_scatter(inside, f).reshape(mask.shape) - x
            return ((t[:, 1:] * t[:, :-1] * off.diff(dim=1) ** 2).sum()
                    + (t[1:] * t[:-1] * off.diff(dim=0) ** 2).sum())
        zero = torch.zeros(int(inside.sum()), dtype=torch.float64)
        slope = torch.autograd.functional.jacobian(energy, zero)
        bend = torch.autograd.functional.hessian(energy, zero)
        y[inside] = torch.linalg.solve(bend, -slope)
    return answer.reshape(target.shape)
""", """
def poisson_blend(source, target, mask, trust):
    # an equation may be divided by t_p: a weight of q alone
    p, q = neighbor_pairs(mask)
    A = torch.zeros(mask.numel(), mask.numel(), dtype=torch.float64)
    c = trust.double().flatten()[q]
    A.index_put_((p, p), c, accumulate=True)
    A.index_put_((p, q), -c, accumulate=True)
    outside = (~mask).flatten()
    A[outside, outside] = 1
    x, y = source.double().flatten(1).T, target.double().flatten(1).T
    b = torch.where(outside[:, None], y, A @ x)
    return torch.linalg.solve(A, b).T.reshape(target.shape)
"""],
    "without": ["""
def field_without(field, other):
    x, g = field.double().numpy(), other.double().numpy().sum(axis=1)
    answer = x.copy()
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            if g[:, i, j].any():
                across = np.array([-g[1, i, j], g[0, i, j]]) / np.hypot(*g[:, i, j])
                answer[:, :, i, j] = np.outer(across, across @ x[:, :, i, j])
    return answer
""", """
def field_without(field, other):
    z = torch.view_as_complex(field.double().movedim(0, -1).contiguous())
    g = torch.view_as_complex(other.double().sum(1).movedim(0, -1).contiguous())
    turn = torch.where(g == 0, 0, g / g.abs().clamp(min=1e-300))
    rest = z - (z * turn.conj()).real * turn
    return torch.view_as_real(rest).movedim(-1, 0)
"""],
    "shrink": ["""
def shrink_edges(S, smoothness, beta):
    h, v = torch.zeros_like(S), torch.zeros_like(S)
    channels, height, width = S.shape
    for y in range(height):
        for x in range(width):
            d = torch.stack([S[:, y, (x + 1) % width] - S[:, y, x],
                             S[:, (y + 1) % height, x] - S[:, y, x]])
            size = float((d**2).sum()) ** 0.5
            if size > smoothness / beta / 2:
                h[:, y, x], v[:, y, x] = d * (size - smoothness / beta / 2) / size
    return torch.stack([h, v])
""", """
def shrink_edges(S, smoothness, beta):
    # d minus its projection onto the ball of radius λ / 2β
    S = S.double().numpy()
    d = np.stack([np.roll(S, -1, axis=2) - S, np.roll(S, -1, axis=1) - S])
    radius = smoothness / 2 / beta
    length = np.sqrt((d * d).sum(axis=(0, 1), keepdims=True))
    return d - d * (radius / np.maximum(length, radius))
"""],
    "picture": ["""
def smooth_step(image, trust, h, v, beta):
    _, height, width = image.shape
    Dx = torch.kron(torch.eye(height), torch.eye(width).roll(1, 1) - torch.eye(width))
    Dy = torch.kron(torch.eye(height).roll(1, 1) - torch.eye(height), torch.eye(width))
    left = trust.flatten().diag() + beta * (Dx.T @ Dx + Dy.T @ Dy)
    right = (trust * image).flatten(1).T + beta * (Dx.T @ h.flatten(1).T + Dy.T @ v.flatten(1).T)
    return torch.linalg.solve(left, right).T.reshape(image.shape)
""", """
def smooth_step(image, trust, h, v, beta):
    # conjugate gradients, which only need A times a picture
    def back(h, v):
        return h.roll(1, -1) - h + v.roll(1, -2) - v

    def A(S):
        return trust * S + beta * back(S.roll(-1, -1) - S, S.roll(-1, -2) - S)

    image, trust, h, v = (x.double() for x in (image, trust, h, v))
    S = torch.zeros_like(image)
    r = trust * image + beta * back(h, v)
    p = r.clone()
    for _ in range(900):
        if r.norm() < 1e-11:
            break
        Ap = A(p)
        step = (r * r).sum() / (p * Ap).sum()
        new = r - step * Ap
        S, p = S + step * p, new + (new * new).sum() / (r * r).sum() * p
        r = new
    return S
"""],
    "own": """
def my_edit():
    return ["moon", "coins", [[20, 20], [70.5, 20], [70, 60], [20, 60]], [100, 90], "source"]
""",
    "gray": """
def color_to_gray(image, closeness):
    x = image.double()
    mean = gray = x.mean(0)
    field_x, field_y = (d.gather(0, d.abs().argmax(0, keepdim=True))[0]
                        for d in (x.diff(dim=2), x.diff(dim=1)))
    count = torch.full_like(mean, closeness)
    for part in (count[:, 1:], count[:, :-1], count[1:], count[:-1]):
        part += 1
    for _ in range(2500):  # Jacobi
        total = closeness * mean
        total[:, 1:] += gray[:, :-1] + field_x
        total[:, :-1] += gray[:, 1:] - field_x
        total[1:] += gray[:-1] + field_y
        total[:-1] += gray[1:] - field_y
        gray = total / count
    return gray
""",
}
