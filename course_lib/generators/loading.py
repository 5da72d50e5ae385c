"""Loading stored weights into a network: which of a file's tensors are its own, and do they fit."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import Tensor, nn

from course_lib.thrift import unfilled
from course_lib.weights import StoredWeights

Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)


def load_frozen(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Give a module that was built `unfilled` its stored weights, and freeze it.

    Raises:
        ValueError: weights are missing, too many, or of the wrong shape.
    """
    wanted = module.state_dict()
    missing, spare = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    both = wanted.keys() & tensors.keys()
    wrong = {key for key in both if wanted[key].shape != tensors[key].shape}
    for fault, keys in (("lacks", missing), ("has beyond its layers", spare),
                        ("has in the wrong shape", wrong)):
        if keys:
            raise ValueError(
                f"{name} {fault} {len(keys)} weights ({sorted(keys)[0]} first), so it is another "
                f"architecture than its other weights say: check where the file comes from."
            )
    stored = {key: value.to(wanted[key].dtype).contiguous() for key, value in tensors.items()}
    module.load_state_dict(stored, assign=True)
    module.eval().requires_grad_(False)


def load_configured(
    make: Callable[[Config, str], Network], kind: type[Config], first: str,
    weights: StoredWeights, name: str,
) -> Network:
    """The network of a file that holds its config beside its weights.

    Args:
        make: builds it, of the config and the name.
        first: a weight's name that tells where its own names begin in the file.
    Raises:
        ValueError: weights or the config are missing, or of the wrong shape.
    """
    config = read_config(kind, weights, name)
    with unfilled():
        network = make(config, name)
    load_frozen(network, select_prefix(weights.tensors, find_prefix(weights.tensors, first)), name)
    return network


def select_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those weights whose names begin with `prefix`, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items()
            if key.startswith(prefix)}


def find_prefix(tensors: Mapping[str, Tensor], name: str) -> str | None:
    """What stands before a weight's `name` in a file ("G_ema.", "g_ema.module.", ""), if it is in.

    Of several networks in a file, the averaged one's.
    """
    found = [key.removesuffix(name) for key in tensors if f".{key}".endswith(f".{name}")]
    return min(found, key=lambda prefix: ("ema" not in prefix.lower(), len(prefix)), default=None)


def read_config(kind: type[Config], weights: StoredWeights, name: str) -> Config:
    """The config, a dataclass, that was stored with a file's weights.

    Raises:
        ValueError: it is missing, or of another kind.
    """
    try:
        return kind(**weights.settings["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} holds weights without their {kind.__name__} ({error}), so the network can't "
            f"be built: check that the file is complete, and of this family."
        ) from error
