"""Pictures in and out: every kind of file, honest crops, one sentence for what can't be read."""

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.testing import assert_close

from course_lib.images import (
    crop_square,
    default_device,
    load_image,
    sample_names,
    save_image,
    to_uint8,
)
from course_lib.pixels import CATS, PHOTOS

BYTE = 1 / 255


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")


def random_bytes(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth_bytes(height: int = 32, width: int = 48) -> np.ndarray:
    """A picture that JPEG keeps, and whose turned and mirrored copies all differ."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    return np.stack([255 * x, 255 * y, 60 + 90 * x * y], axis=-1).astype(np.uint8)


def as_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32) / 255).movedim(-1, 0)


# Known answers


@pytest.mark.parametrize("name", sample_names())
def test_every_sample_is_a_picture(name):
    image = load_image(name)
    assert image.shape[0] == 3 and min(image.shape[1:]) > 100 and image.dtype == torch.float32
    assert 0 <= image.min() and image.max() <= 1 and image.std() > 0.02


@pytest.mark.parametrize("name", CATS)
def test_the_cats_are_where_models_of_cats_expect_them(name):
    assert load_image(name).shape == (3, 512, 512)
    assert name in (PHOTOS / "README.md").read_text(encoding="utf-8")


def test_a_png_comes_back_exactly(tmp_path):
    array = random_bytes(7, 5)
    PIL.Image.fromarray(array).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert_close(load_image(path), as_tensor(array), rtol=0, atol=0)


def test_a_picture_in_memory_equals_its_file(tmp_path):
    array = random_bytes(7, 5)
    expected = as_tensor(array)
    assert_close(load_image(array), expected, rtol=0, atol=0)
    assert_close(load_image(PIL.Image.fromarray(array)), expected, rtol=0, atol=0)
    assert_close(load_image(array / 255), expected, rtol=0, atol=1e-7)
    assert_close(load_image(array[::-1, ::-1]), expected.flip(-1, -2), rtol=0, atol=0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_s_orientation_is_applied(orientation, tmp_path):
    upright = PIL.Image.fromarray(smooth_bytes())
    turned = PIL.Image.Transpose
    # What the sensor stored, for each orientation: the inverse of what the viewer must do.
    stored = {
        2: turned.FLIP_LEFT_RIGHT, 3: turned.ROTATE_180, 4: turned.FLIP_TOP_BOTTOM,
        5: turned.TRANSPOSE, 6: turned.ROTATE_90, 7: turned.TRANSVERSE, 8: turned.ROTATE_270,
    }
    picture = upright.transpose(stored[orientation]) if orientation in stored else upright
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = load_image(tmp_path / "a.jpg")
    assert image.shape == (3, 32, 48)
    assert (image - as_tensor(smooth_bytes())).abs().mean() < 2 * BYTE


def test_transparent_pixels_lie_on_white():
    array = np.zeros((1, 3, 4), dtype=np.uint8)
    array[0, :, :3], array[0, :, 3] = (255, 0, 51), (0, 51, 255)
    expected = torch.tensor([[[1, 1, 1]], [[1, 0.8, 0]], [[1, 0.84, 0.2]]])
    assert_close(load_image(array), expected, rtol=0, atol=1e-6)
    assert_close(load_image(PIL.Image.fromarray(array)), expected, rtol=0, atol=1e-6)
    assert_close(load_image(array / 255.0), expected, rtol=0, atol=1e-6)


def test_grey_with_alpha_lies_on_white():
    picture = PIL.Image.merge("LA", [PIL.Image.new("L", (2, 1), 0), PIL.Image.new("L", (2, 1), 51)])
    assert_close(load_image(picture), torch.full((3, 1, 2), 0.8), rtol=0, atol=1e-6)


def test_a_palette_with_transparency_lies_on_white(tmp_path):
    picture = PIL.Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    for path, transparent in [(tmp_path / "a.png", 0), (tmp_path / "a.gif", 0)]:
        picture.save(path, transparency=transparent)
        expected = torch.tensor([[[1.0, 0]], [[1, 0]], [[1, 1]]])
        assert_close(load_image(path), expected, rtol=0, atol=0)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_sixteen_bits_a_pixel_are_kept(ending, tmp_path):
    values = np.array([[0, 1, 257], [12345, 40000, 50000]], dtype=np.uint16)
    PIL.Image.fromarray(values).save(tmp_path / f"a.{ending}")
    image = load_image(tmp_path / f"a.{ending}")
    expected = torch.from_numpy(values.astype(np.float32) / 65535).expand(3, -1, -1)
    # Not stretched to the brightest value, and finer than bytes.
    assert_close(image, expected, rtol=0, atol=1e-6)
    assert_close(load_image(values), expected, rtol=0, atol=1e-6)


def test_a_cmyk_jpeg_becomes_rgb(tmp_path):
    PIL.Image.new("CMYK", (16, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    expected = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 8, 16)
    assert (load_image(tmp_path / "a.jpg") - expected).abs().max() < 0.05


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "YCbCr", "HSV", "LAB", "F"])
def test_every_mode_of_pillow_becomes_rgb(mode):
    assert load_image(PIL.Image.new(mode, (4, 3))).shape == (3, 3, 4)


def test_booleans_and_one_channel_are_grey():
    array = np.array([[True, False]])
    assert_close(load_image(array), torch.tensor([[[1.0, 0]]] * 3))
    assert_close(load_image(array[..., None].astype(np.uint8) * 255), load_image(array))


def test_one_pixel_is_a_picture(tmp_path):
    PIL.Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert_close(image, torch.tensor([1.0, 0, 0])[:, None, None])
    assert_close(crop_square(image), image)
    assert_close(crop_square(image, size=3), image.expand(3, 3, 3))
    assert load_image(tmp_path / "a.png", size=8).shape == (3, 8, 8)


def test_a_huge_panorama_loads_without_a_warning_and_a_bomb_does_not(tmp_path, monkeypatch):
    # Pillow's limit lowered, so that the huge is small: it warns from here, and refuses at twice.
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100_000)
    PIL.Image.new("L", (4000, 40), 128).save(tmp_path / "panorama.png")
    PIL.Image.new("L", (4000, 60), 128).save(tmp_path / "bomb.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = load_image(tmp_path / "panorama.png", size=300)
    assert_close(image, torch.full((3, 3, 300), 128 / 255), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"too large to be safe\): make it smaller"):
        load_image(tmp_path / "bomb.png", size=300)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [PIL.Image.new("L", (4, 4), value) for value in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (load_image(tmp_path / "a.gif") == 0).all()


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_image(torch.rand(3, 4, 5), "~/a.png")
    assert load_image("~/a.png").shape == (3, 4, 5)


# Laws


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50), (3, 900), (900, 3)])
@pytest.mark.parametrize("size", [1, 17, 64])
def test_the_longer_side_becomes_the_size_and_the_aspect_ratio_stays(shape, size):
    resized = load_image(random_bytes(*shape), size=size).shape[1:]
    assert max(resized) == size
    assert abs(min(resized) - max(1, size * min(shape) / max(shape))) <= 0.5


def test_resizing_keeps_the_mean_and_stays_in_range():
    image = load_image("chelsea")
    small = load_image("chelsea", size=50)
    assert_close(small.mean(dim=(1, 2)), image.mean(dim=(1, 2)), rtol=0, atol=0.005)
    assert 0 <= small.min() and small.max() <= 1


def test_resizing_does_not_alias():
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = load_image(stripes, size=16)
    assert (small[..., 2:-2] - 0.5).abs().max() < 0.05  # picking pixels would give 0 or 1


def test_saved_pngs_come_back_within_half_a_byte(tmp_path, rng):
    image = torch.rand(3, 9, 7, generator=rng)
    save_image(image, tmp_path / "a.png")
    assert_close(load_image(tmp_path / "a.png"), image, rtol=0, atol=BYTE / 2 + 1e-6)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".JPEG", ".webp", ".bmp", ".tif", ".gif"])
def test_the_ending_chooses_the_format(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    save_image(as_tensor(smooth_bytes()), path)
    with PIL.Image.open(path) as picture:
        assert PIL.Image.registered_extensions()[ending.lower()] == picture.format
    assert (load_image(path) - as_tensor(smooth_bytes())).abs().mean() < 8 * BYTE
    assert os.listdir(tmp_path) == [path.name]


def test_bytes_are_clamped_and_rounded():
    values = torch.tensor([-1.0, 0.0, 0.4 * BYTE, 0.6 * BYTE, 0.5, 1.0, 7.0])
    image = values.expand(3, 1, -1)
    assert to_uint8(image)[0, :, 1].tolist() == [0, 0, 0, 1, 128, 255, 255]


def test_bytes_are_height_width_rgb(rng):
    image = torch.rand(3, 4, 5, generator=rng)
    array = to_uint8(image)
    assert array.shape == (4, 5, 3) and array.dtype == np.uint8
    assert array[1, 2].tolist() == (image[:, 1, 2] * 255).round().int().tolist()
    grey = to_uint8(image[:1])
    assert grey.shape == (4, 5, 3) and (grey == grey[..., :1]).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_is_shown_and_cropped(dtype, rng):
    image = torch.rand(3, 12, 9, generator=rng).to(dtype)
    assert to_uint8(image).shape == (12, 9, 3)
    square = crop_square(image, resolution=5)
    assert square.dtype == dtype and square.shape == (3, 5, 5)


def test_a_square_is_its_own_crop(rng):
    image = torch.rand(2, 3, 16, 16, generator=rng)
    assert torch.equal(crop_square(image), image)
    assert torch.equal(crop_square(image, size=16, resolution=16), image)


@pytest.mark.parametrize("shape", [(3, 10, 16), (3, 16, 10), (2, 1, 9, 14)])
def test_the_default_crop_is_the_middle(shape, rng):
    image = torch.rand(shape, generator=rng)
    side = min(shape[-2:])
    top, left = ((extent - side + 1) // 2 for extent in shape[-2:])
    assert torch.equal(crop_square(image), image[..., top:top + side, left:left + side])


def test_the_centre_is_x_then_y(rng):
    image = torch.rand(3, 20, 30, generator=rng)
    assert torch.equal(crop_square(image, centre=(12, 5), size=3), image[:, 4:7, 11:14])
    assert torch.equal(crop_square(image, centre=(29, 0), size=1), image[:, :1, 29:])


@pytest.mark.parametrize("size", [1, 4, 5])
def test_a_step_of_the_centre_moves_the_square_by_one_pixel(size, rng):
    image = torch.rand(3, 20, 30, generator=rng)
    for x in range(5, 24):
        here, next_ = (crop_square(image, centre=(c, 9), size=size) for c in (x, x + 1))
        assert torch.equal(here[..., 1:], next_[..., :-1])
        assert size > 1 or not torch.equal(here, next_)


def test_where_the_square_hangs_over_the_border_pixels_are_repeated(rng):
    image = torch.rand(3, 6, 8, generator=rng)
    square = crop_square(image, centre=(0, 0), size=5)
    assert torch.equal(square[:, 2:, 2:], image[:, :3, :3])
    assert torch.equal(square[:, :3, :3], image[:, :1, :1].expand(3, 3, 3))
    everything = crop_square(image, size=20)
    assert everything.shape == (3, 20, 20)
    assert torch.equal(everything[:, 7:13, 6:14], image)


def test_crop_square_resizes_to_the_resolution(rng):
    image = torch.rand(2, 3, 20, 30, generator=rng)
    square = crop_square(image, size=16, resolution=4)
    expected = crop_square(image, size=16).unflatten(-1, (4, 4)).unflatten(-3, (4, 4))
    assert square.shape == (2, 3, 4, 4)
    assert (square - expected.mean(dim=(-1, -3))).abs().max() < 0.25
    assert_close(crop_square(torch.full((3, 9, 9), 0.3), resolution=4), torch.full((3, 4, 4), 0.3))


def test_crop_square_is_differentiable(rng):
    image = torch.rand(1, 4, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: crop_square(u, size=6, resolution=3), [image])


# Devices


@pytest.mark.parametrize("asked, expected", [("cpu", "cpu"), (" cpu ", "cpu"), ("cpu:0", "cpu")])
def test_course_device_overrides_the_choice(asked, expected, monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert default_device().type == expected
    assert load_image(random_bytes(2, 2)).device.type == expected


@pytest.mark.parametrize("cuda, mps, expected", [
    (True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"),
])
@pytest.mark.parametrize("asked", [None, ""])
def test_without_course_device_the_fastest_is_taken(cuda, mps, expected, asked, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.delenv("COURSE_DEVICE")
    if asked is not None:
        monkeypatch.setenv("COURSE_DEVICE", asked)
    assert default_device().type == expected


@pytest.mark.parametrize("asked", ["gpu", "cuda:99", "meta", "cpu;", "xla"])
def test_a_device_that_does_not_compute_is_refused(asked, monkeypatch, as_users_run_it):
    with pytest.raises(ValueError, match=r"^device is '.*', on which .*: use cpu"):
        load_image(random_bytes(2, 2), device=asked)
    monkeypatch.setenv("COURSE_DEVICE", asked)
    with pytest.raises(ValueError, match=r"^COURSE_DEVICE is '.*', on which .*: use cpu"):
        default_device()


# Errors


def assert_one_sentence(error: BaseException) -> None:
    message = str(error)
    assert type(error) in (ValueError, FileNotFoundError), repr(error)
    what, colon, remedy = message.rpartition(": ")
    assert colon and len(what) > 15 and len(remedy) > 8 and "\n" not in message, message


def broken_files() -> dict[str, bytes]:
    jpeg, png = io.BytesIO(), io.BytesIO()
    PIL.Image.fromarray(smooth_bytes()).save(jpeg, format="jpeg")
    PIL.Image.fromarray(smooth_bytes()).save(png, format="png")

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return {
        "empty.png": b"",
        "cut.jpg": jpeg.getvalue()[:-200],
        "cut.png": png.getvalue()[:-60],
        "header_only.png": png.getvalue()[:40],
        "phone.jpg": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        "page.jpg": b"<!doctype html><html><body>404 Not Found</body></html>",
        "text.png": "not a picture, été\n".encode(),
        "bomb.png": b"\x89PNG\r\n\x1a\n" + header + end,
    }


@pytest.mark.parametrize("name", broken_files())
def test_a_broken_file_is_explained_by_its_name(name, tmp_path):
    (tmp_path / name).write_bytes(broken_files()[name])
    with pytest.raises(ValueError, match=name) as error:
        load_image(tmp_path / name)
    assert_one_sentence(error.value)
    assert str(tmp_path) not in str(error.value)
    open_files = Path("/proc/self/fd")
    if open_files.is_dir():
        assert str(tmp_path / name) not in [os.path.realpath(fd) for fd in open_files.iterdir()]
    (tmp_path / name).unlink()  # which Windows allows for closed files only


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1"])
def test_a_phones_heic_file_is_called_so_whatever_its_name(brand, tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(200))
    with pytest.raises(ValueError, match=r"HEIC file.*: export it as JPEG"):
        load_image(tmp_path / "IMG_1.HEIC")


def test_what_a_decoder_says_in_lines_becomes_one_sentence(tmp_path, monkeypatch):
    def trip(path):
        raise IndexError("list index\nout of   range")

    monkeypatch.setattr(PIL.Image, "open", trip)
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"\(list index out of range\)") as error:
        load_image(tmp_path / "a.png")
    assert_one_sentence(error.value)


def test_a_lazily_opened_broken_picture_is_explained(tmp_path):
    (tmp_path / "cut.png").write_bytes(broken_files()["cut.png"])
    with PIL.Image.open(tmp_path / "cut.png") as picture, pytest.raises(ValueError) as error:
        load_image(picture)
    assert_one_sentence(error.value)


@pytest.mark.parametrize("source", ["", "no such file.png", "Chelsea", "x" * 5000, "a\0b", "."])
def test_a_missing_file_is_told_the_samples(source):
    with pytest.raises(FileNotFoundError, match="chelsea") as error:
        load_image(source)
    assert_one_sentence(error.value)


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_image(tmp_path)


@pytest.mark.parametrize("array", [
    np.full((4, 4, 3), 1.5), np.full((4, 4, 3), -0.01), np.full((4, 4), np.nan),
    np.full((4, 4), np.inf), np.full((4, 4, 3), 200.0), np.full((4, 4, 3), 5, dtype=np.int64),
    np.full((4, 4), 1 + 1j), np.full((4, 4), "a"), np.full((4, 4), None), np.zeros((4, 4, 2)),
    np.zeros((3, 5, 5)), np.zeros(4), np.float64(0.5), np.zeros((0, 4, 3)), np.zeros((1, 3, 4, 4)),
], ids=lambda array: f"{np.asarray(array).dtype}{np.shape(array)}")
def test_an_array_of_unclear_brightness_or_shape_is_refused(array, as_users_run_it):
    with pytest.raises(ValueError, match=r"^source ") as error:
        load_image(array)
    assert_one_sentence(error.value)


def test_floats_that_miss_the_range_by_rounding_are_clamped():
    image = load_image(np.array([[-1e-9, 1 + 1e-9]]))
    assert image.min() == 0 and image.max() == 1


@pytest.mark.parametrize("picture", [
    PIL.Image.new("F", (2, 2), 200.0), PIL.Image.new("I", (2, 2), 70000),
    PIL.Image.new("I", (2, 2), -1), PIL.Image.new("L", (2, 2), 200).convert("I"),
    PIL.Image.new("RGB", (0, 0)), PIL.Image.new("La", (2, 2)),
], ids=["floats", "long", "negative", "bytes in 32 bits", "empty", "unconvertible"])
def test_a_picture_in_memory_of_unclear_brightness_is_refused(picture):
    with pytest.raises(ValueError) as error:
        load_image(picture)
    assert_one_sentence(error.value)


@pytest.mark.parametrize("name", ["a", "a.txt", "a.psd", "a.ico", "a.icns", ".png", ""])
def test_an_ending_that_names_no_format_is_refused(name, tmp_path):
    with pytest.raises(ValueError) as error:
        save_image(torch.rand(3, 4, 4), tmp_path / "folder" / name if not name else tmp_path / name)
    assert_one_sentence(error.value)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing") as error:
        save_image(torch.rand(3, 4, 4), tmp_path / "missing" / "a.png")
    assert_one_sentence(error.value)


@pytest.mark.parametrize("name", ["folder.png", "folder.png/", "n" * 300 + ".png"])
def test_a_name_that_can_not_be_written_is_explained(name, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match="can't be written") as error:
        save_image(torch.zeros(3, 4, 4), f"{tmp_path}/{name}")
    assert_one_sentence(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_floats_that_are_no_numbers_are_not_told_to_be_divided():
    for broken in (np.nan, np.inf):
        array = np.full((4, 4), 0.5)
        array[1, 2] = broken
        with pytest.raises(ValueError, match=r"NaN or infinity.*: replace them") as error:
            load_image(array)
        assert_one_sentence(error.value)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"the old one")

    def fill_the_disk(picture, part, **options):
        Path(part).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", fill_the_disk)
    with pytest.raises(ValueError, match=r"No space left on device.*nothing was saved") as error:
        save_image(torch.rand(3, 4, 4), path)
    assert_one_sentence(error.value)
    assert os.listdir(tmp_path) == ["a.png"] and path.read_bytes() == b"the old one"


def test_nothing_else_in_the_folder_is_touched(tmp_path, rng):
    (tmp_path / "a.png.part").write_text("my own notes")
    save_image(torch.rand(3, 4, 4, generator=rng), tmp_path / "a.png")
    assert (tmp_path / "a.png.part").read_text() == "my own notes"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "a.png.part"]


@pytest.mark.skipif(os.name == "nt", reason="permissions and links are those of Unix")
def test_a_file_keeps_its_permissions_and_a_link_its_target(tmp_path, rng):
    path, link = tmp_path / "a.png", tmp_path / "b.png"
    save_image(torch.zeros(3, 4, 4), path)
    (tmp_path / "made by hand").touch()
    assert path.stat().st_mode == (tmp_path / "made by hand").stat().st_mode
    path.chmod(0o640)
    link.symlink_to(path)
    image = torch.ones(3, 4, 4)
    save_image(image, link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    assert_close(load_image(path), image)


def test_two_may_write_one_file(tmp_path):
    path, images = tmp_path / "a.png", [torch.full((3, 64, 64), value) for value in (0.0, 1.0)]
    save_image(images[0], path)

    def write(image):
        for _ in range(20):
            save_image(image, path)
            assert load_image(path).mean() in (0, 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, images * 2))
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ValueError, match="nothing was saved"):
        save_image(torch.rand(3, 4, 4), tmp_path / "a.png")
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_picture_too_wide_for_its_format_leaves_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="can't be written") as error:
        save_image(torch.zeros(1, 1, 70000), tmp_path / "a.jpg")
    assert_one_sentence(error.value)
    assert os.listdir(tmp_path) == []


NO_IMAGE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just({}),
    st.binary(max_size=8), st.lists(st.floats(), max_size=3), st.just(np.zeros((3, 4, 4))),
    st.builds(torch.zeros, st.lists(st.integers(0, 3), max_size=2)),
    st.builds(lambda shape: torch.zeros(*shape, 0), st.lists(st.integers(0, 3), max_size=3)),
    st.builds(lambda dtype: torch.zeros(3, 4, 4, dtype=dtype),
              st.sampled_from([torch.uint8, torch.int64, torch.bool, torch.complex64])),
    st.builds(lambda value: torch.full((3, 4, 4), value),
              st.sampled_from([float("nan"), float("inf"), -float("inf")])),
    st.just(torch.zeros(6, 8, 3)),
)
BAD_COUNT = st.one_of(
    st.integers(max_value=0), st.integers(min_value=16385), st.floats(), st.booleans(),
    st.text(max_size=3), st.just([4]),
)
BAD_PLACE = st.one_of(
    st.tuples(st.floats(max_value=-0.01), st.floats()),
    st.tuples(st.floats(), st.floats(min_value=5.01)),
    st.tuples(st.just(float("nan")), st.just(1.0)),
    st.integers(), st.text(max_size=3), st.tuples(), st.tuples(st.just(1), st.just(1), st.just(1)),
    st.tuples(st.none(), st.just(1)), st.just(torch.zeros(2, 2)),
)


@given(image=NO_IMAGE)
def test_what_is_no_image_is_neither_shown_nor_cropped(image, as_users_run_it):
    for function in (to_uint8, crop_square):
        with pytest.raises(ValueError) as error:
            function(image)
        assert_one_sentence(error.value)


@given(shape=st.lists(st.integers(1, 3), min_size=3, max_size=5))
def test_batches_and_odd_channels_are_not_shown(shape, as_users_run_it):
    assume(len(shape) != 3 or shape[0] == 2)
    with pytest.raises(ValueError) as error:
        to_uint8(torch.zeros(shape))
    assert_one_sentence(error.value)


@given(bad=st.one_of(
    st.fixed_dictionaries({"size": BAD_COUNT}), st.fixed_dictionaries({"resolution": BAD_COUNT}),
    st.fixed_dictionaries({"centre": BAD_PLACE}),
))
def test_a_square_that_makes_no_sense_is_not_cropped(bad, as_users_run_it):
    with pytest.raises(ValueError) as error:
        crop_square(torch.zeros(3, 6, 8), **bad)
    assert_one_sentence(error.value)


@given(source=st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(),
    st.text(max_size=12).filter(lambda name: name not in sample_names()),
    st.binary(max_size=8), st.lists(st.integers(), max_size=3), st.just(torch.rand(3, 4, 4)),
    st.builds(np.zeros, st.lists(st.integers(0, 3), max_size=4),
              st.sampled_from([np.int16, np.int64, np.complex64, "U3", object, "datetime64[s]"])),
    st.builds(lambda shape, value: np.full(shape, value), st.lists(st.integers(1, 3), max_size=4),
              st.floats().filter(lambda value: not -1e-6 <= value <= 1 + 1e-6)),
))
def test_what_is_no_source_is_not_loaded(source, as_users_run_it):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load_image(source)
    assert_one_sentence(error.value)


@given(bad=st.one_of(
    st.fixed_dictionaries({"size": BAD_COUNT}),
    st.fixed_dictionaries({"device": st.one_of(
        st.text(min_size=1, max_size=6).filter(lambda name: name.strip() not in ("cpu", "cuda")),
        st.lists(st.integers(), max_size=2), st.integers(min_value=64), st.floats(),
    )}),
))
def test_a_size_or_device_that_makes_no_sense_is_refused(bad, as_users_run_it):
    with pytest.raises(ValueError) as error:
        load_image(np.zeros((4, 4)), **bad)
    assert_one_sentence(error.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's, about damaged EXIF
@given(data=st.data(), ending=st.sampled_from(["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm"]))
def test_damaged_files_load_or_are_explained(data, ending, as_users_run_it, tmp_path):
    path = tmp_path / f"damaged.{ending}"
    PIL.Image.fromarray(smooth_bytes(6, 8)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path.write_bytes(content[:cut])
    try:
        image = load_image(path, size=8)
    except (ValueError, FileNotFoundError) as error:
        assert_one_sentence(error)
    else:
        assert image.shape[0] == 3 and 0 <= image.min() and image.max() <= 1
