# SPDX-License-Identifier: Apache-2.0
"""Values that are more than one array of numbers: strings, ragged and sparse tensors,
tensor arrays, sets and queues, with TensorFlow's names.

They are thin: what they compute on numbers are calls of fastnn.ops, so tapes record it
and functions trace it; what describes them (bytes, row splits, indices) are NumPy
arrays that are known when a function is traced.
"""
