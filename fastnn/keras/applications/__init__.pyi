# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.applications import *  # noqa: F403
from fastnn.applications import convnext as convnext
from fastnn.applications import densenet as densenet
from fastnn.applications import efficientnet as efficientnet
from fastnn.applications import efficientnet_v2 as efficientnet_v2
from fastnn.applications import imagenet_utils as imagenet_utils
from fastnn.applications import inception_resnet_v2 as inception_resnet_v2
from fastnn.applications import inception_v3 as inception_v3
from fastnn.applications import mobilenet as mobilenet
from fastnn.applications import mobilenet_v2 as mobilenet_v2
from fastnn.applications import mobilenet_v3 as mobilenet_v3
from fastnn.applications import nasnet as nasnet
from fastnn.applications import resnet as resnet
from fastnn.applications import resnet50 as resnet50
from fastnn.applications import resnet_v2 as resnet_v2
from fastnn.applications import vgg16 as vgg16
from fastnn.applications import vgg19 as vgg19
from fastnn.applications import xception as xception
