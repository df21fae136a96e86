# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.datasets import *  # noqa: F403
from fastnn.datasets import boston_housing as boston_housing
from fastnn.datasets import california_housing as california_housing
from fastnn.datasets import cifar10 as cifar10
from fastnn.datasets import cifar100 as cifar100
from fastnn.datasets import fashion_mnist as fashion_mnist
from fastnn.datasets import imdb as imdb
from fastnn.datasets import mnist as mnist
from fastnn.datasets import reuters as reuters
