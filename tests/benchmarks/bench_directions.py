"""GANSpace's principal components beside scikit-learn's, on the same stored samples."""

from collections.abc import Iterator

import torch
from sklearn.decomposition import IncrementalPCA

from course_lib.directions import ganspace, principal_components
from course_lib.generators import load_generator
from tests.benchmarks.timing import median_seconds, peak_megabytes

Row = tuple[str, str, float, str | None, float | None, float | None]


def rows(device: torch.device | str) -> Iterator[Row]:
    """The components alone, of 128 and 512 numbers; then a million w with their sampling."""
    for dim in (128, 512):
        rng = torch.Generator().manual_seed(0)
        samples = torch.randn(50_000, dim, generator=rng) @ torch.randn(dim, dim, generator=rng)
        stored, array = samples.to(device).split(5_000), samples.numpy()
        ours, theirs = median_seconds(
            lambda stored=stored: principal_components(stored, 80),
            lambda array=array: IncrementalPCA(80, batch_size=5_000).fit(array),
            rounds=3,
        )
        memory = peak_megabytes(lambda stored=stored: principal_components(stored, 80), device)
        yield ("components of 50,000", f"{dim} numbers", ours, "sklearn IncrementalPCA", theirs,
               memory)
    generator = load_generator("shoes", device=device)

    def million() -> object:
        rng = torch.Generator(device).manual_seed(0)
        return ganspace(generator, n_samples=1_000_000, n_components=80, rng=rng)

    (seconds,) = median_seconds(million, rounds=1, warm_ups=0)
    yield "GANSpace with sampling", "1,000,000 w", seconds, None, None, None
