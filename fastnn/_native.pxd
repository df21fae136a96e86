# SPDX-License-Identifier: Apache-2.0
# The Cython gate to libfastnn: views, the kernel table and eager launch.
from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp.string_view cimport string_view


cdef extern from "base/dtype.hpp" namespace "fastnn" nogil:
    cdef enum class DType(uint8_t):
        kBool
        kUInt8
        kInt8
        kUInt16
        kInt16
        kUInt32
        kInt32
        kUInt64
        kInt64
        kFloat32
        kFloat64
        kBFloat16
        kFloat16

    const int kNumDTypes
    int dtype_size(DType dtype)


cdef extern from "base/buffers.hpp" namespace "fastnn" nogil:
    cdef cppclass Buffer:
        pass

    Buffer* acquire_buffer(size_t bytes) except +
    void* buffer_data(const Buffer* buffer)
    bint buffer_is_zero(const Buffer* buffer)
    void release_buffer(Buffer* buffer)


cdef extern from "base/tensor_view.hpp" namespace "fastnn" nogil:
    const int kMaxRank

    cdef cppclass TensorView:
        void* data
        int64_t[8] shape
        int64_t[8] stride
        int32_t ndim
        DType dtype
        int64_t numel()
        bint contiguous()


cdef extern from "kernels/kernel.hpp" namespace "fastnn" nogil:
    cdef union AttrValue:
        int64_t i
        double f

    cdef enum class Split(uint8_t):
        kRows
        kAny
        kSerial

    cdef cppclass KernelEntry:
        const char* name
        Split split
        const char* reads
        int n_out
        const char* attrs


cdef extern from "kernels/table.hpp" namespace "fastnn" nogil:
    const KernelEntry* find_kernel(string_view name) except +


cdef extern from "runtime/launch.hpp" namespace "fastnn" nogil:
    void check_arity(
        const KernelEntry& kernel, size_t n_in, size_t n_out, size_t n_attrs
    ) except +
    void launch(
        const KernelEntry* kernel,
        const TensorView* inputs,
        const TensorView* outputs,
        const AttrValue* attrs,
        double cost,
    ) except +
