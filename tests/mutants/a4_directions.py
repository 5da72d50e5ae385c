"""Mistakes in a4, and right solutions in another style."""

from tests.mutants import Mutant

MUTANTS = {
    "principal": [
        Mutant("part = shares[:, None] / shares.sum()",
               "part = torch.ones(len(codes), 1) / len(codes)", "All codes count alike"),
        Mutant(" - (part * codes).sum(dim=0)", "", "mean is not subtracted"),
        Mutant("(part * codes).sum(dim=0)", "codes.mean(dim=0)", "plain mean"),
        Mutant("(part * codes).sum(dim=0)", "(shares[:, None] * codes).sum(dim=0)",
               "sum is not 1"),
        Mutant("part.sqrt() * away", "part * away", "shares count twice"),
        Mutant("away = codes - (part * codes).sum(dim=0)",
               "away, part = (part * codes) - (part * codes).mean(dim=0), part[:1] ** 0",
               "they don't move them"),
        Mutant("return rows[:n]", "return rows.flip(0)[:n]", "ascending"),
        Mutant("return rows[:n]", "return rows.T[:n]", "columns of V"),
        Mutant("return rows[:n]", "size = ((rows @ away.T) ** 2 @ part)[:, 0] ** 0.5\n"
               "    return (size[:, None] * rows)[:n]", "length of the deviations"),
        Mutant("part = shares[:, None] / shares.sum()",
               "part = (shares > shares.mean()).float()[:, None]\n    part = part / part.sum()",
               "are left out"),
        Mutant("rows[:n]", "rows[:, :n]", "shape"),
    ],
    "coordinate": [
        Mutant("return codes + shares.T @ directions",
               "for v, end in zip(directions, values * sigma):\n"
               "        codes = codes + (end - (codes - mean) @ v)[:, None] * v\n"
               "    return codes", "one after the other"),
        Mutant("torch.linalg.solve(directions @ directions.T, missing.T)", "missing.T",
               "as if it were alone"),
        Mutant("values * sigma - (codes - mean) @ directions.T",
               "(values * sigma).expand(len(codes), -1)", "raised by the values"),
        Mutant("(codes - mean) @", "codes @", "counted from the mean"),
        Mutant("values * sigma -", "values -", "multiply each with its sigma"),
        Mutant("values * sigma -", "values / sigma -", "divided by sigma"),
        Mutant("sigma - (codes", "sigma + (codes", "coordinates are added"),
        Mutant("(codes - mean) @ directions.T", "(codes - mean) @ directions.T / sigma",
               "to one unit"),
        Mutant("return codes + shares.T @ directions",
               "return (mean + torch.linalg.pinv(directions) @ (values * sigma)).expand_as(codes)",
               "keep the rest"),
        Mutant("missing = values", "directions, values, sigma = directions[:1], values[:1], "
               "sigma[:1]\n    missing = values", "Only the first slider"),
        Mutant("missing.T)", "missing)", "stops in line"),
    ],
    "sefa": [
        Mutant("B.T @ B + epsilon * torch.eye(B.shape[1])", "torch.eye(B.shape[1]).double()",
               "other layers are not asked"),
        Mutant("for layers in (these, those)", "for layers in (those, these)", "exchanged"),
        Mutant("u = torch", "return torch.linalg.eigh(A.T @ A - B.T @ B).eigenvectors.T.flip(0)"
               "[:n]\n    u = torch", "subtracted, not divided"),
        Mutant(" + epsilon * torch.eye(B.shape[1])", "", "ε is missing"),
        Mutant("torch.linalg.solve(M, u.T).T", "u", "not carried back"),
        Mutant("u = torch", "below = B.T @ B + epsilon * torch.eye(B.shape[1])\n    return torch."
               "linalg.eigh(torch.linalg.solve(below, A.T @ A)).eigenvectors.T.flip(0)[:n]\n"
               "    u = torch", "not symmetric"),
        Mutant("return d / d.norm(dim=1, keepdim=True)", "return d", "not of length 1"),
        Mutant(".Vh[:n]", ".Vh.flip(0)[:n]", "changes these layers least"),
        Mutant("one / one.norm(dim=1, keepdim=True)", "one", "large weights decide"),
        Mutant("for one in layers]", "for one in layers[:1]]", "Only the first matrix"),
        Mutant("return d /", "d = torch.linalg.solve(M, torch.linalg.svd(A @ torch.linalg.inv(M))"
               ".Vh.T).T\n    return (d / d.norm(dim=1, keepdim=True)).T[:n]\n    return d /",
               "or the other way"),
        Mutant("torch.cat(", "torch.stack(", "stops in line"),
    ],
    "move": [
        Mutant("way[rows] = direction", "way[:] = direction", "All rows move"),
        Mutant("way[rows] = direction", "way[[i for i in range(len(way)) if i not in rows]] = "
               "direction", "other rows move"),
        Mutant("way[rows]", "way[[row - 1 for row in rows]]", "counted from 1"),
        Mutant("(-b + (", "(-b - (", "smaller root"),
        Mutant("((codes - mean) / std).flatten(1), (way / std).flatten()",
               "(codes - mean).flatten(1), way.flatten()", "divide by std"),
        Mutant("((codes - mean) / std)", "(codes / std)", "measured from 0"),
        Mutant("limit**2 * len(pace)", "limit**2", "squares are summed"),
        Mutant("((codes - mean) / std).flatten(1), (way / std).flatten()",
               "((codes - mean) / std)[:, rows].flatten(1), (way / std)[rows].flatten()",
               "Only the rows that move"),
        Mutant("return codes", "s = s.min().expand(len(s)) if (room > 0).all() else s\n"
               "    return codes", "one step length"),
        Mutant("room.clamp(min=0)).sqrt()) / a\n    return codes + torch.where(room > 0, s, 0)",
               "room).clamp(min=0).sqrt()) / a\n    return codes + s", "such codes stay"),
        Mutant("(-b + (b**2 + a * room.clamp(min=0)).sqrt()) / a",
               "limit * (len(pace) / a) ** 0.5 + 0 * b", "part of the way"),
        Mutant("return codes + torch.where(room > 0, s, 0)[:, None, None] * way",
               "return torch.where(room > 0, s, 0)", "how far to go"),
        Mutant("[:, None, None] * way", " * way", "stops in line"),
    ],
    "natural": [
        Mutant("C = torch.cov(codes.double().T)", "C = torch.eye(codes.shape[1]).double()",
               "shortest step"),
        Mutant("torch.cov(codes.double().T)", "torch.linalg.inv(torch.cov(codes.double().T))",
               "where its inverse should"),
        Mutant("torch.cov(codes.double().T)", "codes.double().var(dim=0).diag()",
               "go together"),
        Mutant("torch.cov(codes.double().T)", "codes.double().T @ codes.double()",
               "not centred"),
        Mutant("ways = C", "values, vectors = torch.linalg.eigh(C)\n"
               "    C = vectors * values**0.5 @ vectors.T\n    ways = C", "roots of the"),
        Mutant("ways = C", "slopes = slopes[:1]\n    ways = C", "not held"),
        Mutant("wish[0] = 1", "wish[:] = 1", "only the first should"),
        Mutant("wish[0] = 1", "wish[-1] = 1", "last score grows"),
        Mutant("return (ways @ torch.linalg.solve(slopes.double() @ ways, wish)).float()",
               "return normalize(ways @ torch.linalg.solve(slopes.double() @ ways, wish), dim=0)",
               "step is of length 1"),
        Mutant("torch.linalg.solve(slopes.double() @ ways, wish)", "wish", "size is not right"),
        Mutant("return (ways", "return -(ways", "points the other way"),
    ],
    "boundary": [
        Mutant("return normalize(weights.detach()[:-1], dim=0).float()",
               "return normalize(codes[labels].mean(0) - codes[~labels].mean(0), dim=0)",
               "difference of the two classes' means"),
        Mutant("normalize(weights", "-normalize(weights", "points away"),
        Mutant("return normalize(weights.detach()[:-1], dim=0).float()",
               "return torch.linalg.svd(codes - codes.mean(0)).Vh[0]", "no boundary"),
        Mutant("return normalize(weights.detach()[:-1], dim=0).float()",
               "return normalize(codes[labels].mean(0), dim=0)", "mean of the labelled"),
        Mutant("codes - codes.mean(0), torch.ones", "(codes - codes.mean(0)) / codes.std(0), "
               "torch.ones", "standardised codes"),
        Mutant("[:-1], dim=0", ", dim=0", "shape (6,), not (5,)"),
    ],
    "own": [
        Mutant('"ginger coat"', '"a name"', "Give the edit a name"),
        Mutant('"pca"', '"lda"', "method is"),
        Mutant("0, -2.0", "12, -2.0", "ten directions"),
        Mutant("0, -2.0", "0.5, -2.0", "ten directions"),
        Mutant("[3, 4, 5, 6, 7, 8, 9]", "4", "name some of the rows"),
        Mutant("0, -2.0", "0, 0.0", "hardly sees"),
        Mutant("0, -2.0", "0, -60.0", "leaves little"),
        Mutant("[3, 4, 5, 6, 7, 8, 9]", "[3, 10]", "name some of the rows"),
    ],
}

