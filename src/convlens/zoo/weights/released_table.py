"""List the weights that torchvision has released for the networks of the zoo."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GROUPS", "RECIPES", "Group"]


class Group(NamedTuple):
    """Files of one name and task, for which pictures are prepared in one way.

    `text` has a line for each network, in these columns:

    - network: its name;
    - file: what follows that in the file's name, with the first 8 digits of the file's sha256;
    - parameters, and gflops: billions of multiply-adds of one input;
    - mb: the file's size in MB of 2**20 bytes;
    - the accuracies measured, in percent;
    - recipe: its key in `RECIPES`, "=" for the network's name.
    """

    name: str
    task: str
    preparation: str
    text: str


# The first group that has a network is its DEFAULT.
GROUPS = (
    Group(
        *("IMAGENET1K_V2", "classification", "232"),
        """\
network            file      parameters gflops mb      acc@1  acc@5  recipe
resnet50           -11ad3fa6   25557032  4.089  97.79  80.858 95.434 resnet50-new
resnet101          -cd907fc2   44549160  7.801 170.53  81.886 95.78  new
resnet152          -f82ba261   60192808 11.514 230.474 82.284 96.002 new
resnext50_32x4d    -1a0047aa   25028904  4.23   95.833 81.198 95.34  new
resnext101_32x8d   -110c445d   88791336 16.414 339.673 82.834 96.228 new-fixres
wide_resnet50_2    -9ba9bcbe   68883240 11.398 263.124 81.602 95.758 new-fixres
wide_resnet101_2   -d733dc28  126886696 22.753 484.747 82.51  96.02  new
mobilenet_v2       -7ebf99e0    3504872  0.301  13.598 72.154 90.822 new-reg-tuning
mobilenet_v3_large -5c1a4163    5483032  0.217  21.107 75.274 92.566 new-reg-tuning
""",
    ),
    Group(
        *("IMAGENET1K_V1", "classification", "256"),
        """\
network            file      parameters gflops mb      acc@1  acc@5  recipe
vgg11              -8a719046  132863336  7.609 506.84  69.02  88.628 vgg
vgg11_bn           -6002323d  132868840  7.609 506.881 70.37  89.81  vgg
vgg13              -19584684  133047848 11.308 507.545 69.928 89.246 vgg
vgg13_bn           -abd245e5  133053736 11.308 507.59  71.586 90.374 vgg
vgg16              -397923af  138357544 15.47  527.796 71.592 90.382 vgg
vgg16_bn           -6c64b313  138365992 15.47  527.866 73.36  91.516 vgg
vgg19              -dcbb9e9d  143667240 19.632 548.051 72.376 90.876 vgg
vgg19_bn           -c79401a0  143678248 19.632 548.143 74.218 91.842 vgg
resnet18           -f37072fd   11689512  1.814  44.661 69.758 89.078 resnet
resnet34           -b627a593   21797672  3.664  83.275 73.314 91.42  resnet
resnet50           -0676ba61   25557032  4.089  97.781 76.13  92.862 resnet
resnet101          -63fe2227   44549160  7.801 170.511 77.374 93.546 resnet
resnet152          -394f9c45   60192808 11.514 230.434 78.312 94.046 resnet
resnext50_32x4d    -7cdf4587   25028904  4.23   95.789 77.618 93.698 resnext
resnext101_32x8d   -8ba56ff5   88791336 16.414 339.586 79.312 94.526 resnext
wide_resnet50_2    -95faca4d   68883240 11.398 131.82  78.468 94.086 wide-resnet
wide_resnet101_2   -32ee1156  126886696 22.753 242.896 78.848 94.284 wide-resnet
mobilenet_v2       -b0353104    3504872  0.301  13.555 71.878 90.286 =
mobilenet_v3_small -047dcff4    2542856  0.057   9.829 67.668 87.402 mobilenet
mobilenet_v3_large -8738ca79    5483032  0.217  21.114 74.042 91.34  mobilenet
""",
    ),
    Group(
        *("IMAGENET1K_V1", "classification", "232"),
        """\
network          file      parameters gflops mb      acc@1  acc@5  recipe
resnext101_64x4d -173b62eb   83455272 15.46  319.318 83.246 96.454 resnext101_64x4d
""",
    ),
    Group(
        *("IMAGENET1K_FEATURES", "classification", "features"),
        """\
network file                         parameters gflops mb      recipe
vgg16   _features-amdegroot-88682ab5  138357544 15.47  527.802 ssd
""",
    ),
    Group(
        *("COCO_V1", "detection", "none"),
        """\
network                               file           parameters gflops  mb      box_map recipe
fasterrcnn_resnet50_fpn               _coco-258fb6c6   41755286 134.38  159.743 37.0    =
fasterrcnn_resnet50_fpn_v2            _coco-dd69338a   43712278 280.371 167.104 46.7    =
fasterrcnn_mobilenet_v3_large_fpn     -fb6a3cc7        19386354   4.494  74.239 32.8    =
fasterrcnn_mobilenet_v3_large_320_fpn -907ea3f9        19386354   0.719  74.239 22.8    =
""",
    ),
    Group(
        *("COCO_V1", "instance segmentation", "none"),
        """\
