# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.optimizers import schedules as schedules
from fastnn.optimizers.adadelta import Adadelta as Adadelta
from fastnn.optimizers.adafactor import Adafactor as Adafactor
from fastnn.optimizers.adagrad import Adagrad as Adagrad
from fastnn.optimizers.adam import Adam as Adam
from fastnn.optimizers.adam import AdamW as AdamW
from fastnn.optimizers.adamax import Adamax as Adamax
from fastnn.optimizers.ftrl import Ftrl as Ftrl
from fastnn.optimizers.lamb import Lamb as Lamb
from fastnn.optimizers.lion import Lion as Lion
from fastnn.optimizers.lookup import deserialize as deserialize
from fastnn.optimizers.lookup import get as get
from fastnn.optimizers.lookup import serialize as serialize
from fastnn.optimizers.loss_scale import LossScaleOptimizer as LossScaleOptimizer
from fastnn.optimizers.multi import MultiOptimizer as MultiOptimizer
from fastnn.optimizers.multi import OptimizerMap as OptimizerMap
from fastnn.optimizers.muon import Muon as Muon
from fastnn.optimizers.nadam import Nadam as Nadam
from fastnn.optimizers.optimizer import Optimizer as Optimizer
from fastnn.optimizers.rmsprop import RMSprop as RMSprop
from fastnn.optimizers.schedule_free import ScheduleFreeAdamW as ScheduleFreeAdamW
from fastnn.optimizers.sgd import SGD as SGD

__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "SGD",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
