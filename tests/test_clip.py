"""CLIPs: the small one's words and judgement, and real ones as open_clip stores them."""

import builtins
import json

import PIL.Image
import pytest
import torch
import torch.nn.functional as F

from course_lib.images import load_image, to_uint8
from course_lib.text import REAL, edit_with_text, load_clip
from course_lib.text.towers import FEATURES, color_histogram, look
from course_lib.text.words import LONGEST, Vocabulary, split_words
from course_lib.weights import import_torchvision
from course_lib.weights.files import ASSETS
from tests.toys import tame


@pytest.fixture(scope="module")
def clip():
    return load_clip("clip-small", device="cpu")


@pytest.fixture
def words():
    return Vocabulary({"others": ["a", "cat"], "colours": ["ginger", "black"]})


def test_sentences_become_numbers_whatever_their_case_and_punctuation(words):
    numbers = words.encode(["A ginger cat!", "cat"])
    assert numbers[0, :4].tolist() == [1, 3, 2, 0]
    assert numbers[1].tolist() == [2] + [0] * (LONGEST - 1)
    assert split_words("A child’s long-sleeved top, 2 of them") == [
        "a", "child's", "long-sleeved", "top", "of", "them"]


@pytest.mark.parametrize("sentence, complaint", [
    ("a velvet cat", r"'velvet' is a word that this model never learnt.*colours: ginger, black"),
    ("a gingr cat", r"did you mean 'ginger'\?"),
    ("a striped gothic cat", "'striped', 'gothic' are words"),
    ("  ", "no word in it"), ("12 %", "no word in it"),
    ("cat " * (LONGEST + 1), f"has {LONGEST + 1} words"),
])
def test_a_sentence_it_cannot_read_is_refused_by_name(words, sentence, complaint):
    with pytest.raises(ValueError, match=complaint):
        words.encode([sentence])


def test_colours_are_counted_by_area_and_linearly():
    red, black = torch.tensor([1.0, 0, 0])[:, None, None], torch.zeros(3, 1, 1)
    halves = torch.cat([red.expand(3, 32, 16), black.expand(3, 32, 16)], dim=2)[None]
    shares = color_histogram(halves).square()
    assert shares.max() == pytest.approx(0.5, abs=1e-3) and (shares > 0.4).sum() == 2
    torch.testing.assert_close(color_histogram(halves), color_histogram(halves.flip(3)))
    between = color_histogram(red.expand(1, 3, 32, 32) * 0.875).square()
    assert sorted(between[0].tolist())[-2:] == pytest.approx([0.5, 0.5], abs=1e-3)


def test_what_is_seen_does_not_depend_on_the_others_of_a_batch(rng):
    images = torch.rand(3, 3, 70, 70, generator=rng)
    together = look(images, 64)
    assert together.shape == (3, FEATURES)
    torch.testing.assert_close(together[1:2], look(images[1:2], 64), atol=1e-3, rtol=1e-3)


def test_the_small_clip_knows_the_cats_of_the_course(clip):
    photos = torch.stack([load_image(name, size=128, device="cpu")
                          for name in ("ginger", "siamese", "tabby")])
    texts = ["a ginger cat", "a siamese cat", "a striped cat"]
    for size in (64, 128):
        seen = clip.embed_images(F.interpolate(photos, (size, size), mode="area"))
        assert (seen @ clip.embed_texts(texts).T).argmax(dim=0).tolist() == [0, 1, 2]
    torch.testing.assert_close(seen.norm(dim=1), torch.ones(3))


def test_probabilities_rise_with_what_is_true(clip):
    ginger = load_image("ginger", size=128, device="cpu")[None]
    cat, coat, other, garment = clip.probability(
        ginger, ["a cat", "a ginger cat", "a black cat", "a dress"])[0].tolist()
    assert cat > 0.5 and coat > other and coat > garment and garment < 0.5


