"""GANSpace's principal components beside scikit-learn's; and what each method changes besides."""

from collections.abc import Iterator

import torch
from sklearn.decomposition import IncrementalPCA

from course_lib.classifiers import load_classifier
from course_lib.directions import (
    Direction,
    annotated_by_score,
    ganspace,
    principal_components,
    sefa,
    with_spread,
)
from course_lib.directions.effects import effect_table, side_effects
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
    generator = load_generator("cats", device=device)

    def million() -> object:
        rng = torch.Generator(device).manual_seed(0)
        return ganspace(generator, n_samples=1_000_000, n_components=80, rng=rng)

    (seconds,) = median_seconds(million, rounds=1, warm_ups=0)
    yield "GANSpace with sampling", "1,000,000 w", seconds, None, None, None


ASKED = {  # attributes, each with those that go along in the samples and should stay
    "cats": {"light coat": ("white muzzle",), "ginger coat": ("light coat",),
             "bright background": ("light coat",)},
}


def notes(device: torch.device | str) -> Iterator[str]:
    """What else changes when an attribute changes by one deviation, in deviations.

    Labels from the attribute classifier on 1,500 samples; of GANSpace and SeFa the direction, out
    of ten, that changes the attribute most; measured on 32 other samples.
    """
    yield "side effects of one deviation: mean of the other attributes (the largest)"
    for name, asked in ASKED.items():
        generator = load_generator(name, device=device)
        classifier, rng = load_classifier(generator), torch.Generator().manual_seed(0)
        w = generator.sample_latent(1500, space="w", rng=rng)
        with torch.no_grad():
            scores = torch.cat([classifier(generator.decode(part, space="w").clamp(0, 1))
                                for part in w.split(50)])
        chosen, fresh = (generator.sample_latent(n, space="w", rng=rng, truncation_psi=0.8)
                         for n in (24, 32))
        unnamed = {
            "GANSpace": ganspace(generator, n_samples=100_000, n_components=10, rng=rng),
            "SeFa": with_spread(sefa(generator, n_components=10), w),
        }
        effects = {method: effect_table(generator, chosen, found, classifier, space="w").abs()
                   for method, found in unnamed.items()}
        for attribute, stays in asked.items():
            def labelled(attribute: str, w=w, scores=scores, number=classifier.number,
                         **options: object) -> Direction:
                found = annotated_by_score(w, scores[:, number(attribute)], **options)
                return found.components[0]

            ways = {"annotated": labelled(attribute), f"annotated, {stays[0]} stays": labelled(
                attribute, condition_on=[labelled(stay) for stay in stays])}
            for method, found in unnamed.items():
                index = int(effects[method][:, classifier.number(attribute)].argmax())
                ways[f"{method} {index}"] = found.components[index]
            for way, direction in ways.items():
                found = side_effects(generator, fresh, direction, classifier, attribute, space="w")
                cost = f"{found.mean:.2f} ({found.largest} {found.others[found.largest]:+.2f})"
                never = "never reached" if found.strength == float("inf") else cost
                yield f"  {name:6} {attribute:18} {way:32} {never}"
