"""SeFa: directions in closed form, from the generator's weights alone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from course_lib.checks import require_count
from course_lib.directions.moments import fix_signs
from course_lib.directions.moving import Directions
from course_lib.generators.base import Generator


def sefa(
    generator: Generator, *, layers: Sequence[str] | None = None, n_components: int = 10
) -> Directions:
    """Directions that change the chosen layers' first step most, from the weights alone.

    argmax ‖A d‖² over unit d, A the rows by which those layers read the code, each of unit
    length: the leading eigenvectors of AᵀA.

    Source: Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021,
    eq. 4 to 6; unit rows as in the authors' experiments.

    Args:
        layers: of the generator; all its convolutions if None. (The authors' "all" is StyleGAN2's
            convolutions and the last toRGB, which decides colours only.)
    Returns:
        Directions in w (in z for families without w), descending, with no `stdev` (see
        `with_spread`); `explained_variance_ratio` is each eigenvalue's share.
    """
    rows, space = generator.reading_weights(layers)
    require_count(n_components, "n_components", most=rows.shape[1])
    rows = F.normalize(rows.detach().double(), dim=1)
    values, vectors = torch.linalg.eigh(rows.T @ rows)
    components = fix_signs(vectors.T.flip(0)[:n_components]).float()
    share = (values.flip(0)[:n_components] / values.sum()).float()
    mean = generator.latent_mean(space).detach()
    return Directions(components, None, mean, space, share)
