"""Directions from labels: across the boundary between codes with an attribute and codes without."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from course_lib.checks import require_finite, require_number
from course_lib.directions.moving import Direction, Directions, Numbers, with_spread


def annotated(
    latents: Float[Tensor, "codes dim"],
    labels: Numbers,
    *,
    space: str = "w",
    condition_on: Sequence[Direction] = (),
    penalty: float = 1e-2,
) -> Directions:
    """The direction across which a label changes: the normal of a linear classifier.

    Logistic regression on standardised codes. Conditional: n − Σ (n·c) c takes out what should
    stay, the directions `condition_on` (made orthogonal first).

    Source: Shen et al., "Interpreting the Latent Space of GANs" (InterFaceGAN), CVPR 2020,
    section 3; their SVM is a logistic regression here.

    Args:
        latents: codes, of which arrays and other precisions are converted to float32.
        labels: True (or 1) where the picture of the code has the attribute, False (or 0) else.
        penalty: weight of the squared weights, against overfitting few labels.
    Raises:
        ValueError: labels are no answers of yes and no to these codes, or fewer than two of
            either; codes are no numbers; nothing is left of the direction once what should stay is
            taken out.
    """
    latents = _codes(latents)
    labels = _answers(latents, torch.as_tensor(labels, device=latents.device))
    require_number(penalty, "penalty", least=0)
    mean, std = latents.mean(dim=0), latents.std(dim=0).clamp(min=1e-8)
    x, y = (latents - mean) / std, labels.to(latents)
    tested = torch.arange(len(x), device=x.device) % 5 == 4
    trained = _logistic(x[~tested], y[~tested], penalty)
    found = (x[tested] @ trained[:-1] + trained[-1] > 0) == labels[tested]
    normal = F.normalize(_logistic(x, y, penalty)[:-1] / std, dim=0)
    if len(condition_on):
        kept = [torch.as_tensor(one).to(latents) for one in condition_on]
        basis = torch.linalg.qr(torch.stack(kept, dim=1)).Q
        normal = normal - basis @ (basis.T @ normal)
        if normal.norm() < 1e-4:
            raise ValueError(
                "the direction lies among those of condition_on, so nothing is left of it once "
                "they are taken out: leave out the one that means the same."
            )
        normal = F.normalize(normal, dim=0)
    spread = ((latents - mean) @ normal).std()
    return Directions(normal[None], spread[None], mean, space,
                      accuracy=float(found.float().mean()))


def annotated_by_score(
    latents: Float[Tensor, "codes dim"],
    scores: Numbers,
    *,
    share: float = 0.1,
    space: str = "w",
    condition_on: Sequence[Direction] = (),
    penalty: float = 1e-2,
) -> Directions:
    """As `annotated`, from a pretrained classifier's scores: its surest yes and its surest no.

    The codes between, of which it is not sure, teach nothing.

    Source: Shen et al., InterFaceGAN, section 4.1, where the share is 0.02 of 500,000.

    Args:
        scores: of the codes' pictures, the larger the more they have the attribute.
        share: of the codes that become yes, and as many no.
    Raises:
        ValueError: there is not one finite score for each code, or as in `annotated`.
    """
    require_number(share, "share", above=0, most=0.5)
    latents = _codes(latents)
    scores = torch.as_tensor(scores, device=latents.device).float()
    require_finite(scores, "scores")
    if scores.shape != latents.shape[:1]:
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}, but there are {len(latents)} codes, each "
            f"with one of its own: pass the scores of all of them, in their order."
        )
    count = max(2, round(share * len(scores)))
    order = scores.argsort()
    chosen = torch.cat([order[:count], order[-count:]]).sort().values
    labels = scores[chosen] >= scores[order[-count]]
    found = annotated(latents[chosen], labels, space=space, condition_on=condition_on,
                      penalty=penalty)
    return with_spread(found, latents)


def _codes(latents: object) -> Tensor:
    """Codes as finite float32 numbers."""
    latents = torch.as_tensor(latents)
    latents = latents.float() if latents.is_floating_point() else latents
    require_finite(latents, "latents")
    return latents


def _answers(latents: Tensor, labels: Tensor) -> Tensor:
    """The labels as booleans, one a code."""
    if latents.ndim != 2 or labels.shape != latents.shape[:1]:
        raise ValueError(
            f"latents have shape {tuple(latents.shape)} and labels {tuple(labels.shape)}, but one "
            f"label is needed for each code (codes, dim): sample in z or w, and label each."
        )
    if labels.dtype != torch.bool and not bool(((labels == 0) | (labels == 1)).all()):
        raise ValueError(
            f"labels hold {labels.unique()[:5].tolist()}, but a boundary divides yes from no: "
            f"pass True and False (or 1 and 0), for instance scores > 0."
        )
    labels = labels.bool()
    if min(int(labels.sum()), int((~labels).sum())) < 2:
        raise ValueError(
            f"{int(labels.sum())} of {len(labels)} codes carry the label, so there is no boundary "
            f"to find: label at least two of each kind."
        )
    return labels


def _logistic(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Weights and, last, the bias of a regularised logistic regression, by L-BFGS."""
    x, y = x.detach().double(), y.double()
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, device=x.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = x @ weights[:-1] + weights[-1]
        loss = F.binary_cross_entropy_with_logits(logits, y)
        loss = loss + penalty * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach().float()