OTHERS = {
    "principal": ["""
def crowd_directions(codes, shares, n):
    import numpy as np
    C = np.cov(codes.double().numpy().T, aweights=shares.double().numpy())
    values, vectors = np.linalg.eigh(C)
    return -vectors[:, np.argsort(-values)[:n]].T
""", """
def crowd_directions(codes, shares, n):
    # second moments, less those of the mean; power steps for one direction after the other
    s = shares.double() / shares.double().sum()
    x = codes.double()
    C = torch.einsum("i,ia,ib->ab", s, x, x) - torch.outer(s @ x, s @ x)
    rows = []
    for _ in range(n):
        v = torch.ones(len(C), dtype=torch.float64)
        for _ in range(400):
            v = normalize(C @ v, dim=0)
        rows.append(v)
        C = C - (v @ C @ v) * torch.outer(v, v)
    return rows
"""],
    "coordinate": ["""
def set_sliders(codes, mean, directions, sigma, values):
    V = directions.double()
    goal = values.double() * sigma.double() + mean.double() @ V.T
    return (codes + (goal - codes.double() @ V.T) @ torch.linalg.pinv(V).T).tolist()
""", """
def set_sliders(codes, mean, directions, sigma, values):
    # in a basis at right angles; its coordinates follow by a triangular system
    Q, R = torch.linalg.qr(directions.double().T)
    across = (codes - mean).double()
    across = across - across @ Q @ Q.T
    along = torch.linalg.solve_triangular(R.T, (values * sigma).double()[:, None], upper=False)
    return mean + across + (Q @ along)[:, 0]
"""],
    "sefa": ["""
def these_layers(these, those, epsilon, n):
    A, B = (normalize(torch.cat(one).double(), dim=1) for one in (these, those))
    below = B.T @ B + epsilon * torch.eye(B.shape[1]).double()
    values, vectors = torch.linalg.eig(torch.linalg.solve(below, A.T @ A))
    order = values.real.argsort(descending=True)[:n]
    return normalize(vectors.real.T[order], dim=1).numpy()
""", """
def these_layers(these, those, epsilon, n):
    # the symmetric root of the denominator
    A, B = (sum(normalize(x.double(), dim=1).T @ normalize(x.double(), dim=1) for x in part)
            for part in (these, those))
    values, vectors = torch.linalg.eigh(B)
    root = vectors * (values + epsilon) ** -0.5 @ vectors.T
    u = torch.linalg.eigh(root @ A @ root).eigenvectors
    return [-normalize(root @ u[:, -1 - k], dim=0) for k in range(n)]
"""],
    "move": ["""
def go_far(codes, mean, std, direction, rows, limit):
    # by bisection
    found = []
    for w in codes.double():
        def moved(s):
            out = w.clone()
            out[rows] += s * direction
            return out

        def strange(x):
            return float((((x - mean) / std) ** 2).mean()) ** 0.5

        low, high = 0.0, 1.0
        while strange(moved(high)) < limit:
            high *= 2
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if strange(moved(middle)) < limit else (low, middle)
        found.append(moved(low) if strange(w) < limit else w)
    return torch.stack(found)
""", """
def go_far(codes, mean, std, direction, rows, limit):
    mask = torch.zeros(codes.shape[1], 1).double()
    mask[rows] = 1
    x, p = (codes - mean) / std, mask * direction / std
    nearest = -(x * p).sum((1, 2)) / (p * p).sum()  # where the strangeness is least
    least = (x + nearest[:, None, None] * p).square().mean((1, 2))
    beyond = ((limit**2 - least).clamp(min=0) / (p * p).mean()).sqrt()
    s = (nearest + beyond).clamp(min=0) * (x.square().mean((1, 2)) < limit**2)
    return (codes + s[:, None, None] * mask * direction).numpy()
"""],
    "natural": ["""
def natural_step(codes, slopes):
    # in units where codes vary alike in all directions, the shortest step
    x = (codes - codes.mean(0)).double()
    values, vectors = torch.linalg.eigh(x.T @ x / (len(x) - 1))
    root = vectors * values.sqrt()
    return (root @ torch.linalg.pinv(slopes.double() @ root)[:, 0]).numpy()
""", """
def natural_step(codes, slopes):
    # the equations of Lagrange, all at once
    k, n = slopes.shape
    inverse = torch.linalg.inv(torch.cov(codes.double().T))
    B = slopes.double()
    system = torch.cat([torch.cat([inverse, B.T], 1), torch.cat([B, torch.zeros(k, k)], 1)])
    right = torch.zeros(n + k).double()
    right[n] = 1
    return torch.linalg.solve(system, right)[:n]
"""],
    "boundary": """
def boundary_normal(codes, labels):
    x, y = codes.double(), labels.double() * 2 - 1
    mean, std = x.mean(0), x.std(0)
    x = torch.cat([(x - mean) / std, torch.ones(len(x), 1)], dim=1)
    w = torch.zeros(x.shape[1], dtype=torch.float64)
    for _ in range(30):  # Newton's steps
        s = torch.sigmoid(-y * (x @ w))
        curvature = (x.T * (s * (1 - s))) @ x + 1e-5 * torch.eye(len(w))
        w = w + torch.linalg.solve(curvature, x.T @ (y * s) - 1e-5 * w)
    n = (w[:-1] / std)
    return (n / n.norm()).numpy()
""",
    "own": """
def my_edit():
    return ["dark to light", "sefa", 1, -2, (4, 5, 6, 7, 8)]
""",
}
