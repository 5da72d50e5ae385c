"""The only door to stored or downloaded weights.

Nothing that comes through it is ever executed: safetensors hold numbers only, torch files are
loaded in the mode that runs no code, and official `.pkl` files are read by a machine of our own
(`unpickling`). What a file is, its content decides, not its ending.
"""

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from course_lib.weights.checkpoints import TORCH_MAGIC, load_checkpoint
from course_lib.weights.downloads import REMOTE, RemoteWeights, fetch_weights, is_downloaded
from course_lib.weights.files import (
    Damage,
    Refusal,
    require_sha256,
    require_weights_file,
    to_path,
)
from course_lib.weights.flattening import flatten
from course_lib.weights.unpickling import read_pickle
from course_lib.writing import whole_file

__all__ = [
    "REMOTE", "RemoteWeights", "StoredWeights", "fetch_weights", "import_torchvision",
    "is_downloaded", "read_weights", "require_sha256", "save_weights",
]


@dataclass(frozen=True)
class StoredWeights:
    """What a file of weights holds.

    Attributes:
        tensors: by dotted name, on the CPU; half precision comes back as float32.
        settings: what the file says about them: numbers, texts, lists and dicts.
    """

    tensors: Mapping[str, Tensor]
    settings: Mapping[str, object]


def read_weights(path: str | Path) -> StoredWeights:
    """Read a file of weights, without running anything in it.

    - `.safetensors`: names as they are stored; settings are its metadata, read as JSON where
      they are JSON.
    - official StyleGAN2 `.pkl`: names begin with the network's, "G_ema.mapping.fc0.weight";
      settings["G_ema"] are the arguments it was made with, those without a name in a list
      under "args"; settings["G_ema.layers"] is what its layers say of themselves,
      "synthesis.b4.conv1.conv_clamp", say (of
      `flattening.LAYER_SETTINGS`). Of a network that stands alone,
      settings[""] and settings["layers"].
    - `.pt`, `.pth`, `.ckpt`: dicts in dicts become dotted names, "g_ema.style.1.weight"; what
      is no tensor but plain goes into the settings under such a name, a training run's arguments
      (an `argparse.Namespace`) among it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is none of these, is damaged, or asks for more than data.
    """
    path = to_path(path)
    try:
        found = _read(path, require_weights_file(path))
        if not found.tensors:
            raise Refusal("holds no tensors, so there are no weights in it: check which file "
                          "of its publisher you need.")
        _require_plausible(found.tensors, path.stat().st_size)
    except Refusal as refusal:
        raise ValueError(f"{path} {refusal}") from refusal.__cause__
    return StoredWeights({name: _widened(x) for name, x in found.tensors.items()}, found.settings)


def save_weights(
    path: str | Path, tensors: Mapping[str, Tensor], *, settings: Mapping[str, object],
    half: bool = True,
) -> None:
    """Write weights as safetensors; the file appears whole or not at all.

    Args:
        path: where to; the folder exists.
        tensors: by dotted name.
        settings: what to say about them, whatever JSON can hold.
        half: store floats in half precision, which `read_weights` widens again.
    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: a number is too large for half precision, JSON can't hold a setting, or the
            file can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = to_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path.parent} is no folder, so the weights can't be written into it: create it "
            f"first, or choose another."
        )
    stored = {name: _stored(name, tensor, half) for name, tensor in tensors.items()}
    try:
        metadata = {name: json.dumps(value) for name, value in settings.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"settings can't be written as JSON ({error}), so nothing was saved: pass numbers, "
            f"texts, lists and dicts only."
        ) from error
    try:
        with whole_file(path) as part:
            save_file(stored, part, metadata)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} can't be written ({error}), so nothing was saved: check the folder's "
            f"permissions and free space."
        ) from error


def _stored(name: str, tensor: Tensor, half: bool) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise ValueError(
            f"{name} is a {type(tensor).__name__}, but weights are tensors: put what is no "
            f"tensor into the settings."
        )
    tensor = tensor.detach().cpu()
    if half and tensor.is_floating_point():
        if (tensor.abs() > torch.finfo(torch.float16).max).any():
            raise ValueError(
                f"{name} holds numbers beyond 65504, the largest in half precision, so they "
                f"would become infinite: save with half=False."
            )
        tensor = tensor.half()
    return tensor.clone(memory_format=torch.contiguous_format)  # no two names share numbers


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _read(path: Path, head: bytes) -> StoredWeights:
    """Choose by the first bytes how to read it."""
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return _read_safetensors(path)
    with path.open("rb") as file:
        if head.startswith((b"PK", TORCH_MAGIC)):
            return StoredWeights(*flatten(load_checkpoint(file)))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
            try:
                return StoredWeights(*flatten(read_pickle(stream, len(stream))))
            except Damage as damage:
                if head.startswith(b"\x80"):
                    raise
                raise Refusal(
                    "is in none of the formats read here (safetensors, torch, pickle), or its "
                    "beginning is lost: download it again, or export it as .safetensors."
                ) from damage


def _read_safetensors(path: Path) -> StoredWeights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            # Copies: the file may change or vanish, and these must not.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            metadata = file.metadata() or {}
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise Damage(
            "is a damaged or unfinished safetensors file: download or save it again."
        ) from error
    return StoredWeights(tensors, {name: _parsed(text) for name, text in metadata.items()})


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _require_plausible(tensors: Mapping[str, Tensor], size: int) -> None:
    """Raise a `Refusal` if the tensors are no plain ones, or more than a file of `size` holds."""
    total = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise Refusal(f"holds {name} in a form that is no plain tensor, which no generator "
                          f"here can use: export it as dense numbers.")
        total += tensor.numel() * tensor.element_size()
    if total > 4 * size + 4096:  # 4, since two names may stand for the same numbers
        raise Refusal(
            f"claims {total / 1e6:.0f} MB of numbers but has {size / 1e6:.0f} MB, so it can't be "
            f"trusted: download it again from its publisher."
        )


def import_torchvision() -> None:
    """Import torchvision, also next to a torch that its binary was not built for.

    Beside a CPU build of torch, torchvision's compiled operators are not found and its import
    fails on two schemas that it declares the shape rules of (pytorch/vision#9085). Declaring
    the schemas first is enough: neither operator is used in this course.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _keep.append(library)  # the schemas live as long as the library object
        import torchvision  # noqa: F401


_keep: list[torch.library.Library] = []
