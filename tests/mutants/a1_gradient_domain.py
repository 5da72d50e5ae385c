"""Mistakes in a1, and right solutions in another style."""

from tests.mutants import Mutant

MUTANTS = {
    "row": [
        Mutant("share * (right - left - sums[-1])", "0", "right end is not met"),
        Mutant("left + sums + share * (right - left - sums[-1])", "right - sums[-1] + sums",
               "left end is not met"),
        Mutant("return left + sums + share * (right - left - sums[-1])",
               "return torch.cat([left + sums[:-1], right[None]])", "last step"),
        Mutant("left + sums + share * (right - left - sums[-1])",
               "left + share * (right - left)", "straight line"),
        Mutant("differences.cumsum(0)", "-differences.cumsum(0)", "wrong sign"),
        Mutant("torch.linspace(0, 1, len(sums))", "torch.arange(len(sums)) / len(sums)",
               "one step less"),
        Mutant("return left + sums + share * (right - left - sums[-1])",
               "return (left + sums + share * (right - left - sums[-1]))[1:-1]",
               "put the two ends around"),
        Mutant("return left", "left", "its return is missing"),
        Mutant("torch.zeros(1), ", "", "shape (13,), not (14,)"),
    ],
    "toy": [
        Mutant("field[0, :, :-1].numpy().ravel(), field[1, :-1].numpy().ravel()",
               "field[1, :, :-1].numpy().ravel(), field[0, :-1].numpy().ravel()", "exchanged"),
        Mutant("-np.ones(n), np.ones(n)", "np.ones(n), -np.ones(n)", "wrong sign"),
        Mutant("field[0, :, :-1].numpy().ravel(), field[1, :-1].numpy().ravel()",
               "field[0, :, 1:].numpy().ravel(), field[1, 1:].numpy().ravel()",
               "one pixel too far"),
        Mutant("after, [0]", "after, [height * width - 1]", "bottom right"),
        Mutant("np.append(wish, corner.item())", "np.append(wish, 0)", "fixes the overall level"),
        Mutant("number[:, :-1].ravel(), number[:-1].ravel()", "number.ravel(), number.ravel()",
               "stops in line"),
        Mutant("reshape(height, width)\n    ### END", "reshape(width, height).T\n    ### END",
               "read column by column"),
        Mutant("reshape(height, width)  # which", "reshape(width, height).T  # which",
               "read row by row"),
        Mutant("return torch.from_numpy(spsolve(A.T @ A, A.T @ b)).reshape(height, width)",
               "u = corner + torch.nn.functional.pad(field[1, :-1, :1].cumsum(0), (0, 0, 1, 0))\n"
               "    return u + torch.nn.functional.pad(field[0, :, :-1].cumsum(1), (1, 0))",
               "one path"),
    ],
    "blend": [
        Mutant("x[:, p] - x[:, q]", "x[:, q] - x[:, p]", "a negative"),
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
        Mutant("target.flatten(1).clone()", "target.flatten(1)", "its argument target in place"),
        Mutant("return y.reshape(target.shape)", "return y.reshape(target.shape) * mask",
               "Outside Ω"),
        Mutant("A = sparse", "A = 4 * sparse.eye(n) - sparse.coo_matrix((-values[len(p):], "
               "(row[len(p):], column[len(p):])), shape=(n, n)) if True else sparse",
               "4 on its whole diagonal"),
        Mutant("y[:, inside] = torch", "y[:1, inside] = torch", "stops in line"),
        Mutant("p, q = neighbor_pairs(mask)\n    inside = mask.flatten()",
               "p, q = neighbor_pairs(~mask)\n    inside = ~mask.flatten()", "for the rest"),
        Mutant("return y.reshape(target.shape)", "return y.reshape(target.shape).clamp(0, 1)",
               "clamp"),
        Mutant(".T.to(y).reshape(len(y), n)", ".T.to(y).reshape(len(y), n)[:1]",
               "first one"),
    ],
    "mixed": [
        Mutant("source_field.abs() > target_field.abs()", "source_field.abs() < target_field.abs()",
               "smaller difference"),
        Mutant("source_field.abs() > target_field.abs()", "source_field > target_field",
               "with their signs"),
        Mutant("torch.where(source_field.abs() > target_field.abs(), source_field, target_field)",
               "torch.maximum(source_field.abs(), target_field.abs())", "lost their signs"),
        Mutant("torch.where(source_field.abs() > target_field.abs(), source_field, target_field)",
               "(source_field + target_field) / 2", "average"),
        Mutant("source_field.abs() > target_field.abs()",
               "source_field.norm(dim=0) > target_field.norm(dim=0)", "x and y decide together"),
        Mutant("source_field.abs() > target_field.abs()",
               "(source_field**2).sum(1, True) > (target_field**2).sum(1, True)",
               "channels decide together"),
        Mutant("torch.where(source_field.abs() > target_field.abs(), source_field, target_field)",
               "source_field", "argument number 1"),
    ],
    "edges": [
        Mutant("(h**2 + v**2).sum(dim=0)", "h**2 + v**2", "Each channel decides"),
        Mutant("h * strong, v * strong", "h * ((h**2).sum(0) >= smoothness / beta), "
               "v * ((v**2).sum(0) >= smoothness / beta)", "judged apart"),
        Mutant("smoothness / beta", "smoothness * beta", "λ · β"),
        Mutant("smoothness / beta", "(smoothness / beta) ** 0.5", "root of λ / β"),
        Mutant(">= smoothness", "< smoothness", "other way"),
        Mutant("h**2 + v**2", "h.abs() + v.abs()", "not squares"),
        Mutant(".sum(dim=0)", ".mean(dim=0)", "averaged"),
        Mutant("S.roll(-1, dims=-1) - S, S.roll(-1, dims=-2) - S", "gradient(S)", "periodic"),
        Mutant("S.roll(-1, dims=-1) - S, S.roll(-1, dims=-2) - S",
               "S - S.roll(1, dims=-1), S - S.roll(1, dims=-2)", "neighbour before"),
        Mutant("S.roll(-1, dims=-1) - S, S.roll(-1, dims=-2) - S",
               "S.roll(-1, dims=-2) - S, S.roll(-1, dims=-1) - S", "x and y have changed"),
    ],
    "picture": [
        Mutant("image + beta * adjoint", "image - beta * adjoint", "wrong sign"),
        Mutant("image + beta * adjoint", "image + adjoint", "missing on the right"),
        Mutant("1 + beta * (x", "1 + (x", "missing in the denominator"),
        Mutant("h.roll(1, dims=-1) - h + v.roll(1, dims=-2) - v",
               "h - h.roll(-1, dims=-1) + v - v.roll(-1, dims=-2)", "neighbour after"),
        Mutant("(x + y[:, None])", "x", "one of the two axes"),
        Mutant("4 * torch.sin", "torch.sin", "lack their factor 4"),
        Mutant("image + beta * adjoint", "beta * adjoint", "input is missing"),
        Mutant("image + beta * adjoint", "image", "mere blur"),
        Mutant("torch.pi * torch", "2 * torch.pi * torch", "not halved"),
        Mutant("(spectrum).real", "(spectrum)", "complex"),
        Mutant("(x + y[:, None])", "(x[:, None] + y)", "stops in line"),
        Mutant("h.roll(1, dims=-1) - h + v.roll(1, dims=-2) - v",
               "v.roll(1, dims=-1) - v + h.roll(1, dims=-2) - h", "exchanged"),
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
    "flat": [
        Mutant("edges[:, :-1] | edges[:, 1:]", "edges[:, :-1] & edges[:, 1:]",
               "It does not hold that a difference survives"),
        Mutant("field = gradient(picture)", "field, edges = gradient(picture), ~edges",
               "off the edges"),
        Mutant("return field", "return gradient(picture * edges)", "multiply its gradient"),
        Mutant("return field", "return gradient(picture)", "No gradient is dropped"),
        Mutant("return field", "return gradient(picture) * edges", "first pixel of each pair"),
        Mutant("edges[:, :-1] | edges[:, 1:]\n    field[1, :, :-1] *= edges[:-1] | edges[1:]",
               "edges[:, :-1] & edges[:, 1:]\n    field[1, :, :-1] *= edges[:-1] & edges[1:]",
               "one is enough"),
    ],
}

OTHERS = {
    "row": """
def rebuild_row(differences, left, right):
    n = len(differences)
    A, b = np.zeros((n, n - 1)), differences.numpy().astype(np.float64)
    for i in range(n):
        if i > 0:
            A[i, i - 1] = -1
        if i < n - 1:
            A[i, i] = 1
    b[0] += float(left)
    b[-1] -= float(right)
    return [float(left), *np.linalg.lstsq(A, b, rcond=None)[0].tolist(), float(right)]
""",
    "toy": """
def rebuild(field, corner):
    height, width = field.shape[1:]
    u = torch.zeros(height, width, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([u], max_iter=400, tolerance_grad=1e-10, tolerance_change=1e-14,
                                  line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((u[:, 1:] - u[:, :-1] - field[0, :, :-1]) ** 2).sum()
        loss = loss + ((u[1:] - u[:-1] - field[1, :-1]) ** 2).sum() + (u[0, 0] - corner) ** 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return u
""",
    "blend": """
def poisson_blend(source, target, mask):
    f = target.double().clone()
    guide = torch.nn.functional.pad(source.double(), (1, 1, 1, 1))
    exists = torch.nn.functional.pad(torch.ones(1, *mask.shape), (1, 1, 1, 1)).double()
    around = [(slice(1, -1), slice(2, None)), (slice(1, -1), slice(0, -2)),
              (slice(2, None), slice(1, -1)), (slice(0, -2), slice(1, -1))]
    count = sum(exists[:, a, b] for a, b in around)
    for _ in range(3000):
        padded = torch.nn.functional.pad(f, (1, 1, 1, 1))
        total = sum((padded[:, a, b] + source - guide[:, a, b]) * exists[:, a, b]
                    for a, b in around)
        f = torch.where(mask, total / count, f)
    return f.numpy()
""",
    "mixed": """
def mixed_field(source_field, target_field):
    both = np.stack([source_field.numpy(), target_field.numpy()])
    index = np.abs(both).argmax(axis=0)[None]
    return np.take_along_axis(both, index, axis=0)[0]
""",
    "edges": """
def keep_edges(S, smoothness, beta):
    h, v = torch.zeros_like(S), torch.zeros_like(S)
    channels, height, width = S.shape
    for y in range(height):
        for x in range(width):
            dx = S[:, y, (x + 1) % width] - S[:, y, x]
            dy = S[:, (y + 1) % height, x] - S[:, y, x]
            if beta * (dx @ dx + dy @ dy) >= smoothness:
                h[:, y, x], v[:, y, x] = dx, dy
    return torch.stack([h, v])
""",
    "picture": """
def smooth_step(image, h, v, beta):
    _, height, width = image.shape
    Dx = torch.kron(torch.eye(height), torch.eye(width).roll(1, 1) - torch.eye(width))
    Dy = torch.kron(torch.eye(height).roll(1, 1) - torch.eye(height), torch.eye(width))
    left = torch.eye(height * width) + beta * (Dx.T @ Dx + Dy.T @ Dy)
    right = image.flatten(1).T + beta * (Dx.T @ h.flatten(1).T + Dy.T @ v.flatten(1).T)
    return torch.linalg.solve(left, right).T.reshape(image.shape)
""",
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
    "flat": """
def flat_field(picture, edges):
    touched = torch.stack([edges | edges.roll(-1, 1), edges | edges.roll(-1, 0)])
    return torch.where(touched[:, None], gradient(picture), torch.tensor(0.0))
""",
}
