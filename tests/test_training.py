"""How the shipped weights are made: the parts of training, its growth, and that it resumes."""

import json
import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch

from course_lib.generators import Card, load_generator
from course_lib.generators.stylegan2_networks import smooth, upsample
from course_lib.images import load_image
from course_lib.training.augment import recolor, translate
from course_lib.training.data import downsample, draw_batch, read_pictures
from course_lib.training.export import export, round_weights
from course_lib.training.export import main as export_main
from course_lib.training.loop import train
from course_lib.training.measuring import nearest
from course_lib.training.objective import (
    PathLength,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    update_ema,
)
from course_lib.training.sheets import save_sheet
from course_lib.training.stylegan2 import Recipe, Stage, StyleGAN2Training
from course_lib.weights import StoredWeights, read_weights, save_weights

CPU = torch.device("cpu")
TINY = Recipe(
    (Stage(8, 0.064, 8), Stage(16, 0.064, 8)), channel_base=64, channel_max=8, z_dim=8, w_dim=8,
    mapping_layers=2, flip=True, r1_every=2, fade_thousands=0.016,
)


@pytest.fixture
def data(rng) -> torch.Tensor:
    return torch.randint(256, (20, 3, 16, 16), generator=rng, dtype=torch.uint8)


def test_what_is_no_zip_is_refused(tmp_path):
    (tmp_path / "set.zip").write_text("<html>quota exceeded</html>")
    with pytest.raises(ValueError, match=r"set.zip is no zip"):
        read_pictures(tmp_path / "set.zip", 8)


def test_pictures_are_read_from_zip_and_folder_alike(tmp_path, rng):
    arrays = torch.randint(256, (3, 8, 8, 3), generator=rng, dtype=torch.uint8).numpy()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, array in enumerate(arrays):
        PIL.Image.fromarray(array).save(folder / f"{index}.png")
    (folder / "labels.json").write_text("[]")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"images/{path.name}")
        archive.writestr("__MACOSX/images/._0.png", "a Mac's notes")
    expected = torch.from_numpy(arrays).permute(0, 3, 1, 2)
    assert torch.equal(read_pictures(folder, 8), expected)
    assert torch.equal(read_pictures(tmp_path / "set.zip", 8), expected)
    mean = expected.float().unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))
    assert (read_pictures(folder, 4).float() - mean).abs().max() <= 1


def test_training_reads_pictures_as_everyone_else_does(tmp_path, rng):
    ramp = np.tile(np.linspace(0, 65535, 8).astype(np.uint16), (8, 1))
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[2:6, 2:6] = (200, 50, 50, 255)
    exif = PIL.Image.Exif()
    exif[0x112] = 6
    tall = torch.randint(256, (8, 8, 3), generator=rng, dtype=torch.uint8).numpy()
    PIL.Image.fromarray(ramp).save(tmp_path / "a.png")
    PIL.Image.fromarray(clear).save(tmp_path / "b.png")
    PIL.Image.fromarray(tall).save(tmp_path / "c.jpg", exif=exif, quality=95)
    (tmp_path / "._a.png").write_bytes(b"a Mac's notes")
    read = read_pictures(tmp_path, 8)
    expected = [load_image(tmp_path / name, device="cpu") for name in ("a.png", "b.png", "c.jpg")]
    assert torch.equal(read, (torch.stack(expected) * 255).round().byte())


def test_an_ordinary_jpeg_is_read_as_pillow_decodes_it(tmp_path, rng):
    array = torch.randint(256, (16, 16, 3), generator=rng, dtype=torch.uint8).numpy()
    PIL.Image.fromarray(array).save(tmp_path / "a.jpg", quality=90)
    with PIL.Image.open(tmp_path / "a.jpg") as picture:
        known = picture.convert("RGB").resize((8, 8), PIL.Image.Resampling.BOX)
    assert torch.equal(read_pictures(tmp_path, 8)[0].permute(1, 2, 0),
                       torch.from_numpy(np.array(known)))


