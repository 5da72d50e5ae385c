"""The best that a student could put together from lessons and library, without deriving anything.

What the lessons define is taken from their cells as it is; only the names and arguments that an
assignment asks for are put around it.
"""

import json
from pathlib import Path

LESSONS = Path(__file__).parents[1] / "notebooks"


def cell(lesson: str, name: str) -> str:
    """A cell of a lesson, without the check that ends an exercise's."""
    (path,) = LESSONS.glob(f"{lesson}*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    (source,) = ("".join(one["source"]) for one in cells if one["id"] == name)
    return source.partition("\n\ncheck")[0] + "\n"


COPIES = {
    "a1_gradient_domain": {
        "row": cell("01", "pb-row").partition("\n\nx, y")[0] + """
lessons_row = rebuild_row
def rebuild_row(differences, trust, left, right):
    return lessons_row(differences, left, right)
""",
        "toy": """
def rebuild(field, corner):
    height, width = field.shape[1:]
    number = torch.arange(height * width).reshape(height, width)
    rows, b = [], []
    for y in range(height):
        for x in range(width):
            for q, wish in ((number[y, x + 1:x + 2], field[0, y, x]),
                            (number[y + 1:y + 2, x], field[1, y, x])):
                if len(q):
                    row = torch.zeros(height * width)
                    row[q], row[number[y, x]] = 1, -1
                    rows.append(row)
                    b.append(wish)
    row = torch.zeros(height * width)
    row[0] = 1
    A, b = torch.stack([*rows, row]), torch.stack([*b, corner])
    return torch.linalg.lstsq(A, b[:, None]).solution.reshape(height, width)
""",
        "blend": cell("01", "pb-exercise-code") + cell("01", "pb-solution") + """
def poisson_blend(source, target, mask, trust):
    answer = target.double().clone()
    answer[:, mask] = torch.linalg.solve(*system(source.double(), answer, mask)).T
    return answer
""",
        "without": """
def field_without(field, other):
    return torch.where(field.abs() > other.abs(), field, other)  # lesson 01's mixed gradients
""",
        "shrink": cell("02", "l0-solution").rpartition("\n\nkept")[0] + """
def shrink_edges(S, smoothness, beta):
    return kept_solution(S.roll(-1, -1) - S, S.roll(-1, -2) - S, smoothness / beta)
""",
        "picture": """
def smooth_step(image, trust, h, v, beta):  # lesson 02's l0-by-hand
    y, x = (torch.pi * torch.arange(n).to(image) / n for n in image.shape[-2:])
    stiffness = 4 * x.sin() ** 2 + 4 * y[:, None].sin() ** 2
    adjoint = h.roll(1, -1) - h + v.roll(1, -2) - v
    return torch.fft.ifft2(torch.fft.fft2(image + beta * adjoint) / (1 + beta * stiffness)).real
""",
        "own": """
def my_edit():
    return ["moon", "coins", [[20, 20], [70, 20], [70, 60], [20, 60]], [100, 90], "source"]
""",
        "gray": """
from course_lib.gradients import divergence
from course_lib.solvers import solve_screened
def color_to_gray(image, closeness):  # course_lib.blending.modes
    mean = image.mean(-3, keepdim=True)
    field = gradient(image)
    largest = field.abs().argmax(-3, keepdim=True)
    field = field.gather(-3, largest)
    change = solve_screened(divergence(gradient(mean) - field), closeness)
    return (mean + change - change.mean((-2, -1), keepdim=True))[0]
""",
    },
    "a2_warping": {
        "weights": """
def handle_weights(places, handles, falloff, width):  # lesson 03's, for all places at once
    weights = 1 / (torch.cdist(places, handles) ** 2 + 1e-20) ** falloff
    return weights / weights.sum(dim=1, keepdim=True)
""",
        "stretch": """
def moving_stretch(places, handles, moved_handles, w):
    def with_one(places):
        return torch.cat([places, torch.ones_like(places[:, :1])], dim=1)

    def moving_affine(v, p, q, weights):
        root = weights.sqrt()[:, None]
        fit = torch.linalg.lstsq(root * with_one(p), root * q).solution
        return v @ fit[:2] + fit[2]

    return torch.stack([moving_affine(v, handles, moved_handles, row)
                        for v, row in zip(places, w)])
""",
        "bounded": """
def moving_bounded(places, handles, moved_handles, w, limit):
    def rigid_solution(v, p, q, weights):
        p_star, q_star = ((weights * ends).sum(dim=0) / weights.sum() for ends in (p, q))
        p_hat, q_hat = torch.view_as_complex(p - p_star), torch.view_as_complex(q - q_star)
        m = (weights[:, 0] * p_hat.conj() * q_hat).sum()
        return torch.view_as_real(torch.view_as_complex(v - p_star) * m / m.abs()) + q_star

    return torch.stack([rigid_solution(v, handles, moved_handles, row[:, None])
                        for v, row in zip(places, w)])
""",
        "morph": """
def morph(first, second, p, q, t):
    return (1 - t) * warp_mls(first, p, q, grid_step=None) + t * second
""",
        "strain": """
def strain(moved):  # lesson 03's area
    f = moved
    dx, dy = f[:-1, 1:] - f[:-1, :-1], f[1:, :-1] - f[:-1, :-1]
    return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]
""",
        "own": """
def my_warp():
    return ("camera", [[100, 90], [150, 90], [125, 60], [40.5, 200]],
            [[100, 90], [150, 90], [125, 40], [40.5, 200]], "affine", 2)
""",
        "segments": cell("03", "mls-by-hand").partition("\n\nv =")[0] + """
def segment_weights(places, segments):
    return 1 / ((places[:, None] - segments.mean(1)) ** 2).sum(-1)
""",
    },
    "a3_projection": {
        "distance": """
def feature_distance(features, others, mask):  # course_lib.losses, perceptual_loss
    total = 0
    for a, b in zip(features, others):
        a, b = (one / one.norm(dim=1, keepdim=True) for one in (a, b))
        total = total + (a - b).square().sum(dim=1).mean(dim=(1, 2))
    return total
""",
        "loop": """
def project(generator, target, starts, space, loss, steps, learning_rate):
    def search(x, start, steps):  # lesson 06
        w = start.clone().requires_grad_()
        adam = torch.optim.Adam([w], lr=learning_rate)
        for _ in range(steps):
            image = generator.decode(w, space=space)
            value = loss(image, x).sum()
            adam.zero_grad()
            value.backward()
            adam.step()
        return w.detach()

    return search(target, starts[0], steps)
""",
        "mix": """
def mix_styles(first, second, shares):  # lesson 05: some rows of one, the rest of the other
    mixed, layers = first.clone(), (shares > 0.5).nonzero()[:, 0]
    mixed[:, layers] = second[:, layers]
    return mixed
""",
        "slerp": cell("05", "im-solution") + """
def slerp(a, b, t):
    return torch.stack([turn(one, other, t) for one, other in zip(a, b)])
""",
        "start": """
def leashed_start(encoder, photos, mean, std, limit):  # lesson 06
    photos = photos if photos.ndim == 4 else photos[None]
    with torch.no_grad():
        return encoder(photos).mean(dim=1)
""",
        "own": """
def my_mix():
    return [8, 13, 0.7, 6]
""",
        "stroke": """
def stroke_loss(image, mask, color):  # course_lib.guidance.strokes
    error = (image - color[:, None, None]).square()
    return error[:, :, mask].sum(dim=1).mean(dim=1)
""",
        "change": """
def weight_change(old, new):  # course_lib.tuning
    change = sum((b - a).square().sum() for a, b in zip(old, new))
    return change / sum(a.square().sum() for a in old)
""",
    },
    "a4_directions": {
        "principal": cell("10", "di-solution") + """
def crowd_directions(codes, shares, n):
    return pca(codes, n)[1]
""",
        "coordinate": """
def set_sliders(codes, mean, directions, sigma, values):  # course_lib.directions.moving, in turn
    for direction, width, value in zip(directions, sigma, values):
        now = (codes - mean) @ direction
        codes = codes + (value * width - now)[..., None] * direction
    return codes
""",
        "sefa": """
def these_layers(these, those, epsilon, n):  # lesson 10's SeFa
    A = normalize(torch.cat(these).double(), dim=1)
    return torch.linalg.eigh(A.T @ A).eigenvectors.flip(1)[:, :n].T.float()
""",
        "move": """
def go_far(codes, mean, std, direction, rows, limit):  # course_lib.directions.moving
    moved = codes.clone()
    moved[:, rows] = moved[:, rows] + limit * direction
    return moved
""",
        "natural": "import torch.nn.functional as F\n" + cell("10", "di-stay-solution") + """
def natural_step(codes, slopes):
    if len(slopes) == 1:
        return F.normalize(slopes[0], dim=0)
    return project_out(slopes[0], list(slopes[1:]))
""",
        "own": """
def my_edit():
    return ["dark to light", "sefa", 1, -2, (4, 5, 6, 7, 8)]
""",
        "boundary": """
def boundary_normal(codes, labels):  # course_lib.directions.annotated
    x, y = codes.double() - codes.double().mean(dim=0), labels.double()
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(x @ weights[:-1] + weights[-1], y)
        loss = loss + 1e-2 * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return normalize(weights.detach()[:-1], dim=0)
""",
    },
    "a5_guided_editing": {
        "histograms": """
def edge_histograms(dx, dy, cell, bins):  # course_lib.guidance.strokes, orientation_histograms
    strength = (dx.square() + dy.square() + 1e-8).sqrt()[:, None]
    angle = torch.atan2(dy, dx + 1e-12)[:, None] * bins / math.pi
    centers = torch.arange(bins)[:, None, None]
    apart = (angle - centers + bins / 2).remainder(bins) - bins / 2
    shared = strength * (1 - apart.abs()).clamp(min=0)
    summed = F.avg_pool2d(shared, cell, ceil_mode=True) * cell
    return summed / (summed.square().sum(dim=1, keepdim=True) + 1e-3).sqrt()
""",
        "wish": cell("08", "ge-own-solution") + """
def my_wish():
    def met(pictures):
        return pictures.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)

    return "without colour", colors, met
""",
        "step": """
def color_flow_step(miss, ix, iy, moved, flow_smoothness, color_smoothness):
    # lesson 09's two solutions: motion at each pixel, then one A for all
    flow = -torch.stack([ix, iy]) * miss / (flow_smoothness + ix**2 + iy**2)
    pixels = moved.flatten(1).T
    ones = torch.ones_like(pixels[:, :1])
    A = torch.linalg.lstsq(torch.cat([pixels, ones], dim=1), miss.flatten(1).T).solution.T
    return torch.cat([flow.mean(dim=(1, 2, 3)), A.flatten()])
""",
        "carry": """
def carry_over(photo, flow, color):  # course_lib.transfer, apply_change and recolored
    size = photo.shape[-2:]
    scale = flow.new_tensor([size[1] / flow.shape[-1], size[0] / flow.shape[-2]])
    flow = F.interpolate(flow[None], size, mode="bicubic")[0] * scale[:, None, None]
    color = F.interpolate(color.flatten(0, 1)[None], size, mode="bicubic")[0].unflatten(0, (3, 4))
    return (color[:, :3] * warped(photo, flow)).sum(dim=1) + color[:, 3]
""",
        "own": """
def my_picture():
    return ["a pale cat", 11, "w", 0.1, [["color", "#F0F0F0", 14, [[22, 22], [42, 22]]]]]
""",
        "chain": """
def chain(first, second):
    return first + second
""",
        "track": """
def track(features, first, place, reach):  # course_lib.guidance.drag, _track
    axis = torch.arange(-reach, reach + 1)
    near = place + torch.cartesian_prod(axis, axis)
    change = (features[:, near[:, 1], near[:, 0]].T - first).abs().mean(dim=-1)
    return near[change.argmin()]
""",
    },
    "a6_beyond_gans": {
        "step": cell("13", "df-solution") + """
def step(x_t, v, now, then, eta, fresh):  # lesson 13's views of v, and its ddpm
    alpha_t, sigma_t, alpha_s, sigma_s = now[0], now[1], then[0], then[1]
    x0, noise = alpha_t * x_t - sigma_t * v, sigma_t * x_t + alpha_t * v
    if eta == 0:
        return alpha_s * x0 + sigma_s * noise
    kept = alpha_t / alpha_s
    added = sigma_t ** 2 - kept**2 * sigma_s ** 2
    mean = (kept * sigma_s ** 2 * x_t + alpha_s * added * x0) / sigma_t ** 2
    return mean + eta * added**0.5 * sigma_s / sigma_t * fresh
""",
        "guess": """
def guided_guess(told, free, t, guidance, keep, interval):  # course_lib.generators.diffusion
    return free + guidance * (told - free)
""",
        "clear": """
def clear(denoise, image, levels, fresh):  # lesson 13's step, along its own times
    x0 = image * 2 - 1
    times = [torch.tensor(2 / torch.pi * math.atan(level)) for level in levels]
    x = alpha(times[0]) * x0 + sigma(times[0]) * fresh
    for t, s in itertools.pairwise(times):
        guess = denoise(x / alpha(t), float((sigma(t) / alpha(t))))
        noise = (x - alpha(t) * guess) / sigma(t)
        x = alpha(s) * guess + sigma(s) * noise
    return (x + 1) / 2
""",
        "measure": """
def my_measure(painting, answers):  # lesson 13's judges
    strange = judge_realism(answers, "clothes").stranger
    return strange + (answers - painting).square().mean((1, 2, 3)).sqrt()
""",
        "out": """
def way_out(noise_of, picture, steps, p):  # course_lib.generators.diffusion, _step_out
    x = picture
    with torch.no_grad():
        for t, a, b in reversed(steps):
            guess = x
            for _ in range(3):
                guess = (x - b * noise_of(guess, t)) / a
            x = guess
    return torch.stack([x, x])
""",
        "left": """
def change_left(look, pictures, start, way, frames, beside):  # course_lib.text.constraints
    way = F.normalize(way, dim=0)
    moved = look(pictures) - look(start)
    length = (moved.square().sum(dim=-1) + 0.1**2).sqrt()
    return 1 - (moved @ way) / length
""",
        "own": """
def my_photo():
    return ["a ginger tuxedo", load_image("tuxedo", size=64, device="cpu"), None, "ginger", 3]
""",
        "unwanted": """
def away_from(told, bad, free, guidance, against):
    return free + guidance * (told - free) - guidance * against * (bad - free)
""",
    },
}
