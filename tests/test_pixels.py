"""Files whose numbers are not sRGB's bytes: colour profiles, gammas, odd greys, raw photos."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import torch
from torch.testing import assert_close

from course_lib.images import load_image

BYTE = 1 / 255
PRIMARIES = {  # red, green, blue as XYZ under D50, as the profiles of cameras and phones say
    "Adobe RGB": ((.60974, .31111, .01947), (.20528, .62567, .06087), (.14919, .06322, .74457)),
    "Display P3": ((.51512, .2412, -.00105), (.29198, .69225, .04189), (.1571, .06657, .78407)),
}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")


def icc_profile(kind: bytes, columns: dict[bytes, tuple], gamma: float) -> bytes:
    """A profile by the book (ICC.1:2001): columns of the matrix, and one gamma for all."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    curves = [b"kTRC"] if kind == b"GRAY" else [b"rTRC", b"gTRC", b"bTRC"]
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78,
            b"cprt": b"text\0\0\0\0-\0", **dict.fromkeys(curves, curve)}
    for name, xyz in {b"wtpt": (.9642, 1, .8249), **columns}.items():
        tags[name] = b"XYZ \0\0\0\0" + b"".join(map(fixed, xyz))
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I", start + len(body)) + b"lcms\x02\x10\0\0mntr" + kind + b"XYZ "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += fixed(.9642) + fixed(1) + fixed(.8249)
    return head.ljust(128, b"\0") + table + body


def wide_gamut(name: str) -> bytes:
    return icc_profile(b"RGB ", dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), PRIMARIES[name],
                                         strict=True)), 2.2)


def saved(picture: PIL.Image.Image, format: str, **options) -> PIL.Image.Image:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return PIL.Image.open(file)


