"""Files that were pickled: read as data, or refused; never run."""

import copyreg
import io
import os
import pickle
import pickletools
import random
import re
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.generators.stylegan2_networks import (
    Discriminator,
    Mapping,
    StyleGAN2Config,
    Synthesis,
)
from course_lib.weights import read_weights
from course_lib.weights.checkpoints import TORCH_MAGIC

SMALL = StyleGAN2Config(channels=(6, 6, 4, 4), z_dim=8, w_dim=8, mapping_layers=2)
KEPT = ("training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_backward_hooks")


# --- how the official release writes its files ---

class Persistent:
    """A module as torch_utils.persistence pickles it: its class's source code, and its state."""

    def __init__(self, module: nn.Module, source: str, **arguments):
        self.source, self.name = source, type(module).__name__
        self.state = {key: module.__dict__[key] for key in KEPT}
        self.state["_modules"] = OrderedDict(
            (name, Persistent(child, source)) for name, child in module._modules.items()
        )
        self.state |= {"_init_args": (), "_init_kwargs": arguments}

    def __reduce__(self):
        meta = {"type": "class", "version": 6, "module_src": self.source,
                "class_name": self.name, "state": self.state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


@pytest.fixture
def official_modules(monkeypatch):
    """Modules of the names that official files refer to, as long as a file is being written."""
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("the official function was called")

    EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj
    sys.modules["dnnlib.util"].EasyDict = EasyDict
    yield EasyDict
    monkeypatch.undo()


def small_networks() -> dict[str, nn.Module]:
    """A generator and a discriminator of the official structure, for 32² pictures."""
    torch.manual_seed(0)
    generator = nn.Module()
    generator.mapping, generator.synthesis = Mapping(8, 0, 8, 2), Synthesis(SMALL)
    return {"D": Discriminator(SMALL), "G_ema": generator}


@pytest.fixture
def official(official_modules, marker):
    """(networks, what a file of them contains, in the official layout)."""
    EasyDict, networks = official_modules, small_networks()
    source = f"open({str(marker)!r}, 'w').close()"
    arguments = {
        "z_dim": 8, "c_dim": 0, "w_dim": np.int64(8), "img_resolution": 32,
        "mapping_kwargs": EasyDict(num_layers=2),
        "synthesis_kwargs": EasyDict(channel_max=6, conv_clamp=None, gain=np.float32(0.5)),
    }
    content = {name: Persistent(net, source, **arguments) for name, net in networks.items()}
    content["training_set_kwargs"] = EasyDict(path="~/cats.zip", use_labels=False)
    content["augment_pipe"] = None
    return networks, content


@pytest.fixture
def marker(tmp_path) -> Path:
    """A file that exists if hostile code ran."""
    return tmp_path / "code_ran"


def write(folder: Path, content: bytes, name: str = "weights.pkl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# --- known answers ---

@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_an_official_pickle_gives_its_networks_tensors_and_arguments(
    tmp_path, official, marker, protocol
):
    networks, content = official
    found = read_weights(write(tmp_path, pickle.dumps(content, protocol=protocol)))
    expected = {
        f"{name}.{key}": value
        for name, net in networks.items() for key, value in net.state_dict().items()
    }
    assert found.tensors.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found.tensors[name], value), name
        assert not found.tensors[name].requires_grad
    assert found.settings["G_ema"] == {
        "z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 32,
        "mapping_kwargs": {"num_layers": 2},
        "synthesis_kwargs": {"channel_max": 6, "conv_clamp": None, "gain": 0.5},
    }
    assert found.settings["training_set_kwargs.path"] == "~/cats.zip"
    assert not marker.exists(), "the source code in the file was run"


def test_numpy_1_and_numpy_2_files_are_both_read(tmp_path, official):
    content = pickle.dumps(official[1], protocol=3)
    assert b"numpy._core.multiarray" in content
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert read_weights(write(tmp_path, old)).settings["G_ema"]["w_dim"] == 8


def test_arguments_without_a_name_are_listed_as_args(tmp_path, official):
    content = official[1]
    content["G_ema"].state["_init_args"] = (8, [1, 2], torch.ones(1))
    del content["D"]
    assert "args" not in read_weights(write(tmp_path, pickle.dumps(content))).settings["G_ema"]
    content["G_ema"].state["_init_args"] = (8, [1, 2])
    found = read_weights(write(tmp_path, pickle.dumps(content)))
    assert found.settings["G_ema"]["args"] == [8, [1, 2]]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoints_nested_dicts_become_dotted_names(tmp_path, rng, zipped):
    weight, average = torch.randn(3, 4, generator=rng), torch.randn(4, generator=rng)
    checkpoint = {
        "g_ema": OrderedDict({"style.1.weight": weight}), "latent_avg": average.half(),
        "opts": {"lr": 0.002, "sizes": [4, 8]}, "steps": {0: weight[0]}, "list": [average, "x"],
    }
    path = tmp_path / "weights.pkl"  # the content decides, not the ending
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert list(found.tensors) == ["g_ema.style.1.weight", "latent_avg", "steps.0", "list.0"]
    assert torch.equal(found.tensors["g_ema.style.1.weight"], weight)
    assert torch.equal(found.tensors["latent_avg"], average.half().float())
    assert found.settings == {"opts.lr": 0.002, "opts.sizes": [4, 8], "list.1": "x"}


def test_a_pickled_state_dict_of_tensors_and_arrays_is_read(tmp_path, rng):
    grid = torch.randn(3, 4, generator=rng)
    arrays = {
        "plain": grid.numpy(), "columns": np.asfortranarray(grid.numpy()),
        "swapped": grid.numpy().astype(">f4"), "bits": grid.numpy() > 0,
    }
    content = {"view": grid[1:, ::2], "column": grid.T, "empty": grid[:0], **arrays}
    found = read_weights(write(tmp_path, pickle.dumps(content))).tensors
    for name in ("plain", "columns", "swapped"):
        assert torch.equal(found[name], grid), name
    assert torch.equal(found["bits"], grid > 0)
    assert torch.equal(found["view"], grid[1:, ::2]) and torch.equal(found["column"], grid.T)
    assert found["empty"].shape == (0, 4)


# --- laws ---

def four_formats(folder: Path, content: dict) -> list[Path]:
    """One content in each format that is read."""
    from safetensors.torch import save_file

    paths = [folder / name for name in ("a.pkl", "a.pt", "legacy.pt", "a.safetensors")]
    paths[0].write_bytes(pickle.dumps({"G_ema": content["G_ema"]}))
    tensors = {key: value.clone() for key, value in read_weights(paths[0]).tensors.items()}
    torch.save(tensors, paths[1])
    torch.save(tensors, paths[2], _use_new_zipfile_serialization=False)
    save_file(tensors, paths[3], {"steps": "3"})
    return paths


def test_a_cut_file_is_refused_wherever_it_was_cut(tmp_path, official, as_users_run_it):
    chance = random.Random(0)
    for path in four_formats(tmp_path, official[1]):
        whole = path.read_bytes()
        for length in [1, 7, 8, 9, len(whole) - 1, *chance.sample(range(len(whole)), 15)]:
            cut = write(tmp_path, whole[:length], "cut")
            with pytest.raises(ValueError, match=r"download|save") as caught:
                read_weights(cut)
            assert str(caught.value).startswith(str(cut))


def test_a_flipped_bit_is_refused_or_harmless(tmp_path, official, marker, as_users_run_it):
    chance = random.Random(0)
    for path in four_formats(tmp_path, official[1]):
        whole = path.read_bytes()
        for trial in range(30):
            broken = bytearray(whole)
            # Half of them among the instructions at the beginning, where they hurt most.
            place = chance.randrange(min(len(whole), 4000) if trial % 2 else len(whole))
            broken[place] ^= 1 << chance.randrange(8)
            try:
                found = read_weights(write(tmp_path, bytes(broken), "flipped"))
                assert all(isinstance(x, torch.Tensor) for x in found.tensors.values())
            except ValueError as error:
                assert str(error).startswith(str(tmp_path / "flipped"))
    assert not marker.exists()


# --- errors: hostile files ---

START = b"\x80\x04"


def named(module: str, name: str) -> bytes:
    return b"c" + f"{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def data(value: bytes) -> bytes:
    return b"B" + len(value).to_bytes(4, "little") + value


def calls(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def stack_named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def torch_file(content: object, *, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def hand_made_zip(pickled: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


NUMBERS = next(x for _, x, _ in pickletools.genops(pickle.dumps(torch.arange(6.0)))
               if isinstance(x, bytes) and x.startswith(TORCH_MAGIC))
STORAGE = calls("torch.storage", "_load_from_bytes", data(NUMBERS))


def tensor(offset: bytes, size: bytes, stride: bytes, storage: bytes = STORAGE) -> bytes:
    hooks = calls("collections", "OrderedDict")
    return calls("torch._utils", "_rebuild_tensor_v2",
                 storage, offset, size, stride, b"\x89", hooks)


def whole(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)


def sizes(*values: int) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def hostile_files(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Name: (what the file holds, what its refusal says)."""
    command = f"touch {marker}"
    run, shell = Calls(os.system, command), text(command)
    python = text(f"open({str(marker)!r}, 'w').close()")
    system = r"posix\.system|nt\.system|os\.system"
    scalar = calls("numpy._core.multiarray", "scalar", calls("numpy", "dtype", text("f8")))
    bomb = [torch.ones(1)]
    for _ in range(40):
        bomb = [bomb] * 10
    loop: list = []
    loop.append(loop)
    return {
        "os.system": (pickle.dumps({"G_ema": run}), system),
        "os.system, protocol 0": (b"cos\nsystem\n(S'%s'\ntR." % command.encode(), r"os\.system"),
        "os.system, INST": (START + b"(S'%s'\nios\nsystem\n." % command.encode(), "INST"),
        "os.system, OBJ": (START + b"(" + named("os", "system") + shell + b"o.", r"os\.system"),
        "os.system, STACK_GLOBAL": (START + stack_named("os", "system") + shell + b"\x85R.",
                                    r"os\.system"),
        "eval": (START + calls("builtins", "eval", python) + b".", r"builtins\.eval"),
        "exec": (pickle.dumps({"weights": Calls(exec, "import os")}), r"builtins\.exec"),
        "subprocess": (pickle.dumps(Calls(subprocess.Popen, command)), r"subprocess\.Popen"),
        "import": (START + calls("builtins", "__import__", text("antigravity")) + b".",
                   "__import__"),
        "a module's name": (START + named("antigravity", "fly") + b".", r"antigravity\.fly"),
        "getattr": (START + calls("builtins", "getattr", named("collections", "OrderedDict"),
                                  text("__init__")) + b".", r"builtins\.getattr"),
        "dotted name": (START + stack_named("collections", "OrderedDict.__init__.__globals__")
                        + b".", "__globals__"),
        "dotted name of ours": (START + stack_named("torch_utils.persistence",
                                                    "_reconstruct_persistent_obj.__globals__")
                                + b".", "__globals__"),
        "names that are no texts": (START + b"KAKA\x93.", "damaged"),
        "copyreg": (START + calls("copyreg", "_reconstructor") + b".", r"copyreg\._reconstructor"),
        "extension": (START + b"\x82\xf0" + shell + b"\x85R.", "EXT1"),
        "persistent id": (START + text("os.system") + b"Q.", "BINPERSID"),
        "keyword arguments": (START + named("dnnlib.util", "EasyDict") + b")}" + text("self")
                              + b"Ns\x92.", "NEWOBJ_EX"),
        "state of a class": (START + named("collections", "OrderedDict") + b"}" + text("__init__")
                             + named("collections", "OrderedDict") + b"sb.", "state"),
        "slots of a function": (START + named("torch._utils", "_rebuild_tensor_v2") + b"N}"
                                + text("__code__") + b"Ns\x86b.", "state"),
        "attributes of a dict": (START + calls("collections", "OrderedDict") + b"}"
                                 + text("__class__") + named("builtins", "set") + b"sb.",
                                 "no tensors"),
        "a called type": (START + calls("numpy", "ndarray") + b".", "calls what is no function"),
        "a called text": (START + shell + b")R.", "calls what is no function"),
        "network of a text": (START + calls("torch_utils.persistence",
                                            "_reconstruct_persistent_obj", shell) + b".", "state"),
        "pickle in a tensor": (START + calls("torch.storage", "_load_from_bytes",
                                             data(pickle.dumps(run))) + b".", "unknown way"),
        "legacy file in a tensor": (START + calls("torch.storage", "_load_from_bytes",
                                                  data(torch_file(run, zipped=False))) + b".",
                                    system),
        "zip in a tensor": (START + calls("torch.storage", "_load_from_bytes",
                                          data(torch_file(run, zipped=True))) + b".",
                            "unknown way"),
        "torch zip": (torch_file({"g_ema": run}, zipped=True), system),
        "legacy torch file": (torch_file({"g_ema": run}, zipped=False), system),
        "hand-made zip": (hand_made_zip(START + calls("builtins", "eval", python) + b"."),
                          "import .*eval"),
        "torch.load": (START + calls("torch.serialization", "load", shell) + b".",
                       r"torch\.serialization\.load"),
        "object array": (pickle.dumps(np.array([run], dtype=object)), "no plain numbers"),
        "object scalar": (START + calls("numpy._core.multiarray", "scalar",
                                        calls("numpy", "dtype", text("O8")), shell) + b".",
                          "no plain numbers"),
        "record array": (pickle.dumps(np.zeros(2, dtype=[("a", "f4")])), "no plain numbers"),
        "scalar without bytes": (START + scalar + b".", "damaged"),
        "offset beyond": (START + tensor(whole(6), sizes(1), sizes(1)) + b".", "beyond"),
        "size beyond": (START + tensor(whole(0), sizes(7), sizes(1)) + b".", "beyond"),
        "stride beyond": (START + tensor(whole(0), sizes(2), sizes(6)) + b".", "beyond"),
        "stride of zero": (START + tensor(whole(0), sizes(10**12), sizes(0)) + b".", "beyond"),
        "negative offset": (START + tensor(whole(-1), sizes(1), sizes(1)) + b".", "sizes"),
        "negative stride": (START + tensor(whole(5), sizes(2), sizes(-1)) + b".", "sizes"),
        "huge size": (START + tensor(whole(0), sizes(2**62, 2**62), sizes(1, 1)) + b".", "sizes"),
        "fewer strides": (START + tensor(whole(0), sizes(2, 3), sizes(1)) + b".", "damaged"),
        "many axes": (START + tensor(whole(0), sizes(*[1] * 99), sizes(*[1] * 99)) + b".", "sizes"),
        "no storage": (START + tensor(whole(0), sizes(1), sizes(1), storage=b"N") + b".",
                       "without numbers"),
        "terabyte of bytes": (START + b"\x8e" + (2**40).to_bytes(8, "little") + b".", "damaged"),
        "memo of gigabytes": (START + b"}r\xff\xff\xff\xff.", "no tensors"),
        "many instructions": (START + b"]0" * 300_000 + b".", "more instructions"),
        "storage read again": (START + named("torch.storage", "_load_from_bytes") + b"q\x000"
                               + data(NUMBERS) + b"\x85q\x010" + b"h\x00h\x01R0" * 1000 + b".",
                               "more numbers than it has bytes"),
        "lists in lists": (pickle.dumps(bomb), "nests"),
        "list in itself": (pickle.dumps(loop), "nests"),
        "one tensor everywhere": (START + b"](" + tensor(whole(0), sizes(6), sizes(1)) + b"q\x00"
                                  + b"h\x00" * 60_000 + b"e.", "nests"),
        "bytearray in a zip": (hand_made_zip(b"\x80\x02" + calls(
            "builtins", "bytearray", b"\x8a\x07" + (2**52).to_bytes(7, "little")) + b"."), "torch"),
        "keys that are no names": (pickle.dumps({(1, 2): torch.ones(1)}), "names its entries"),
        "tuples in a key": (START + b"})" + b"\x85" * 1000 + b"Ns.", "names its entries"),
        "tuples in a member": (START + b"\x8f()" + b"\x85" * 1000 + b"\x90.", "names its"),
        "tuples in a zip's key": (hand_made_zip(START + b"})" + b"\x85" * 30_000 + b"Ns."),
                                  "30000 tuples"),
        "tuples in a legacy file's key": (
            TORCH_MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + START + b"})"
            + b"\x85" * 30_000 + b"Ns." + START + b"].", "30000 tuples"),
        "two of one name": (pickle.dumps({"a.b": torch.ones(1), "a": {"b": torch.ones(1)}}),
                            "two tensors"),
        "TensorFlow": (START + calls("dnnlib.tflib.network", "Network") + b".",
                       "TensorFlow.*convert it first"),
        "no tensors": (pickle.dumps({"G_ema": None}), "no tensors"),
    }


@pytest.mark.parametrize("kind", hostile_files(Path("nowhere")))
def test_a_hostile_file_is_refused_and_never_run(
    tmp_path, marker, official_modules, monkeypatch, as_users_run_it, kind
):
    monkeypatch.setitem(copyreg._inverted_registry, 240, ("os", "system"))
    monkeypatch.setitem(copyreg._extension_cache, 240, os.system)
    content, reason = hostile_files(marker)[kind]
    before = set(sys.modules)
    with pytest.raises(ValueError, match=reason) as caught:
        read_weights(write(tmp_path, content))
    sentence = rf"{re.escape(str(tmp_path / 'weights.pkl'))} [^\n]+: [^\n]+\."
    assert re.fullmatch(sentence, str(caught.value)), "not what, why: what to do"
    assert not marker.exists(), "code in the file was run"
    assert "antigravity" not in set(sys.modules) - before, "a module was imported"


def test_the_hostile_files_would_run_in_pythons_own_machine(marker):
    # Or the test above would prove nothing.
    pickle.loads(hostile_files(marker)["os.system"][0])
    assert marker.exists()


def test_what_was_refused_leaves_the_next_file_alone(tmp_path, official, as_users_run_it, marker):
    good = write(tmp_path, pickle.dumps(official[1]), "good")
    for content, _ in list(hostile_files(marker).values())[13:22]:
        with pytest.raises(ValueError):
            read_weights(write(tmp_path, content))
        assert len(read_weights(good).tensors) > 50


def test_a_compressed_zip_is_refused_before_it_is_unpacked(tmp_path, as_users_run_it):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(ValueError, match="more than its own size"):
        read_weights(path)


def test_a_file_can_not_claim_more_numbers_than_it_has(tmp_path, as_users_run_it):
    numbers = torch.ones(1000)
    path = tmp_path / "bomb.pt"
    torch.save({"a": numbers.expand(10_000, 1000)}, path)
    with pytest.raises(ValueError, match="claims 40 MB"):
        read_weights(path)
    content = {f"{index}": numbers.view(10, 100) for index in range(50)}
    torch.save(content, path)
    with pytest.raises(ValueError, match="claims"):
        read_weights(path)


def test_tensors_of_other_kinds_than_dense_numbers_are_refused(tmp_path, as_users_run_it):
    for odd in (torch.eye(3).to_sparse(), torch.empty(10**6, 10**6, device="meta")):
        path = tmp_path / "odd.pt"
        torch.save({"a": odd}, path)
        with pytest.raises(ValueError, match="no plain tensor"):
            read_weights(path)


def test_a_terabyte_is_never_asked_for(tmp_path, official_modules, marker, as_users_run_it):
    import tracemalloc

    files = hostile_files(marker)
    for kind in ("terabyte of bytes", "memo of gigabytes", "stride of zero"):
        path = write(tmp_path, files[kind][0])
        tracemalloc.start()
        with pytest.raises(ValueError):
            read_weights(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10_000_000, kind