def test_word_order_matters(clip):
    a, b = clip.embed_texts(["a black cat on a bright background",
                             "a light cat on a black background"])
    assert a @ b < 0.9


def test_the_small_clip_is_small_and_says_what_it_does_not_know(clip):
    path = ASSETS / "clip-small.safetensors"
    assert path.stat().st_size < 6e6
    with pytest.raises(ValueError, match=r"'mohawk'.*ginger"):
        clip.embed_texts(["a mohawk hairstyle"])
    measured = json.loads(path.with_suffix(".json").read_text())["measured"]
    assert {"accuracy", "retrieval at 5"} <= measured.keys()


@pytest.mark.parametrize("images", [torch.rand(3, 8, 8), torch.rand(1, 1, 8, 8)])
def test_what_is_no_batch_of_colour_pictures_is_refused(clip, images, as_users_run_it):
    with pytest.raises(ValueError, match="a CLIP looks at"):
        clip.embed_images(images)


# ---- real ones


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random model, saved as open_clip saves its own."""
    import_torchvision()
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    config = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2,
                     "layers": 1},
    }
    model = open_clip.CLIP(**config)
    place = tmp_path_factory.mktemp("tiny-clip")
    settings = {"model_cfg": config, "preprocess_cfg": {
        "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic",
        "resize_mode": "shortest"}}
    (place / "open_clip_config.json").write_text(json.dumps(settings))
    save_file(model.state_dict(), place / "open_clip_model.safetensors")
    return place


def test_a_real_clip_sees_what_open_clip_itself_sees(folder):
    import open_clip

    ours = load_clip(folder, device="cpu")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    photo = load_image("tabby", size=100, device="cpu")
    seen = preprocess(PIL.Image.fromarray(to_uint8(photo)))[None]
    with torch.no_grad():
        theirs = F.normalize(model.eval().encode_image(seen), dim=1)
        texts = F.normalize(model.encode_text(
            open_clip.get_tokenizer(f"local-dir:{folder}")(["a lion", "a church"])), dim=1)
    torch.testing.assert_close(ours.embed_images(photo[None]), theirs, atol=2e-3, rtol=0)
    torch.testing.assert_close(ours.embed_texts(["a lion", "a church"]), texts)


def test_a_real_clip_guides_an_edit(folder, rng):
    generator, clip = tame(rng), load_clip(folder, device="cpu")
    start = generator.sample_latent(1, space="w", rng=rng)
    found = edit_with_text(generator, start, "a gothic church", clip=clip, l2=0, steps=15)
    term = found.energies["TextPrompt 1"][:, 0]
    assert term[-3:].mean() < term[:3].mean()


@pytest.mark.parametrize("name, pretrained, complaint", [
    ("ViT-B-32", None, "random weights.*laion2b"),
    ("ViT-B-32", "my-own", "no weights 'my-own'"),
    ("ViT-Z-99", "openai", "no CLIP named 'ViT-Z-99'.*clip-small"),
])
def test_a_model_without_weights_is_refused(name, pretrained, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_clip(name, pretrained=pretrained)


def test_the_registry_names_what_open_clip_has():
    import_torchvision()
    open_clip = pytest.importorskip("open_clip")
    assert {(one.name, one.pretrained) for one in REAL} <= set(open_clip.list_pretrained())


def test_offline_a_real_clip_says_how_large_it_is_and_what_else_there_is(monkeypatch):
    import_torchvision()
    open_clip = pytest.importorskip("open_clip")

    def fail(*_, **__):
        raise OSError("no route to host\nand so on")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", fail)
    with pytest.raises(ConnectionError, match=r"605 MB.*no route to host\).*clip-small"):
        load_clip("ViT-B-32", pretrained="openai")


def test_without_open_clip_the_package_is_named(monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "open_clip":
            raise ModuleNotFoundError("No module named 'open_clip'")
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="pip install open_clip_torch"):
        load_clip("ViT-B-32", pretrained="openai")