def png(width: int, bits: int, color: int, row: bytes, **chunks: bytes) -> PIL.Image.Image:
    """A picture one pixel high, with chunks that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, 1, bits, color, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    content += b"".join(chunk(name.encode(), data) for name, data in chunks.items())
    content += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return PIL.Image.open(io.BytesIO(content))


# Known answers


@pytest.mark.parametrize("name", PRIMARIES)
@pytest.mark.parametrize("color", [(230, 80, 60), (60, 200, 90), (128, 128, 128)])
def test_colours_of_a_wide_gamut_file_become_srgb(name, color):
    profile = wide_gamut(name)
    stored = PIL.ImageCms.profileToProfile(
        PIL.Image.new("RGB", (4, 4), color), PIL.ImageCms.createProfile("sRGB"),
        PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile)), outputMode="RGB")
    expected = torch.tensor(color)[:, None, None].expand(3, 4, 4) * BYTE
    for format in ("png", "tiff", "webp"):
        picture = saved(stored, format, icc_profile=profile,
                        **({"lossless": True} if format == "webp" else {}))
        assert_close(load_image(picture), expected, rtol=0, atol=2 * BYTE)


def test_a_profile_leaves_transparency_alone():
    profile = wide_gamut("Adobe RGB")
    solid = PIL.Image.new("RGB", (2, 2), (200, 60, 60))
    opaque = load_image(saved(solid, "png", icc_profile=profile))
    solid.putalpha(51)
    clear = load_image(saved(solid, "png", icc_profile=profile))
    assert_close(clear, opaque * 0.2 + 0.8, rtol=0, atol=1e-6)


def test_grey_profiles_are_applied_at_8_and_16_bits():
    profile = icc_profile(b"GRAY", {}, 1.0)  # linear light: 0.2140 is sRGB's 0.5
    eight = saved(PIL.Image.new("L", (2, 2), round(0.2140 * 255)), "png", icc_profile=profile)
    wide = PIL.Image.fromarray(np.full((2, 2), round(0.2140 * 65535), np.uint16))
    for picture, error in ((eight, 2 * BYTE), (saved(wide, "png", icc_profile=profile), BYTE)):
        assert_close(load_image(picture), torch.full((3, 2, 2), 0.5), rtol=0, atol=error)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_s_gamma_is_applied(bits):
    most = 2**bits - 1
    row = round(0.2140 * most).to_bytes(bits // 8, "big")
    linear = png(1, bits, 0, row, gAMA=struct.pack(">I", 100000))
    assert_close(load_image(linear), torch.full((3, 1, 1), 0.5), rtol=0, atol=2 * BYTE)


@pytest.mark.parametrize("bits, color, clear, row, expected", [
    (16, 0, (0,), (0, 30000), [1, 30000 / 65535]),
    (8, 0, (0,), (0, 51), [1, 0.2]),
    (16, 2, (0, 257, 514), (0, 257, 514, 257, 257, 514), [1, 1 / 255]),
])
def test_the_colour_that_a_png_declares_transparent_is_white(bits, color, clear, row, expected):
    kind = ">H" if bits == 16 else ">B"
    picture = png(2, bits, color, b"".join(struct.pack(kind, value) for value in row),
                  tRNS=b"".join(struct.pack(">H", value) for value in clear))
    assert_close(load_image(picture)[0, 0], torch.tensor(expected), rtol=0, atol=1e-6)


def grey_tiff(width: int, bits: int, white: int, row: bytes) -> PIL.Image.Image:
    """A picture one pixel high, as plain as the format allows; `white` is 0 where 0 is white."""
    numbers = {256: width, 257: 1, 258: bits, 259: 1, 262: white, 273: 8, 277: 1, 278: 1,
               279: len(row)}
    content = b"II*\0" + struct.pack("<I", 8 + len(row)) + row + struct.pack("<H", len(numbers))
    for tag, number in numbers.items():
        content += struct.pack("<HHII", tag, 4, 1, number)
    return PIL.Image.open(io.BytesIO(content + bytes(4)))


@pytest.mark.parametrize("bits, white, row, expected", [
    (16, 0, struct.pack("<3H", 0, 65535, 13107), [1.0, 0, 0.8]),
    (16, 1, struct.pack("<3H", 0, 65535, 13107), [0, 1.0, 0.2]),
    (12, 1, bytes([0x33, 0x3F, 0xFF]), [0.2, 1.0]),
])
def test_a_tiff_s_greys_run_from_its_black_to_its_white(bits, white, row, expected):
    image = load_image(grey_tiff(len(expected), bits, white, row))
    assert_close(image[0, 0], torch.tensor(expected), rtol=0, atol=1e-6)


# Laws


def test_srgb_s_own_profile_changes_nothing(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    own = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    for options in ({"icc_profile": own}, {"icc_profile": b"broken"},
                    {"icc_profile": icc_profile(b"GRAY", {}, 1.0)}):
        image = load_image(saved(PIL.Image.fromarray(array), "png", **options))
        assert_close(image.movedim(0, -1), torch.from_numpy(array) * BYTE, rtol=0, atol=1e-7)


@pytest.mark.parametrize("chunks", [
    {"gAMA": struct.pack(">I", 45455)}, {"sRGB": b"\0", "gAMA": struct.pack(">I", 100000)},
    {"gAMA": struct.pack(">I", 0)},
])
def test_srgb_s_own_gamma_and_what_stands_below_an_srgb_chunk_change_nothing(chunks):
    assert_close(load_image(png(1, 8, 0, b"\x33", **chunks)), torch.full((3, 1, 1), 0.2))


# Errors


def test_a_raw_photo_is_not_taken_for_its_preview(tmp_path):
    import tifffile

    preview, sensor = np.full((12, 16, 3), 80, np.uint8), np.zeros((120, 160), np.uint16)
    for name, options in {
        "a.dng": {"extratags": [(50706, 1, 4, b"\1\4\0\0", True)]},
        "a.tif": {"subfiletype": 1}, "a.nef": {},
    }.items():
        with tifffile.TiffWriter(tmp_path / name) as file:
            file.write(preview, photometric="rgb", subifds=1, **options)
            file.write(sensor, subfiletype=0)
        with pytest.raises(ValueError, match=rf"{name}.*raw photo.*: export it as JPEG\.$"):
            load_image(tmp_path / name)
    (tmp_path / "a.cr3").write_bytes(b"\0\0\0\x18ftypcrx " + bytes(99))
    with pytest.raises(ValueError, match=r"raw photo\): export it as JPEG\.$"):
        load_image(tmp_path / "a.cr3")


def test_a_tiff_of_small_pages_behind_a_large_one_loads(tmp_path):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.full((12, 16, 3), 51, np.uint8), photometric="rgb")
        file.write(np.full((6, 8, 3), 80, np.uint8), photometric="rgb", subfiletype=1)
    assert_close(load_image(tmp_path / "a.tif"), torch.full((3, 12, 16), 0.2))
