# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.callbacks.backup_and_restore import BackupAndRestore as BackupAndRestore
from fastnn.callbacks.callback import Callback as Callback
from fastnn.callbacks.callback_list import CallbackList as CallbackList
from fastnn.callbacks.csv_logger import CSVLogger as CSVLogger
from fastnn.callbacks.early_stopping import EarlyStopping as EarlyStopping
from fastnn.callbacks.history import History as History
from fastnn.callbacks.lambda_callback import LambdaCallback as LambdaCallback
from fastnn.callbacks.model_checkpoint import ModelCheckpoint as ModelCheckpoint
from fastnn.callbacks.progress import ProgbarLogger as ProgbarLogger
from fastnn.callbacks.remote_monitor import RemoteMonitor as RemoteMonitor
from fastnn.callbacks.schedules import LearningRateScheduler as LearningRateScheduler
from fastnn.callbacks.schedules import ReduceLROnPlateau as ReduceLROnPlateau
from fastnn.callbacks.swap_ema_weights import SwapEMAWeights as SwapEMAWeights
from fastnn.callbacks.tensorboard import TensorBoard as TensorBoard
from fastnn.callbacks.terminate_on_nan import TerminateOnNaN as TerminateOnNaN
from fastnn.callbacks.tqdm import TqdmCallback as TqdmCallback

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "TqdmCallback",
]
