"""VQ-VAE-2: its vocabularies, its two maps, its prior."""

import math
from dataclasses import asdict

import pytest
import torch

from course_lib.generators import load_generator
from course_lib.generators.vqvae import VQVAE, VQVAEConfig
from course_lib.generators.vqvae_layers import Codebook
from course_lib.generators.vqvae_prior import Prior, PriorConfig, probabilities
from course_lib.losses import pixel_loss
from course_lib.projection import project
from course_lib.weights import StoredWeights, save_weights

CONFIG = VQVAEConfig(16, 8, 4, 1, 8, 4, 16, 1)


def random_vqvae(*, with_prior: bool = True, seed: int = 0) -> VQVAE:
    torch.manual_seed(seed)
    model = VQVAE(CONFIG, with_prior=with_prior)
    for codebook in model.codebooks.values():
        codebook.vectors.mul_(0.3)  # about as far apart as the encoder's vectors
    for layer in (model.join[0], model.grow[0], model.rgb):  # pictures that differ
        layer.weight.data.mul_(4)
    return model.eval().requires_grad_(False)


# ---- vocabularies

def test_a_step_of_the_vocabulary_is_the_peers(rng):
    peer_module = pytest.importorskip("vector_quantize_pytorch", reason="the peer is not installed")
    torch.manual_seed(0)
    own = Codebook(16, 4).train()
    own.fewest = 0.0  # nobody begins anew
    peer = peer_module.VectorQuantize(
        dim=4, codebook_size=16, decay=0.99, eps=1e-5, threshold_ema_dead_code=0,
        rotation_trick=False, accept_image_fmap=True).train()
    inner = peer._codebook
    inner.embed.data.copy_(own.vectors[None])
    inner.embed_avg.data.copy_(own.sums[None])
    for _ in range(3):
        x = torch.randn(2, 4, 8, 8, generator=rng)
        found, words = own(x)
        expected, indices, _ = peer(x)
        assert torch.equal(words, indices)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(own.vectors, inner.embed[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(own.counts, inner.cluster_size[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(own.sums, inner.embed_avg[0], atol=1e-6, rtol=0)


def test_vectors_give_way_to_the_nearest_word(rng):
    codebook = Codebook(5, 3).eval()
    x = torch.randn(2, 3, 4, 4, generator=rng)
    found, words = codebook(x)
    distances = torch.cdist(x.movedim(1, -1).reshape(-1, 3), codebook.vectors)
    assert torch.equal(words.flatten(), distances.argmin(dim=1))
    torch.testing.assert_close(found, codebook.vectors[words].movedim(-1, 1))


def test_slopes_pass_as_if_nothing_had_been_there(rng):
    x = torch.randn(1, 3, 4, 4, generator=rng, requires_grad=True)
    weight = torch.randn(1, 3, 4, 4, generator=rng)
    (Codebook(5, 3).eval()(x)[0] * weight).sum().backward()
    assert torch.equal(x.grad, weight)


def test_words_come_to_the_middle_of_what_chooses_them_and_idle_ones_begin_anew(rng):
    torch.manual_seed(0)
    codebook = Codebook(4, 2).train()
    centres = torch.tensor([[-3.0, 0], [3, 0], [0, 3], [0, -3]])
    codebook.vectors.copy_(100 + torch.arange(8.0).reshape(4, 2))  # far from all of them
    for _ in range(800):
        chosen = torch.randint(4, (64,), generator=rng)
        x = centres[chosen] + 0.1 * torch.randn(64, 2, generator=rng)
        codebook(x.T.reshape(1, 2, 8, 8))
    x = centres[torch.arange(400) % 4] + 0.1 * torch.randn(400, 2, generator=rng)
    words = codebook.eval()(x.T.reshape(1, 2, 20, 20))[1].flatten()
    for word, vector in enumerate(codebook.vectors):
        torch.testing.assert_close(x[words == word].mean(dim=0), vector, atol=0.1, rtol=0)


def test_nothing_is_learnt_outside_of_training(rng):
    codebook = Codebook(4, 2).eval()
    before = codebook.vectors.clone()
    codebook(torch.randn(1, 2, 8, 8, generator=rng))
    assert torch.equal(codebook.vectors, before)


# ---- two maps

def test_codes_are_the_encoders_vectors_of_both_maps(rng):
    model, images = random_vqvae(), torch.rand(3, 3, 16, 16, generator=rng)
    codes = model.invert(images)
    assert codes.shape == (3, (4 + 16) * 4) == (3, *model.latent_shape("codes"))
    rebuilt, levels = model(images)
    torch.testing.assert_close(model.decode(codes, space="codes"), rebuilt)
    for (vectors, words), part in zip(levels, model.split(codes).values(), strict=True):
        assert torch.equal(part, vectors) and not torch.allclose(vectors, words)
    words = model.words(codes)
    assert words["top"].shape == (3, 2, 2) and words["bottom"].shape == (3, 4, 4)


def test_codes_near_the_same_words_have_the_same_picture(rng):
    model = random_vqvae()
    codes = model.convert(model.sample_latent(2, rng=rng), "z", "codes")
    near = codes + 1e-4 * torch.randn(codes.shape, generator=rng)
    assert torch.equal(model.words(near)["top"], model.words(codes)["top"])
    torch.testing.assert_close(model.decode(near, space="codes"),
                               model.decode(codes, space="codes"))


def test_a_search_in_codes_comes_closer(rng):
    model = random_vqvae()
    target = model.decode(model.sample_latent(1, space="codes", rng=rng), space="codes")
    found = project(model, target, loss=pixel_loss, steps=80)
    assert found.space == "codes" and found.losses[-1] < 0.5 * found.losses[0]


def test_the_space_of_codes_is_what_training_met():
    model = random_vqvae(with_prior=False)
    model.code_mean.fill_(2.0), model.code_std.fill_(3.0)
    space = model.space("codes")
    assert torch.equal(space.mean, model.code_mean) and torch.equal(space.std, model.code_std)


# ---- the prior

def test_words_drawn_lead_back_to_numbers_that_draw_them(rng):
    model = random_vqvae()
    z = model.sample_latent(6, rng=rng)
    codes = model.convert(z, "z", "codes")
    again = model.prior.locate(model.spelled(codes), model.order())
    torch.testing.assert_close(model.convert(again, "z", "codes"), codes)
    images = torch.rand(3, 3, 16, 16, generator=rng)
    torch.testing.assert_close(model.decode(model.invert(images, space="z"), space="z"),
                               model.decode(model.invert(images), space="codes"))


def test_words_are_drawn_as_often_as_the_prior_says(rng):
    torch.manual_seed(0)
    prior = Prior(PriorConfig(1, 1, 5, width=8, depth=1, heads=2)).eval().requires_grad_(False)
    for parameter in prior.parameters():
        parameter.normal_(0, 0.7)
    order = torch.stack([torch.randperm(5, generator=rng) for _ in range(2)])
    words = prior.draw(torch.randn(20_000, 2, generator=rng), order)
    first = probabilities(prior(words[:1]))[0, 0]
    counts = torch.bincount(words[:, 0], minlength=5) / len(words)
    torch.testing.assert_close(counts, first, atol=0.02, rtol=0)
    likeliest = int(first.argmax())
    chosen = words[words[:, 0] == likeliest]
    second = probabilities(prior(chosen[:1]))[0, 1]
    counts = torch.bincount(chosen[:, 1], minlength=5) / len(chosen)
    torch.testing.assert_close(counts, second, atol=0.03, rtol=0)


def test_the_prior_sees_only_what_came_before(rng):
    model = random_vqvae()
    words = torch.randint(8, (1, 20), generator=rng)
    base = model.prior(words)
    for place in (0, 3, 4, 19):
        other = words.clone()
        other[:, place] = (other[:, place] + 1) % 8
        changed = (model.prior(other) - base).abs().amax(dim=(0, 2)) > 1e-6
        assert not changed[: place + 1].any() and (place == 19 or changed[place + 1 :].any())


def test_one_place_after_another_is_all_at_once(rng):
    model = random_vqvae()
    words = model.prior.draw(torch.randn(2, 20, generator=rng), model.order())
    model.prior.draw(torch.randn(2, 20, generator=rng), model.order())
    pasts = [[] for _ in model.prior.blocks]
    x = model.prior.before(torch.nn.functional.pad(
        model.prior._numbered(words)[:, :-1], (1, 0), value=16))
    x = x + model.prior.place + model.prior._seen_above(words)
    steps = []
    for place in range(20):
        one = x[:, place, None]
        for block, past in zip(model.prior.blocks, pasts, strict=True):
            one = block(one, past)
        steps.append(model.prior.head(model.prior.norm(one)))
    torch.testing.assert_close(torch.cat(steps, dim=1), model.prior(words), atol=1e-5, rtol=1e-4)


def test_psi_0_draws_the_middle_words_and_1_all_sorts(rng):
    model = random_vqvae()
    plain = model.sample_latent(4, space="codes", rng=rng, truncation_psi=0)
    assert torch.equal(plain[0], plain[3])
    assert len(model.sample_latent(4, space="codes", rng=rng).unique(dim=0)) == 4


# ---- files and errors

def test_a_file_brings_back_what_was_stored(tmp_path, rng):
    model = random_vqvae()
    config = asdict(CONFIG)
    tensors = {f"G_ema.{key}": value for key, value in model.state_dict().items()}
    path = tmp_path / "some-vqvae.safetensors"
    save_weights(path, tensors, settings={"config": config}, half=False)
    again = load_generator(path, device="cpu")
    z = model.sample_latent(1, rng=rng)
    assert isinstance(again, VQVAE) and torch.equal(again.decode(z), model.decode(z))
    part = {key: value for key, value in tensors.items() if "codebooks.top" not in key}
    with pytest.raises(ValueError, match=r"lacks 3 weights \(codebooks.top.counts first\)"):
        VQVAE.from_weights(StoredWeights(part, {"config": config}), "some")


def test_without_a_prior_pictures_are_rebuilt_and_none_is_drawn(rng):
    model, images = random_vqvae(with_prior=False), torch.rand(1, 3, 16, 16, generator=rng)
    assert model.decode(model.invert(images), space="codes").shape == images.shape
    z = torch.randn(1, 20, generator=rng)
    for call in (lambda: model.sample_latent(1, space="codes", rng=rng), lambda: model.decode(z),
                 lambda: model.invert(images, space="z")):
        with pytest.raises(ValueError, match=r"came without its prior.*take codes of pictures"):
            call()


def test_a_search_in_z_is_refused_in_a_sentence(rng):
    model, image = random_vqvae(), torch.rand(1, 3, 16, 16, generator=rng)
    with pytest.raises(ValueError, match=r"no slope leads back to z.*space=\"codes\""):
        project(model, image, space="z", loss=pixel_loss, steps=2)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("images, fault", [
    (torch.zeros(1, 3, 8, 8), r"vqvae reads \(batch, 3, 16, 16\)"),
    (torch.full((1, 3, 16, 16), 100.0), r"divide by 255"),
    (torch.full((1, 3, 16, 16), math.nan), r"NaN"),
])
def test_pictures_that_it_cannot_read_are_refused(images, fault):
    with pytest.raises(ValueError, match=fault):
        random_vqvae().invert(images)