def test_sets_that_cannot_be_trained_on_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="--data"):
        read_pictures(tmp_path / "none.zip", 8)
    with pytest.raises(ValueError, match="holds no picture"):
        read_pictures(tmp_path, 8)
    PIL.Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "wide.png")
    with pytest.raises(ValueError, match=r"wide.png is 9 x 8"):
        read_pictures(tmp_path, 8)


def test_batches_are_pictures_of_the_set_or_their_mirror_images(data, rng):
    plain = draw_batch(data, 50, flip=False, rng=rng, device=CPU)
    known = {tuple(picture.flatten().tolist()) for picture in data}
    mirrored = {tuple(picture.flatten().tolist()) for picture in data.flip(-1)}
    keys = [tuple(p.flatten().tolist()) for p in ((plain + 1) * 127.5).round().int()]
    assert all(key in known for key in keys) and len(set(keys)) > 10
    flipped = draw_batch(data, 50, flip=True, rng=rng, device=CPU)
    keys = [tuple(p.flatten().tolist()) for p in ((flipped + 1) * 127.5).round().int()]
    assert 10 < sum(key in mirrored for key in keys) < 40
    assert all(key in known | mirrored for key in keys)


def test_halving_takes_means(data):
    assert downsample(data, 16) is data
    mean = data.float().unfold(2, 4, 4).unfold(3, 4, 4).mean(dim=(-1, -2))
    assert (downsample(data, 4).float() - mean).abs().max() <= 0.5


def test_translation_shifts_whole_pixels_and_repeats_the_edge(rng):
    images = torch.rand(40, 3, 8, 8, generator=rng)
    shifted = translate(images, 1 / 8, rng)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    shifts = [(y, x) for y in range(3) for x in range(3)]
    seen = set()
    for index in range(40):
        matches = [s for s in shifts if torch.equal(
            shifted[index], padded[index, :, s[0] : s[0] + 8, s[1] : s[1] + 8])]
        assert matches
        seen.add(matches[0])
    assert len(seen) > 5
    assert translate(images, 0, rng) is images


def test_recoloring_keeps_the_order_of_greys_and_gradients_flow(rng):
    images = torch.rand(4, 3, 8, 8, generator=rng).requires_grad_()
    changed = recolor(images, 0.3, rng)
    before, after = (x.mean(dim=1).flatten(1).argsort(dim=1) for x in (images, changed))
    assert torch.equal(before, after)
    assert not torch.allclose(images, changed)
    changed.sum().backward()
    assert images.grad.abs().min() > 0


def test_losses_at_known_logits():
    zero, far = torch.zeros(2, 1), torch.full((2, 1), 20.0)
    torch.testing.assert_close(discriminator_loss(zero, zero), torch.tensor(2.0).log() * 2)
    assert discriminator_loss(far, -far) < 1e-6
    assert generator_loss(far) < 1e-6 and generator_loss(-far) > 19


def test_gradient_penalty_of_a_linear_judge_is_half_its_squared_norm(rng):
    weight = torch.randn(3, 4, 4, generator=rng)
    images = torch.randn(5, 3, 4, 4, generator=rng).requires_grad_()
    penalty = gradient_penalty((images * weight).sum(dim=(1, 2, 3))[:, None], images)
    torch.testing.assert_close(penalty, weight.square().sum() / 2)


def test_path_length_of_a_linear_generator_is_the_norm_of_its_matrix(rng):
    torch.manual_seed(0)
    w = torch.randn(4000, 1, 6, generator=rng).requires_grad_()
    matrix = torch.randn(3 * 4 * 4, 6, generator=rng)
    path = PathLength(decay=1.0)
    path((w[:, 0] @ matrix.T).reshape(-1, 3, 4, 4), w)
    # E‖Jᵀy‖² = ‖J‖² / pixels for y of variance 1 / pixels; the mean length is a little below.
    expected = matrix.square().sum().div(16).sqrt()
    assert 0.85 * expected < path.mean < expected


def test_averaged_weights_follow(rng):
    slow, fast = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    before = slow.weight.clone()
    update_ema(slow, fast, 0.9)
    torch.testing.assert_close(slow.weight, 0.9 * before + 0.1 * fast.weight)


