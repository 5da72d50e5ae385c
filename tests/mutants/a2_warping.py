"""Mistakes in a2, and right solutions in another style."""

from tests.mutants import Mutant

MUTANTS = {
    "weights": [
        Mutant("weights = weights**falloff", "weights = weights ** (falloff / 2)", "power α"),
        Mutant("weights = weights**falloff", "weights = weights ** (2 * falloff)", "with 4α"),
        Mutant("weights = weights**falloff", "weights = weights ** (-falloff)", "reciprocal"),
        Mutant("return weights / weights.sum(dim=1, keepdim=True)",
               "weights = squared**-falloff\n    return weights / weights.sum(dim=0)",
               "other axis"),
        Mutant("return weights / weights.sum(dim=1, keepdim=True)", "return squared**-falloff",
               "divide by their sum"),
        Mutant("((places[:, None] - handles) ** 2).sum(dim=-1)",
               "(places[:, None] - handles).abs().sum(dim=-1) ** 2", "|x| + |y|"),
        Mutant("1e-20", "1", "as little as 1e-20"),
        Mutant(" + 1e-20", "", "not a number"),
        Mutant("places[:, None] - handles", "places - handles", "stops in line"),
    ],
    "affine": [
        Mutant("p_star, q_star = w", "w = torch.full_like(w, 1 / len(handles))\n"
               "    p_star, q_star = w", "weights are not used"),
        Mutant("p_star, q_star = w", "w = w**2 / (w**2).sum(1, keepdim=True)\n"
               "    p_star, q_star = w", "applied twice"),
        Mutant("w @ handles, w @ moved_handles", "0 * w @ handles, 0 * w @ moved_handles",
               "no translation"),
        Mutant("w @ handles, w @ moved_handles",
               "handles.mean(0) + 0 * places, moved_handles.mean(0) + 0 * places", "plain means"),
        Mutant("[:, None] @ M)[:, 0]", "[:, None] @ M.mT)[:, 0]", "transposed"),
        Mutant("p_hat, q_hat = handles - p_star[:, None], moved_handles - q_star[:, None]",
               "p_star, q_star, handles, moved_handles = q_star, p_star, moved_handles, handles\n"
               "    p_hat, q_hat = handles - p_star[:, None], moved_handles - q_star[:, None]",
               "backwards"),
        Mutant("[:, 0] + q_star", "[:, 0]", "q* is not added"),
        Mutant("[:, 0] + q_star", "[:, 0] + p_star", "it is q*"),
    ],
    "rigid": [
        Mutant("* m / m.abs()", "* m / (w * a.abs() ** 2).sum(dim=1)", "Divide m by |m|"),
        Mutant("w * a.conj() * b", "w * a * b.conj()", "wrong way"),
        Mutant("a.conj()", "a", "Nothing is conjugated"),
        Mutant("w @ handles, w @ moved_handles",
               "handles.mean(0) + 0 * places, moved_handles.mean(0) + 0 * places", "plain means"),
        Mutant("w @ handles, w @ moved_handles",
               "torch.zeros_like(places), torch.zeros_like(places)", "around (0, 0)"),
        Mutant("p_mean, q_mean = w", "w = torch.full_like(w, 1 / len(handles))\n"
               "    p_mean, q_mean = w", "weights are not used"),
        Mutant("w * a.conj() * b", "a.conj() * b", "weights are missing in m"),
        Mutant("view_as_real(turned) + q_mean", "view_as_real(turned)", "q* is not added"),
        Mutant("view_as_real(turned) + q_mean", "view_as_real(turned) + p_mean", "it is q*"),
        Mutant("m = (w", "return torch.stack([v @ torch.linalg.lstsq(\n"
               "        r[:, None] ** 0.5 * (handles - c),\n"
               "        r[:, None] ** 0.5 * (moved_handles - d)).solution + d\n"
               "        for v, r, c, d in zip(places - p_mean, w, p_mean, q_mean)])\n"
               "    m = (w", "affine one"),
    ],
    "draw": [
        Mutant("deform_points(pixels, moved_handles, handles)",
               "deform_points(pixels, handles, moved_handles)", "moves the other way"),
        Mutant("2 * came_from / torch.tensor([width - 1, height - 1]) - 1",
               "2 * came_from.flip(1) / torch.tensor([width - 1, height - 1]) - 1",
               "x and y are exchanged"),
        Mutant("align_corners=True,", 'align_corners=True, mode="nearest",', "nearest pixel"),
        Mutant("align_corners=True", "align_corners=False", "half a pixel"),
        Mutant("[width - 1, height - 1]", "[width, height]", "divide by width"),
        Mutant(',\n                       padding_mode="border"', "", "black"),
        Mutant("came_from = deform_points(pixels, moved_handles, handles)", "came_from = pixels",
               "does not move"),
        Mutant("[width - 1, height - 1]", "[height - 1, width - 1]", "exchanged where you divide"),
    ],
    "areas": [
        Mutant("return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]",
               "return (dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]).abs()",
               "lost their sign"),
        Mutant("dy[..., 1] - dx", "dy[..., 1] + dx", "products are added"),
        Mutant("return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]",
               "return dx.norm(dim=-1) * dy.norm(dim=-1)", "rectangle"),
        Mutant("dx = moved", "dx, dy = moved[1:, :-1] - moved[:-1, :-1], moved[:-1, 1:] - "
               "moved[:-1, :-1]\n    return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]\n"
               "    dx = moved", "all signs are"),
        Mutant("dx = moved", "y, x = torch.meshgrid(*map(torch.arange, moved.shape[:2]), "
               'indexing="ij")\n    moved = moved - torch.stack([x, y], dim=-1)\n    dx = moved',
               "the places f themselves"),
        Mutant("return dx", "dx, dy = 2 * dx, 2 * dy\n    return dx", "two pixels"),
        Mutant("dx = moved[:-1, 1:] - moved[:-1, :-1]\n    dy = moved[1:, :-1] - moved[:-1, :-1]",
               "dx = moved[:, 1:] - moved[:, :-1]\n    dy = moved[1:] - moved[:-1]",
               "stops in line"),
    ],
    "own": [
        Mutant('"rocket"', '"rocket.jpg"', "no sample photo"),
        Mutant('"rigid"', '"soft"', "kind is"),
        Mutant("targets = [(160, 26), ", "targets = [", "one target for each"),
        Mutant("handles = [(160, 66)", "handles = [(66, 260)", "lies outside"),
        Mutant("targets = [(160, 26), (160, 110), (160, 205), (98, 100), (223, 100), (30, 70), "
               "(300, 70)]", "targets = handles", "No handle moves"),
        Mutant("(98, 100), (223, 100), (30, 70), (300, 70)]\n    return",
               "(223, 100), (98, 100), (30, 70), (300, 70)]\n    return", "folded over"),
        Mutant("    return", '    return ("chelsea", [(120, 82), (226, 97), (186, 172)],\n'
               '            [(120, 82), (226, 97), (186, 182)], "rigid", 1.0)\n    return',
               "tool starts with"),
    ],
    "segments": [
        Mutant("torch.atan2(first, h)) / h", "torch.atan2(first, h))", "That is the angle"),
        Mutant("torch.atan2(first, h)) / h", "torch.atan2(first, h)) / h**2", "divide once"),
        Mutant("torch.atan2(first, h)) / h", "torch.atan2(first, h)) / "
               "(places[:, None] - (a + b) / 2).norm(dim=-1)", "an end or the middle"),
        Mutant("torch.atan2(first, h)) / h",
               "torch.atan2(first, h)) / h / (b - a).norm(dim=1)", "length is missing"),
        Mutant("h = (to_a", "return (to_a**2).sum(-1) ** -1 + ((b - places[:, None])**2)"
               ".sum(-1) ** -1\n    h = (to_a", "Only the two ends"),
        Mutant("h = (to_a", "return (b - a).norm(dim=1) / ((places[:, None] - (a + b) / 2)**2)"
               ".sum(-1)\n    h = (to_a", "Only the middle"),
        Mutant("(to_a[..., 0] * along[:, 1] - to_a[..., 1] * along[:, 0]).abs()\n"
               "    return (torch.atan2(last, h) - torch.atan2(first, h)) / h",
               "(to_a[..., 1] * along[:, 0] - to_a[..., 0] * along[:, 1])\n"
               "    return (torch.atan(last / h.abs()) - torch.atan(first / h.abs())) / h",
               "one side"),
    ],
}