network                  file           parameters gflops  mb      box_map mask_map recipe
maskrcnn_resnet50_fpn    _coco-bf2d0c1e   44401393 134.38  169.84  37.9    34.6     =
maskrcnn_resnet50_fpn_v2 _coco-73cbd019   46359409 333.577 177.219 47.4    41.8     =
""",
    ),
    Group(
        *("COCO_V1", "keypoints", "none"),
        """\
network                   file           parameters gflops  mb      box_map kp_map recipe
keypointrcnn_resnet50_fpn _coco-fc266e95   59137258 137.42  226.054 54.6    65.0   =
""",
    ),
    Group(
        *("COCO_LEGACY", "keypoints", "none"),
        """\
network                   file           parameters gflops  mb      box_map kp_map recipe
keypointrcnn_resnet50_fpn _coco-9f466800   59137258 133.924 226.054 50.6    61.1   legacy
""",
    ),
    Group(
        *("COCO_WITH_VOC_LABELS_V1", "semantic segmentation", "voc"),
        """\
network                      file           parameters gflops  mb      miou pixel_acc recipe
fcn_resnet50                 _coco-1167a1af   35322218 152.717 135.009 60.5 91.4      =
fcn_resnet101                _coco-7ecb50ca   54314346 232.738 207.711 63.7 91.9      =
deeplabv3_resnet50           _coco-cd0a2569   42004074 178.722 160.515 66.4 92.4      =
deeplabv3_resnet101          _coco-586e9e4e   60996202 258.743 233.217 67.4 92.4      =
deeplabv3_mobilenet_v3_large -fc3c493d        11029328  10.452  42.301 60.3 91.2      =
lraspp_mobilenet_v3_large    -d234d4ea         3221538   2.086  12.49  57.9 91.2      =
""",
    ),
    Group(
        *("KINETICS400_V1", "video classification", "clips"),
        """\
network     file      parameters gflops mb      acc@1  acc@5  recipe
r3d_18      -b3b3357e   33371472 40.697 127.359 63.2   83.479 video
mc3_18      -a90a0ba3   11695440 43.343  44.672 63.96  84.13  video
r2plus1d_18 -91a641e6   31505325 40.519 120.318 67.463 86.175 video
""",
    ),
)

_VISION = "https://github.com/pytorch/vision"
_SCRIPTS = f"{_VISION}/tree/main/references"

RECIPES = {
    "new": f"{_VISION}/issues/3995#new-recipe",
    "new-fixres": f"{_VISION}/issues/3995#new-recipe-with-fixres",
    "new-reg-tuning": f"{_VISION}/issues/3995#new-recipe-with-reg-tuning",
    "resnet50-new": f"{_VISION}/issues/3995#issuecomment-1013906621",
    "vgg": f"{_SCRIPTS}/classification#alexnet-and-vgg",
    "resnet": f"{_SCRIPTS}/classification#resnet",
    "resnext": f"{_SCRIPTS}/classification#resnext",
    "resnext101_64x4d": f"{_VISION}/pull/5935",
    "wide-resnet": f"{_VISION}/pull/912#issue-445437439",
    "mobilenet_v2": f"{_SCRIPTS}/classification#mobilenetv2",
    "mobilenet": f"{_SCRIPTS}/classification#mobilenetv3-large--small",
    "ssd": "https://github.com/amdegroot/ssd.pytorch#training-ssd",
    "fasterrcnn_resnet50_fpn": f"{_SCRIPTS}/detection#faster-r-cnn-resnet-50-fpn",
    "fasterrcnn_resnet50_fpn_v2": f"{_VISION}/pull/5763",
    "fasterrcnn_mobilenet_v3_large_fpn": f"{_SCRIPTS}/detection#faster-r-cnn-mobilenetv3-large-fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn": (
        f"{_SCRIPTS}/detection#faster-r-cnn-mobilenetv3-large-320-fpn"
    ),
    "maskrcnn_resnet50_fpn": f"{_SCRIPTS}/detection#mask-r-cnn",
    "maskrcnn_resnet50_fpn_v2": f"{_VISION}/pull/5773",
    "keypointrcnn_resnet50_fpn": f"{_SCRIPTS}/detection#keypoint-r-cnn",
    "legacy": f"{_VISION}/issues/1606",
    # Both networks of depth 101 are published with the recipe of the other.
    "fcn_resnet50": f"{_SCRIPTS}/segmentation#fcn_resnet50",
    "fcn_resnet101": f"{_SCRIPTS}/segmentation#deeplabv3_resnet101",
    "deeplabv3_resnet50": f"{_SCRIPTS}/segmentation#deeplabv3_resnet50",
    "deeplabv3_resnet101": f"{_SCRIPTS}/segmentation#fcn_resnet101",
    "deeplabv3_mobilenet_v3_large": f"{_SCRIPTS}/segmentation#deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large": f"{_SCRIPTS}/segmentation#lraspp_mobilenet_v3_large",
    "video": f"{_SCRIPTS}/video_classification",
}
"""The address at which each recipe of training is described."""
