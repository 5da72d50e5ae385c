"""The only door to stored or downloaded weights.

For now: the one repair that packages with such weights (lpips, open_clip) need before they import.
"""

import torch


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