OTHERS = {
    "weights": """
def handle_weights(places, handles, falloff):
    rows = []
    for v in places.double().numpy():
        d = ((handles.double().numpy() - v) ** 2).sum(axis=1) ** 0.5
        row = [1.0 if x == 0 else 0.0 for x in d] if (d == 0).any() else d ** (-2 * falloff)
        rows.append([x / sum(row) for x in row])
    return rows
""",
    "affine": """
def moving_affine(places, handles, moved_handles, w):
    answers = []
    for v, row in zip(places.double(), w.double()):
        root = row[:, None] ** 0.5
        with_one = torch.cat([handles.double(), torch.ones(len(handles), 1)], dim=1)
        fit = torch.linalg.lstsq(root * with_one, root * moved_handles.double()).solution
        answers.append(v @ fit[:2] + fit[2])
    return torch.stack(answers)
""",
    "rigid": """
def moving_rigid(places, handles, moved_handles, w):
    answers = []
    for v, row in zip(places.double().numpy(), w.double().numpy()):
        p, q = handles.double().numpy(), moved_handles.double().numpy()
        p0, q0 = row @ p, row @ q
        cosine = (row[:, None] * (p - p0) * (q - q0)).sum()
        sine = (row * ((p - p0)[:, 0] * (q - q0)[:, 1] - (p - p0)[:, 1] * (q - q0)[:, 0])).sum()
        size = (cosine**2 + sine**2) ** 0.5
        dx, dy = v - p0
        answers.append([(cosine * dx - sine * dy) / size + q0[0],
                        (sine * dx + cosine * dy) / size + q0[1]])
    return answers
""",
    "draw": """
def warp(image, handles, moved_handles):
    height, width = image.shape[1:]
    answer = torch.zeros_like(image)
    for y in range(height):
        line = torch.stack([torch.arange(width), torch.full((width,), y)], 1).float()
        came_from = deform_points(line, moved_handles, handles)
        x0, y0 = came_from[:, 0].clamp(0, width - 1), came_from[:, 1].clamp(0, height - 1)
        i, j = x0.floor().long().clamp(max=width - 2), y0.floor().long().clamp(max=height - 2)
        a, b = x0 - i, y0 - j
        upper = image[:, j, i] * (1 - a) + image[:, j, i + 1] * a
        lower = image[:, j + 1, i] * (1 - a) + image[:, j + 1, i + 1] * a
        answer[:, y] = upper * (1 - b) + lower * b
    return answer
""",
    "areas": """
def areas(moved):
    dx, dy = moved.diff(dim=1)[:-1], moved.diff(dim=0)[:, :-1]
    return (torch.view_as_complex(dx.contiguous()).conj()
            * torch.view_as_complex(dy.contiguous())).imag
""",
    "own": """
def my_warp():
    return ("camera", [[100, 90], [150, 90], [125, 60], [40.5, 200]],
            [[100, 90], [150, 90], [125, 40], [40.5, 200]], "affine", 2)
""",
    "segments": """
def segment_weights(places, segments):
    t = (torch.arange(20000, dtype=torch.float64) + 0.5) / 20000
    answer = torch.zeros(len(places), len(segments))
    for j, (a, b) in enumerate(segments.double()):
        along = a + t[:, None] * (b - a)
        for i, v in enumerate(places.double()):
            answer[i, j] = ((b - a).norm() / ((along - v) ** 2).sum(1)).mean()
    return answer
""",
}
