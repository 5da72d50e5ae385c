"""Mistakes in a4, and right solutions in another style."""

from tests.mutants import Mutant

MUTANTS = {
    "principal": [
        Mutant("codes - codes.mean(dim=0)", "codes", "mean is not subtracted"),
        Mutant("codes.mean(dim=0)", "codes.mean(dim=1, keepdim=True)", "own mean"),
        Mutant("codes.mean(dim=0)", "codes.median(dim=0).values", "median is subtracted"),
        Mutant("vectors.T.flip(0)[:n]", "vectors.T[:n]", "ascending"),
        Mutant("return vectors.T.flip(0)[:n]",
               "return torch.linalg.svd(centred).Vh[:, :n].T", "columns of V"),
        Mutant("return vectors.T.flip(0)[:n]",
               "values = torch.linalg.eigvalsh(torch.cov(centred.T, correction=0))\n"
               "    return (vectors * values**0.5).T.flip(0)[:n]",
               "length of the deviations"),
        Mutant("return vectors.T.flip(0)[:n]",
               "values = torch.linalg.eigvalsh(centred.T @ centred)\n"
               "    return (vectors * values**0.5).T.flip(0)[:n]", "singular values"),
        Mutant("codes - codes.mean(dim=0)", "(codes - codes.mean(dim=0)) / codes.std(dim=0)",
               "divided by its deviation"),
        Mutant("[:n]", "[:, :n]", "shape"),
    ],
    "coordinate": [
        Mutant("value * sigma - now", "value * sigma - 0 * now", "raised by the value"),
        Mutant("(codes - mean) @ v", "codes @ v", "counted from the mean"),
        Mutant("value * sigma", "value", "multiply it with sigma"),
        Mutant("value * sigma", "value / sigma", "divided by sigma"),
        Mutant("- now", "+ now", "coordinate is added"),
        Mutant("return codes + (value * sigma - now)[:, None] * v",
               "return (mean + value * sigma * v).expand_as(codes)", "keep the rest"),
        Mutant("(codes - mean) @ v", "(codes - mean) @ v / sigma", "to one unit"),
        Mutant("[:, None]", "", "stops in line"),
    ],
    "sefa": [
        Mutant("A = A / A.norm(dim=1, keepdim=True)\n    ", "", "large weights decide"),
        Mutant("A.norm(dim=1, keepdim=True)", "A.norm(dim=0, keepdim=True)", "columns are scaled"),
        Mutant("rows[:n]", "rows.flip(0)[:n]", "change least"),
        Mutant("torch.cat(weights)", "weights[0]", "Only the first layer"),
        Mutant("torch.cat(weights)", "weights[-1]", "Only the last layer"),
        Mutant("    _, _, rows", "    A = A - A.mean(dim=0)\n    _, _, rows", "mean is subtracted"),
        Mutant("rows[:n]", "rows.T[:n]", "or the other way"),
        Mutant("torch.cat(weights)", "torch.stack(weights)", "stops in line"),
    ],
    "move": [
        Mutant("moved[:, rows] += strength * direction", "moved += strength * direction",
               "All rows move"),
        Mutant("moved[:, rows] +=", "moved[:, [i for i in range(codes.shape[1]) "
               "if i not in rows]] +=", "other rows move"),
        Mutant("moved[:, rows]", "moved[:, [row - 1 for row in rows]]", "counted from 1"),
        Mutant("+= strength", "-= strength", "subtracted"),
        Mutant("strength * direction", "direction", "strength is not used"),
        Mutant("+= strength", "= strength", "replaced by the direction"),
        Mutant("moved[:, rows]", "moved[0, rows]", "first code of the batch"),
        Mutant("codes.clone()", "codes", "its argument codes in place"),
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
        Mutant("2, 3.0", "12, 3.0", "ten directions"),
        Mutant("2, 3.0", "2.5, 3.0", "ten directions"),
        Mutant("[3, 4, 5, 6, 7, 8, 9]", "4", "name some of the rows"),
        Mutant("2, 3.0", "2, 0.0", "hardly sees"),
        Mutant("2, 3.0", "2, 60.0", "leaves little"),
        Mutant("[3, 4, 5, 6, 7, 8, 9]", "[3, 10]", "name some of the rows"),
    ],
    "conditional": [
        Mutant("return normalize(normal - basis @ (basis.T @ normal), dim=0)",
               "return normal - basis @ (basis.T @ normal)", "not of length 1"),
        Mutant("basis = torch.linalg.qr(others.T).Q", "basis = others.T",
               "right angles to each other"),
        Mutant("normal - basis", "basis", "take it away"),
        Mutant("(others.T)", "(others[:1].T)", "Only the first"),
        Mutant("(others.T)", "(others[-1:].T)", "Only the last"),
        Mutant("normal - basis @ (basis.T @ normal)", "normal - others.sum(0)",
               "only the part along them"),
        Mutant("normal - basis", "normal + basis", "parts are added"),
    ],
}

OTHERS = {
    "principal": """
def principal_directions(codes, n):
    import numpy as np
    x = codes.double().numpy()
    return -np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:n]
""",
    "coordinate": """
def set_coordinate(codes, mean, v, sigma, value):
    across = codes - mean - torch.outer((codes - mean).double() @ v.double(), v.double())
    return (mean + across + value * sigma * v).tolist()
""",
    "sefa": """
def sefa_directions(weights, n):
    total = sum(normalize(one.double(), dim=1).T @ normalize(one.double(), dim=1)
                for one in weights)
    values, vectors = torch.linalg.eigh(total)
    return torch.stack([-vectors[:, i] for i in values.argsort(descending=True)[:n]]).numpy()
""",
    "move": """
def move_rows(codes, direction, strength, rows):
    chosen = torch.tensor([row in rows for row in range(codes.shape[1])])
    return torch.where(chosen[:, None], codes + strength * direction, codes)
""",
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
    "conditional": """
def conditional(normal, others):
    along = torch.linalg.lstsq(others.T.double(), normal.double()[:, None]).solution[:, 0]
    rest = normal.double() - along @ others.double()
    return (rest / rest.norm()).numpy()
""",
}
