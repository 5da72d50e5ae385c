"""Mistakes in a2, and right solutions in another style."""

from tests.mutants import Mutant

MUTANTS = {
    "weights": [
        Mutant("(way[..., 0] + width / 2) % width - width / 2", "way[..., 0]",
               "round the panorama"),
        Mutant("x**2 + way[..., 1] ** 2", "x**2 + ((way[..., 1] + width / 2) % width - width / 2) "
               "** 2", "only left and right"),
        Mutant("(way[..., 0] + width / 2) % width - width / 2", "torch.maximum("
               "way[..., 0] % width, -way[..., 0] % width)", "the longer way"),
        Mutant("(way[..., 0] + width / 2) % width - width / 2", "way[..., 0] % width",
               "way to the left is lost"),
        Mutant("** falloff", "** (falloff / 2)", "power α"),
        Mutant("** falloff", "** (2 * falloff)", "with 4α"),
        Mutant("** falloff", "** (-falloff)", "reciprocal"),
        Mutant("return weights / weights.sum(dim=1, keepdim=True)",
               "weights = squared**-falloff\n    return weights / weights.sum(dim=0)",
               "other axis"),
        Mutant("return weights / weights.sum(dim=1, keepdim=True)", "return squared**-falloff",
               "divide by their sum"),
        Mutant("1e-20", "1", "as little as 1e-20"),
        Mutant(" + 1e-20", "", "not a number"),
        Mutant("places[:, None] - handles", "places - handles", "stops in line"),
    ],
    "stretch": [
        Mutant("p_star, q_star = w", "w = torch.full_like(w, 1 / len(handles))\n"
               "    p_star, q_star = w", "weights are not used"),
        Mutant("p_star, q_star = w", "w = w**2 / (w**2).sum(1, keepdim=True)\n"
               "    p_star, q_star = w", "applied twice"),
        Mutant("w @ handles, w @ moved_handles", "0 * w @ handles, 0 * w @ moved_handles",
               "no shift of their own"),
        Mutant("w @ handles, w @ moved_handles",
               "handles.mean(0) + 0 * places, moved_handles.mean(0) + 0 * places", "plain means"),
        Mutant("s = (share * q_hat).sum(dim=1) / (share * p_hat).sum(dim=1)",
               "s = ((share * q_hat).sum((1, 2)) / (share * p_hat).sum((1, 2)))[:, None]",
               "one factor"),
        Mutant("s = (share * q_hat).sum(dim=1) / (share * p_hat).sum(dim=1)",
               "s = ((w[..., None] * q_hat**2).sum(1) / (share * p_hat).sum(1)) ** 0.5",
               "has no sign"),
        Mutant("(share * p_hat).sum(dim=1)", "(w[..., None] * q_hat**2).sum(dim=1)",
               "divided by Σ w q̂²"),
        Mutant("return s * (places - p_star) + q_star", "left, right = (torch.einsum("
               "'nmi,nmj->nij', share, x) for x in (p_hat, q_hat))\n"
               "    return ((places - p_star)[:, None] @ torch.linalg.solve(left, right))[:, 0]"
               " + q_star", "affine map"),
        Mutant("p_hat, q_hat = handles - p_star[:, None], moved_handles - q_star[:, None]",
               "p_star, q_star, handles, moved_handles = q_star, p_star, moved_handles, handles\n"
               "    p_hat, q_hat = handles - p_star[:, None], moved_handles - q_star[:, None]",
               "backwards"),
        Mutant("(places - p_star) + q_star", "(places - p_star)", "q* is not added"),
        Mutant("(places - p_star) + q_star", "(places - p_star) + p_star", "it is q*"),
    ],
    "bounded": [
        Mutant("growth.clamp(1 / limit, limit)", "1", "never grows"),
        Mutant("growth.clamp(1 / limit, limit)", "growth", "as it likes"),
        Mutant("growth.clamp(1 / limit, limit)", "growth.clamp(max=limit)", "shrink to nothing"),
        Mutant("growth.clamp(1 / limit, limit)", "growth.clamp(min=1 / limit)",
               "but not below k"),
        Mutant("(w * a.abs() ** 2)", "(w * b.abs() ** 2)", "handles' targets"),
        Mutant("m.abs() / (w * a.abs() ** 2).sum(dim=1)", "m.abs()", "|m| itself is clamped"),
        Mutant("w * a.conj() * b", "w * a * b.conj()", "wrong way"),
        Mutant("a.conj()", "a", "Nothing is conjugated"),
        Mutant("w @ handles, w @ moved_handles",
               "handles.mean(0) + 0 * places, moved_handles.mean(0) + 0 * places", "plain means"),
        Mutant("p_mean, q_mean = w", "w = torch.full_like(w, 1 / len(handles))\n"
               "    p_mean, q_mean = w", "weights are not used"),
        Mutant("* m) + q_mean", "* m)", "q* is not added"),
        Mutant("* m) + q_mean", "* m) + p_mean", "it is q*"),
        Mutant("p_mean, q_mean = w", "handles, moved_handles = moved_handles, handles\n"
               "    p_mean, q_mean = w", "backwards"),
    ],
    "morph": [
        Mutant("return (1 - t) * ours + t * theirs", "return (1 - t) * first + t * second",
               "cross-fade"),
        Mutant("h = (1 - t) * p + t * q\n    ours = warp_mls(first, p, h, grid_step=None)\n"
               "    theirs = warp_mls(second, q, h, grid_step=None)",
               "ours, theirs = (warp_mls(first, p, q, grid_step=None),\n"
               "                    warp_mls(second, q, p, grid_step=None))",
               "all the way"),
        Mutant("* theirs", "* second", "Only the first is warped"),
        Mutant("* ours", "* first", "Only the second is warped"),
        Mutant("warp_mls(second, q, h", "warp_mls(second, p, h", "second's handles are q"),
        Mutant("ours = warp_mls(first, p, h, grid_step=None)\n"
               "    theirs = warp_mls(second, q, h, grid_step=None)",
               "ours = warp_mls(first, h, p, grid_step=None)\n"
               "    theirs = warp_mls(second, h, q, grid_step=None)", "backwards"),
        Mutant("(1 - t) * ours + t * theirs", "t * ours + (1 - t) * theirs",
               "shares are exchanged"),
        Mutant("(1 - t) * p + t * q", "t * p + (1 - t) * q", "the other way"),
        Mutant("(1 - t) * ours + t * theirs", "(ours + theirs) / 2", "half and half"),
        Mutant("return (1 - t) * ours + t * theirs",
               "return warp_mls((1 - t) * first + t * second, p, h, grid_step=None)",
               "mixed before"),
        Mutant("return (1 - t) * ours + t * theirs", "return ours", "Only the first is seen"),
        Mutant("ours = warp_mls(first, p, h, grid_step=None)\n"
               "    theirs = warp_mls(second, q, h, grid_step=None)",
               "ours = warp_mls(first, p, h)\n    theirs = warp_mls(second, q, h)", "coarse grid"),
    ],
    "strain": [
        Mutant("along = torch.hypot(dx[..., 0] + dy[..., 1], dx[..., 1] - dy[..., 0])",
               "along = dx[..., 0] + dy[..., 1]", "from not moving"),
        Mutant("return (dx", "return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]\n"
               "    return (dx", "cannot see a shear"),
        Mutant("dx[..., 0] + dy[..., 1], dx[..., 1] - dy[..., 0]",
               "dx[..., 0] - dy[..., 1], dx[..., 1] + dy[..., 0]", "mirror image"),
        Mutant("return (dx", "return (torch.linalg.svdvals(torch.stack([dx, dy], -1)) - 1)"
               ".square().sum(-1)\n    return (dx", "as if it were not"),
        Mutant("return (dx**2 + dy**2).sum(dim=-1) + 2 - 2 * along",
               "return ((dx**2 + dy**2).sum(dim=-1) + 2 - 2 * along).clamp(min=0).sqrt()",
               "root is taken"),
        Mutant(" + 2 - 2", " - 2", "The 2 is missing"),
        Mutant("2 - 2 * along", "2 - along", "before the length"),
        Mutant("dx = moved", "y, x = torch.meshgrid(*map(torch.arange, moved.shape[:2]), "
               'indexing="ij")\n    moved = moved - torch.stack([x, y], dim=-1)\n    dx = moved',
               "not the places f"),
        Mutant("along = torch", "dx, dy = 2 * dx, 2 * dy\n    along = torch", "two pixels"),
        Mutant(" + 2 - 2 * along", "", "rotation is left out"),
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
    "weights": ["""
def handle_weights(places, handles, falloff, width):
    rows = []
    for v in places.double().numpy():
        dx = abs(handles.double().numpy() - v)[:, 0] % width
        dy = handles.double().numpy()[:, 1] - v[1]
        d = ([min(x, width - x) for x in dx] + 0 * dy) ** 2 + dy**2
        row = [1.0 if x == 0 else 0.0 for x in d] if (d == 0).any() else d**-falloff
        rows.append([x / sum(row) for x in row])
    return rows
""", """
def handle_weights(places, handles, falloff, width):
    # three copies of each handle; the nearest counts, and softmax divides
    copies = torch.stack([handles + torch.tensor([k * width, 0]) for k in (-1, 0, 1)])
    nearest = torch.cdist(places.double(), copies.double()).amin(0)
    return torch.softmax(-2 * falloff * (nearest + 1e-12).log(), dim=1)
"""],
    "stretch": ["""
def moving_stretch(places, handles, moved_handles, w):
    answers = []
    for v, row in zip(places.double(), w.double()):
        root, one = row[:, None] ** 0.5, torch.ones(len(handles), 1)
        place = []
        for axis in (0, 1):
            line = torch.cat([handles[:, axis:axis + 1].double(), one], dim=1)
            s, T = torch.linalg.lstsq(root * line, root * moved_handles[:, axis:axis + 1].double()
                                      ).solution[:, 0]
            place.append(s * v[axis] + T)
        answers.append(torch.stack(place))
    return torch.stack(answers)
""", """
def moving_stretch(places, handles, moved_handles, w):
    import numpy as np
    answer = np.zeros(places.shape)
    for i, row in enumerate(w.double().numpy()):
        for axis in (0, 1):
            fit = np.polyfit(handles[:, axis], moved_handles[:, axis], 1, w=row**0.5)
            answer[i, axis] = np.polyval(fit, places[i, axis])
    return answer
"""],
    "bounded": ["""
def moving_bounded(places, handles, moved_handles, w, limit):
    answers = []
    for v, row in zip(places.double().numpy(), w.double().numpy()):
        p, q = handles.double().numpy(), moved_handles.double().numpy()
        p0, q0 = row @ p, row @ q
        cosine = (row[:, None] * (p - p0) * (q - q0)).sum()
        sine = (row * ((p - p0)[:, 0] * (q - q0)[:, 1] - (p - p0)[:, 1] * (q - q0)[:, 0])).sum()
        size = (cosine**2 + sine**2) ** 0.5
        grow = min(max(size / (row[:, None] * (p - p0) ** 2).sum(), 1 / limit), limit) / size
        dx, dy = v - p0
        answers.append([grow * (cosine * dx - sine * dy) + q0[0],
                        grow * (sine * dx + cosine * dy) + q0[1]])
    return answers
""", """
def moving_bounded(places, handles, moved_handles, w, limit):
    # the similarity of the library's kind, then as little change of its growth as needed
    p, q, w = handles.double(), moved_handles.double(), w.double()
    a, b = p - (w @ p)[:, None], q - (w @ q)[:, None]
    cross = torch.einsum("nm,nmi,nmj->nij", w, a, b)
    U, S, V = torch.linalg.svd(cross)
    S[:, 1] *= torch.linalg.det(U @ V).sign()
    turn = U @ torch.diag_embed(torch.stack([torch.ones(len(w)), S[:, 1].sign()], 1).double()) @ V
    growth = S.sum(1) / torch.einsum("nm,nmi->n", w, a**2)
    arm = (places - w @ p)[:, None] @ turn * growth.clamp(1 / limit, limit)[:, None, None]
    return arm[:, 0] + w @ q
"""],
    "morph": ["""
def morph(first, second, p, q, t):
    h = p + t * (q - p)
    one, two = (warp_mls(*ends, h, grid_step=None) for ends in ((first, p), (second, q)))
    return torch.lerp(one, two, t)
""", """
def morph(first, second, p, q, t):
    from torch.nn.functional import grid_sample

    height, width = first.shape[1:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=-1).reshape(-1, 2).float()
    answer = 0
    for image, ends, share in ((first, p, 1 - t), (second, q, t)):
        came_from = deform_points(pixels, torch.lerp(p, q, t), ends)
        grid = 2 * came_from / torch.tensor([width - 1, height - 1]) - 1
        answer = answer + share * grid_sample(
            image[None], grid.reshape(1, height, width, 2), align_corners=True,
            padding_mode="border")[0]
    return answer
"""],
    "strain": ["""
def strain(moved):
    dx, dy = moved.diff(dim=1)[:-1].double(), moved.diff(dim=0)[:, :-1].double()
    best = None
    for phi in torch.linspace(0, 2 * torch.pi, 4001, dtype=torch.float64):
        off = (dx[..., 0] - phi.cos()) ** 2 + (dx[..., 1] - phi.sin()) ** 2
        off = off + (dy[..., 0] + phi.sin()) ** 2 + (dy[..., 1] - phi.cos()) ** 2
        best = off if best is None else torch.minimum(best, off)
    return best
""", """
def strain(moved):
    # with complex numbers: the part that turns, less 1, and the part that mirrors
    f = torch.view_as_complex(moved.double().contiguous())
    fx, fy = f.diff(dim=1)[:-1], f.diff(dim=0)[:, :-1]
    turning, mirroring = (fx - 1j * fy) / 2, (fx + 1j * fy) / 2
    return (2 * (turning.abs() - 1) ** 2 + 2 * mirroring.abs() ** 2).numpy()
"""],
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
