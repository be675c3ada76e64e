"""The codec of vision and the headers of its streams."""

from __future__ import annotations

from .codec import TokenCodec
from .tensor_pictures import TensorPictures
from .vision_door import VisionDoor
from .vision_identity import VisionStreams


class VisionFiles(VisionStreams, VisionDoor, TokenCodec):
    """What `Jovio` is to files: who makes and reads their streams."""

    kind = "vision"

    def picture_network(self) -> TensorPictures:
        """Its networks for still pictures, on arrays."""
        return TensorPictures(self)
