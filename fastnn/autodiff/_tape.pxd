# SPDX-License-Identifier: Apache-2.0
from fastnn.autodiff._launch cimport OpHandle


cdef object apply_to(OpHandle h, tuple inputs, tuple attrs)
