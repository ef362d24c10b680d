"""MTCNN, which finds faces: three small networks, each looking closer at what the last one kept.

Zhang, Zhang, Li & Qiao, *Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks* (arXiv 1604.02878). The released numbers are in the wheel `facenet-pytorch` (2.6.0), as
`data/pnet.pt`, `rnet.pt` and `onet.pt`. Put them beside this file:

    convlens predict examples/mtcnn.py:network people.jpg --out seen
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convlens
from convlens.zoo.detection.boxes import nms

FOLDER = Path(__file__).parent

LARGEST, FACTOR = 0.6, 0.709
"""The first scale of the pyramid, at which a face of 20 pixels has 12, and from one to the next."""


class Propose(nn.Module):
    """Windows of 12 pixels: (n, 3, h, w) to shifts (n, 4, h', w') and chances (n, 2, h', w')."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.softmax4_1 = nn.Conv2d(32, 2, 1), nn.Softmax(1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A window every 2 pixels."""
        x = self.pool1(self.prelu1(self.conv1(x)))  # -> (n, 10, h / 2 - 1, w / 2 - 1)
        x = self.prelu2(self.conv2(x))  # -> (n, 16, h / 2 - 3, w / 2 - 3)
        x = self.prelu3(self.conv3(x))  # -> (n, 32, h / 2 - 5, w / 2 - 5)
        return self.conv4_2(x), self.softmax4_1(self.conv4_1(x))


class Refine(nn.Module):
    """Windows (n, 3, 24, 24) to shifts (n, 4) and chances (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.softmax5_1 = nn.Linear(128, 2), nn.Softmax(1)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One face or none a window."""
        x = self.pool1(self.prelu1(self.conv1(x)))  # -> (n, 28, 11, 11)
        x = self.pool2(self.prelu2(self.conv2(x)))  # -> (n, 48, 4, 4)
        x = self.prelu3(self.conv3(x))  # -> (n, 64, 3, 3)
        x = self.prelu4(self.dense4(columns_first(x)))  # -> (n, 128)
        return self.dense5_2(x), self.softmax5_1(self.dense5_1(x))


class Output(nn.Module):
    """Windows (n, 3, 48, 48) to shifts (n, 4), points (n, 10), the xs first, chances (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.softmax6_1 = nn.Linear(256, 2), nn.Softmax(1)
        self.dense6_2, self.dense6_3 = nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One face or none a window."""
        x = self.pool1(self.prelu1(self.conv1(x)))  # -> (n, 32, 23, 23)
        x = self.pool2(self.prelu2(self.conv2(x)))  # -> (n, 64, 10, 10)
        x = self.pool3(self.prelu3(self.conv3(x)))  # -> (n, 64, 4, 4)
        x = self.prelu4(self.conv4(x))  # -> (n, 128, 3, 3)
        x = self.prelu5(self.dense5(columns_first(x)))  # -> (n, 256)
        return self.dense6_2(x), self.dense6_3(x), self.softmax6_1(self.dense6_1(x))


