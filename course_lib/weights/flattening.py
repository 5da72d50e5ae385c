"""Sorts what a file holds, dicts in dicts in networks, into tensors and settings by name."""

import argparse
from contextlib import suppress

from torch import Tensor

from course_lib.weights.files import Refusal
from course_lib.weights.unpickling import Array, Network

LAYER_SETTINGS = ("activation", "architecture", "bias_gain", "conv_clamp", "group_size",
                  "use_noise")
MAX_STEPS, MAX_DEPTH, MAX_NAME = 50_000, 64, 1000  # entries, nesting, letters of a dotted name


def flatten(content: object) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors in nested dicts, lists and networks by dotted names, and the settings.

    Raises:
        Refusal: it holds two things of one name, or more than weights need.
    """
    walk = _Walk()
    walk.collect("", content)
    return walk.tensors, walk.settings


class _Walk:
    """What was found so far. It counts its steps: a file can name one dict a billion times."""

    def __init__(self):
        self.tensors: dict[str, Tensor] = {}
        self.settings: dict[str, object] = {}
        self.steps = 0

    def collect(
        self, name: str, value: object, *, depth: int = 0, inside: str | None = None
    ) -> None:
        """Sort `value` into tensors and settings; `inside` a network (its name) tensors count."""
        self.step(name, depth)
        if isinstance(value, Array):
            value = value.tensor
        if isinstance(value, argparse.Namespace):
            value = vars(value)
        if isinstance(value, Tensor):
            if name in self.tensors:
                raise Refusal(f"holds two tensors named {name}, so it can't be trusted: "
                              f"download it again from its publisher.")
            self.tensors[name] = value.detach()
        elif isinstance(value, Network):
            if inside is None:
                self.settings[name], inside = self.made_with(value), name
            else:
                self.note_layer(name, value, inside)
            for part in ("_parameters", "_buffers", "_modules"):
                self.collect(name, value.state.get(part), depth=depth + 1, inside=inside)
        elif isinstance(value, dict):
            self.entries(name, value, depth + 1, inside)
        elif inside is None:
            try:
                self.settings[name] = self.plain(value, depth)
            except TypeError:  # a list with tensors in it; anything else is left out
                if isinstance(value, list | tuple):
                    self.entries(name, dict(enumerate(value)), depth + 1, inside)

    def note_layer(self, name: str, layer: Network, network: str) -> None:
        """What a layer of a network says of itself, beside its tensors."""
        place = name.removeprefix(f"{network}.")
        for key in LAYER_SETTINGS:
            if key in layer.state:
                with suppress(TypeError):
                    table = self.settings.setdefault(
                        f"{network}.layers" if network else "layers", {})
                    table[f"{place}.{key}"] = self.plain(layer.state[key], 0)

    def entries(self, name: str, table: dict, depth: int, inside: str | None) -> None:
        for key, value in table.items():
            if not isinstance(key, str | int):
                raise Refusal("names its entries by something else than texts and numbers, so it "
                              "is no file of weights: pass another one.")
            self.collect(f"{name}.{key}" if name else str(key), value, depth=depth, inside=inside)

    def made_with(self, network: Network) -> dict[str, object]:
        """The arguments of the network's constructor, as far as they are plain."""
        given, found = network.state.get("_init_kwargs"), {}
        arguments = dict(given) if isinstance(given, dict) else {}
        if network.state.get("_init_args"):
            arguments["args"] = network.state["_init_args"]
        for key, value in arguments.items():
            with suppress(TypeError):
                found[str(key)] = self.plain(value, 0)
        return found

    def plain(self, value: object, depth: int) -> object:
        """A copy of numbers, texts, lists and dicts; a `TypeError` for anything else."""
        self.step("", depth)
        if value is None or isinstance(value, str | bool | int | float):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return [self.plain(item, depth + 1) for item in value]
        if isinstance(value, dict) and all(isinstance(key, str | int) for key in value):
            return {str(key): self.plain(item, depth + 1) for key, item in value.items()}
        raise TypeError

    def step(self, name: str, depth: int) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS or depth > MAX_DEPTH or len(name) > MAX_NAME:
            raise Refusal("nests more entries than weights need, so it can't be trusted: download "
                          "it again from its publisher.")