def grown(data) -> StyleGAN2Training:
    training = StyleGAN2Training(TINY, data, device=CPU)
    for _ in range(8):
        training.step()
    return training


def test_a_new_resolution_begins_where_the_old_one_stopped(data, rng):
    training = grown(data)
    rows = torch.randn(4, 1, 8, generator=rng).expand(-1, 6, -1)
    with torch.no_grad():
        before = training.generator.synthesis(rows[:, :4], noise="none")
    judge = training.discriminator
    images = torch.rand(4, 3, 16, 16, generator=rng)
    smaller = smooth(images, judge.blocks[0].resample_filter, padding=1, stride=2)
    torch.manual_seed(1)
    training.recipe = replace(TINY, translation=0)
    verdict = training.judge(smaller)
    training.enter(1)
    with torch.no_grad():
        after = training.generator.synthesis(rows, noise="none", fade=training.fade)
    torch.testing.assert_close(after, upsample(before), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(training.judge(images), verdict, atol=1e-4, rtol=1e-4)


def test_training_goes_through_its_stages(data):
    training = StyleGAN2Training(TINY, data, device=CPU)
    levels, fades = [], []
    while not training.done:
        losses = training.step()
        levels.append(training.stage.resolution)
        fades.append(training.fade)
        assert all(torch.isfinite(value) for value in losses.values())
    assert levels == [8] * 8 + [16] * 8
    assert fades[:8] == [1] * 8 and fades[8] == 0 and fades[-1] == 1
    assert training.samples(3).shape == (3, 3, 16, 16)


def test_a_resumed_run_is_the_same_run(data, tmp_path):
    whole = StyleGAN2Training(TINY, data, device=CPU)
    for _ in range(10):
        whole.step()
    torch.save(whole.state(), tmp_path / "state.pt")
    expected = [whole.step() for _ in range(3)]
    torch.manual_seed(99)
    resumed = StyleGAN2Training(TINY, data, device=CPU)
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    for losses in expected:
        again = resumed.step()
        assert losses.keys() == again.keys()
        for name, value in losses.items():
            assert torch.equal(value, again[name]), name


def rates(training: StyleGAN2Training) -> list[float]:
    return [optimizer.param_groups[0]["lr"] for optimizer in
            (training.g_optimizer, training.d_optimizer)]


def test_a_stage_may_have_a_rate_and_a_penalty_of_its_own(data):
    calm = replace(TINY, stages=(TINY.stages[0], Stage(16, 0.064, 8, learning_rate=1e-4, r1=50)))
    training, plain = (StyleGAN2Training(recipe, data, device=CPU) for recipe in (calm, TINY))
    assert rates(training) == rates(plain)
    for one in (training, plain):
        one.enter(1)
    assert rates(training)[0] == pytest.approx(1e-4)
    before = [one.discriminator.b4.out.weight.detach().clone() for one in (training, plain)]
    for one in (training, plain):
        one.step()
    steps = [(one.discriminator.b4.out.weight - was).norm() for one, was in
             zip((training, plain), before, strict=True)]
    assert steps[0] < 0.1 * steps[1]


def test_a_resumed_run_takes_the_recipes_rate(data):
    fast = StyleGAN2Training(TINY, data, device=CPU)
    fast.step()
    slow = StyleGAN2Training(replace(TINY, learning_rate=1e-4), data, device=CPU)
    wanted = rates(slow)
    slow.load(fast.state())
    assert rates(slow) == wanted != rates(fast)


def shipped(training: StyleGAN2Training, folder) -> StoredWeights:
    state = training.state()
    tensors = {f"G_ema.{key}": value for key, value in state["average"].items()}
    tensors |= {f"D.{key}": value for key, value in state["discriminator"].items()}
    save_weights(folder / "w.safetensors", tensors, settings={"pictures": state["seen"]})
    return read_weights(folder / "w.safetensors")


def test_training_goes_on_from_shipped_weights_at_their_resolution(data, tmp_path):
    first = StyleGAN2Training(TINY, data, device=CPU)
    while not first.done:
        first.step()
    longer = replace(TINY, stages=(TINY.stages[0], Stage(16, 0.128, 8)))
    again = StyleGAN2Training(longer, data, device=CPU)
    again.start_from(shipped(first, tmp_path))
    assert again.seen == 128 and again.stage.resolution == 16 and not again.done
    torch.testing.assert_close(again.samples(4), first.samples(4), atol=0.02, rtol=0)
    losses = again.step()
    assert again.seen == 136 and again.fade == 1 and all(map(torch.isfinite, losses.values()))
    torch.save(again.state(), tmp_path / "state.pt")
    expected = again.step()
    resumed = StyleGAN2Training(longer, data, device=CPU)
    resumed.load(torch.load(tmp_path / "state.pt", weights_only=True))
    for one, other in zip(expected.values(), resumed.step().values(), strict=True):
        assert torch.equal(one, other)


def test_weights_that_the_recipe_does_not_lead_to_are_refused(data, tmp_path):
    training = grown(data)
    weights = shipped(training, tmp_path)
    other = replace(TINY, stages=(Stage(16, 1, 8),))
    with pytest.raises(ValueError, match="take weights that this recipe made"):
        StyleGAN2Training(other, data, device=CPU).start_from(weights)


def test_path_length_regularisation_joins_in(data):
    training = StyleGAN2Training(replace(TINY, path_length=2), data, device=CPU)
    losses = training.step()
    assert losses["path_length"] >= 0 and training.path_length.mean > 0
    assert "path_length" not in training.step()


def test_the_loop_logs_draws_and_goes_on(data, tmp_path):
    train(StyleGAN2Training(TINY, data, device=CPU), tmp_path, minutes=0)
    train(StyleGAN2Training(TINY, data, device=CPU), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [0, 128]
    assert {"discriminator", "generator", "r1"} <= lines[1].keys()
    assert (tmp_path / "checkpoint.pt").exists() and list(tmp_path.glob("sheet-*.jpg"))


def test_a_run_of_another_kind_is_not_gone_on_from(data, tmp_path):
    torch.save({"generator": {}, "seen": 3}, tmp_path / "checkpoint.pt")
    training = StyleGAN2Training(TINY, data, device=CPU)
    with pytest.raises(ValueError, match="another kind"):
        train(training, tmp_path, minutes=0)


def test_a_sheet_holds_every_picture(tmp_path, rng):
    images = torch.rand(7, 3, 8, 8, generator=rng)
    save_sheet(images, tmp_path / "sheet.png", columns=4, size=8)
    array = np.array(PIL.Image.open(tmp_path / "sheet.png"))
    assert array.shape == (16, 32, 3)
    found = torch.from_numpy(array[8:, 16:24].copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close(found, images[6], atol=0.5 / 255 + 1e-6, rtol=0)


SCRIPT = """
import sys, torch
torch.distributed.init_process_group("gloo")
from tests.test_training import TINY, CPU
from course_lib.training.stylegan2 import StyleGAN2Training
rank = torch.distributed.get_rank()
data = torch.randint(256, (20, 3, 16, 16), generator=torch.Generator().manual_seed(0))
training = StyleGAN2Training(TINY, data.byte(), device=CPU, rank=rank, processes=2)
for _ in range(6):
    training.step()
torch.save((training.seen, training.generator.state_dict()), f"{sys.argv[1]}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


def test_two_processes_train_one_model(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
               "2", str(tmp_path / "script.py"), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    (seen, first), (_, second) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert seen == 6 * 8 * 2
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_exported_weights_load_and_their_card_tells_what_was_measured(tmp_path, rng):
    training = StyleGAN2Training(TINY, torch.randint(
        256, (60, 3, 16, 16), generator=rng, dtype=torch.uint8), device=CPU)
    while not training.done:
        training.step()
    (tmp_path / "log.jsonl").write_text(
        "\n".join(json.dumps({"pictures": n, "seconds": s}) for n, s in ((8, 60), (128, 30))))

    def exported(state, recognized):
        return export(StyleGAN2Training, state, "cats", tmp_path, tmp_path,
                      lambda resolution: downsample(training.data, resolution),
                      recognized=recognized)

    card = exported(training.state(), 97)
    assert Card.read(tmp_path / "cats.json") == card
    assert "97 of 100" in card.quality and "2 minutes" in card.training
    assert card.measured["pictures seen"] == 128 and card.measured["distance"] > 0
    assert "previous distance" not in card.measured
    later = training.state() | {"seen": 136}
    for recognized in (None, 98):  # looked at, counted, and exported again
        newer = exported(later, recognized)
        assert newer.measured["previous distance"] == card.measured["distance"]
    generator = load_generator(tmp_path / "cats.safetensors", device="cpu")
    again = generator.sample_latent(3, space="w", rng=torch.Generator().manual_seed(1))
    assert generator.decode(again, space="w").shape == (3, 3, 16, 16)
    assert (tmp_path / "samples.png").exists() and (tmp_path / "nearest.png").exists()


def test_a_card_never_names_data_that_are_not_known(tmp_path, data):
    state = StyleGAN2Training(TINY, data, device=CPU).state()
    with pytest.raises(ValueError, match="--source and --license"):
        export(StyleGAN2Training, state, "mine", tmp_path, tmp_path, lambda resolution: data)
    assert not list(tmp_path.iterdir())


def test_the_nearest_training_picture_is_found_mirrored_too(rng):
    data = torch.randint(256, (300, 3, 8, 8), generator=rng, dtype=torch.uint8)
    noisy = (data[[5, 290]].float() / 255 + 0.01).clamp(0, 1)
    noisy[1] = noisy[1].flip(-1)
    found = nearest(noisy, data)
    torch.testing.assert_close(found[0], data[5] / 255)
    torch.testing.assert_close(found[1], data[290].flip(-1) / 255)


def test_rounded_weights_change_little_and_compress(rng):
    tensors = {"weight": 30 * torch.randn(64, 64, generator=rng), "ones": torch.ones(5),
               "scalar": torch.tensor(0.123), "count": torch.tensor(7),
               "deviations": torch.tensor([0.001, 0.9, 1.1])}
    found = round_weights(tensors, steps=16)
    for name in ("ones", "scalar", "count", "deviations"):
        assert torch.equal(found[name], tensors[name])
    weight = tensors["weight"]
    error = (found["weight"] - weight).abs().max() / weight.std()
    assert 1 / 64 < error <= 1 / 32  # half a step; a deviation has 16 to 32
    assert torch.equal(found["weight"], found["weight"].half().float())
    assert torch.equal(round_weights(found)["weight"], found["weight"])
    sizes = [len(zlib.compress(one.half().numpy().tobytes())) for one in (weight, found["weight"])]
    assert sizes[1] < 0.7 * sizes[0]


def test_the_export_command_takes_a_source_and_names_what_is_missing(
    data, tmp_path, monkeypatch, capsys
):
    def export_command(*arguments):
        monkeypatch.setattr("sys.argv", ["export", *map(str, arguments)])
        export_main()

    run, assets, pictures = (tmp_path / name for name in ("run", "assets", "pictures"))
    for folder in (run, assets, pictures):
        folder.mkdir()
    for index, picture in enumerate(data):
        array = picture.permute(1, 2, 0).numpy()
        PIL.Image.fromarray(array).save(pictures / f"{index}.png")
    common = ("mine", "--run", run, "--data", pictures, "--assets", assets)
    with pytest.raises(SystemExit):
        export_command(*common)
    assert "checkpoint.pt does not exist" in capsys.readouterr().err
    training = StyleGAN2Training(TINY, data, device=CPU)
    while training.stage.resolution < 16:
        training.step()
    train(training, run, minutes=0)
    for arguments, message in ((common, "--source and --license"),
                               ((*common, "--source", "my cat"), "go together")):
        with pytest.raises(SystemExit):
            export_command(*arguments)
        assert message in capsys.readouterr().err
    export_command(*common, "--source", "my cat", "--license", "CC0 1.0")
    card = Card.read(assets / "mine.json")
    assert (card.data, card.license) == ("my cat", "CC0 1.0")