class MTCNN(nn.Module):
    """Pictures (n, 3, h, w), values 0 to 1, to the boxes, scores and points of their faces."""

    preparation = convlens.Preparation(size=None, crop=False)  # every pixel as it is
    categories = ("face",)

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = Propose(), Refine(), Output()

    def forward(self, pictures: Tensor) -> list[dict[str, Tensor]]:
        """Boxes (k, 4) in pixels, x1, y1, x2, y2; scores (k,); keypoints (k, 5, 3), x, y and 1."""
        return [self.faces(255 * picture) for picture in pictures]

    def faces(self, picture: Tensor) -> dict[str, Tensor]:
        """The faces of a picture (3, h, w), values 0 to 255."""
        boxes = self.refined(picture, self.proposed(picture))
        shifts, points, chances = self.onet(windows(picture, boxes, 48))  # (k, 4), (k, 10), (k, 2)
        scores = chances[:, 1]
        found = scores > 0.7
        boxes, scores, shifts, points = boxes[found], scores[found], shifts[found], points[found]
        sides = boxes[:, 2:] - boxes[:, :2] + 1
        # (k, 10) -> (k, 2, 5) -> (k, 5, 2): from parts of the window to pixels of the picture
        places = points.unflatten(1, (2, 5)).mT * sides[:, None] + boxes[:, None, :2] - 1
        boxes = shifted(boxes, shifts)
        kept = uncovered(boxes, scores)
        return {
            "boxes": boxes[kept],
            "labels": torch.zeros(len(kept), dtype=torch.int64),
            "scores": scores[kept],
            "keypoints": torch.cat((places, torch.ones_like(places[..., :1])), 2)[kept],
        }

    def proposed(self, picture: Tensor) -> Tensor:
        """Squares (k, 4) in a picture (3, h, w) that may hold a face, of every size."""
        h, w = picture.shape[1:]
        cells, chances, moves = [], [], []
        scale = LARGEST
        while min(h, w) * scale >= 12:
            small = resized(picture[None], int(h * scale + 1), int(w * scale + 1))
            shifts, faces = self.pnet(small)  # (1, 4, h', w'), (1, 2, h', w')
            rows, columns = torch.where(faces[0, 1] >= 0.6)
            corners = 2 * torch.stack((columns, rows), 1)  # (k, 2), in pixels of this scale
            boxes = (torch.cat((corners + 1, corners + 12), 1) / scale).floor()
            scores = faces[0, 1, rows, columns]
            kept = nms(boxes, scores, 0.5)
            cells.append(boxes[kept])
            chances.append(scores[kept])
            moves.append(shifts[0, :, rows, columns].T[kept])
            scale *= FACTOR
        if not cells:
            return picture.new_zeros(0, 4)
        boxes, scores = torch.cat(cells), torch.cat(chances)
        kept = nms(boxes, scores, 0.7)
        boxes, shifts = boxes[kept], torch.cat(moves)[kept]
        return squares(boxes + shifts * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2))

    def refined(self, picture: Tensor, boxes: Tensor) -> Tensor:
        """Those of the squares (k, 4) that hold a face, moved to where it is."""
        shifts, chances = self.rnet(windows(picture, boxes, 24))  # (k, 4), (k, 2)
        found = chances[:, 1] > 0.7
        boxes, scores, shifts = boxes[found], chances[found, 1], shifts[found]
        kept = nms(boxes, scores, 0.7)
        return squares(shifted(boxes[kept], shifts[kept]))


def columns_first(x: Tensor) -> Tensor:
    """(n, c, h, w) to (n, w * h * c), in the order the linear layers learned."""
    return x.permute(0, 3, 2, 1).flatten(1)


def resized(pictures: Tensor, h: int, w: int) -> Tensor:
    """Values 0 to 255 (n, 3, ...) as means over (n, 3, h, w), and as the networks take them."""
    return (F.interpolate(pictures, (h, w), mode="area") - 127.5) / 128


def windows(picture: Tensor, boxes: Tensor, size: int) -> Tensor:
    """What a picture (3, h, w) has within boxes (k, 4): (k, 3, size, size)."""
    h, w = picture.shape[1:]
    parts = [picture.new_zeros(0, 3, size, size)]
    for left, top, right, bottom in boxes.int().tolist():
        x, y = min(max(left, 1), w) - 1, min(max(top, 1), h) - 1  # boxes count from 1
        part = picture[None, :, y : max(min(bottom, h), y + 1), x : max(min(right, w), x + 1)]
        parts.append(resized(part, size, size))
    return torch.cat(parts)


def squares(boxes: Tensor) -> Tensor:
    """Boxes (k, 4) as squares of their longer side about their middle."""
    sides = boxes[:, 2:] - boxes[:, :2]  # (k, 2)
    longest = sides.amax(1, keepdim=True)  # (k, 1)
    corners = boxes[:, :2] + (sides - longest) / 2
    return torch.cat((corners, corners + longest), 1)


def shifted(boxes: Tensor, shifts: Tensor) -> Tensor:
    """Boxes (k, 4) moved by shifts (k, 4) in units of their sides."""
    return boxes + shifts * (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def uncovered(boxes: Tensor, scores: Tensor) -> Tensor:
    """The places (m,) of boxes (k, 4), best first, without those that a better one covers to 0.7.

    Of the smaller of the two, so that a face within a face goes as well.
    """
    corners = torch.maximum(boxes[:, None, :2], boxes[:, :2])  # (k, k, 2)
    ends = torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    common = (ends - corners + 1).clamp(min=0).prod(2)  # (k, k)
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)  # (k,)
    covered = (common / torch.minimum(areas[:, None], areas) > 0.7).tolist()
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if not any(covered[i][j] for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def network() -> MTCNN:
    """Build it, with the released numbers that lie beside this file."""
    made = MTCNN()
    for part in ("pnet", "rnet", "onet"):
        file = FOLDER / f"{part}.pt"
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing; take it out of the wheel facenet-pytorch")
        made.get_submodule(part).load_state_dict(torch.load(file, weights_only=True))
    return made
