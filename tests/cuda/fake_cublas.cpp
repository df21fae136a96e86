// SPDX-License-Identifier: Apache-2.0
// The functions of cublas_v2.h that the backend calls, with their signatures: what a
// product is asked for, on which stream and with which workspace, goes to a hook.
#include <cstddef>
#include <cstdint>

namespace {

struct Handle {
  void* stream = nullptr;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  int math_mode = 0;
};

struct Matrix {
  const void* data;
  std::int64_t type, leading, step;
};

// As tests/cuda_fake_cublas.py has it.
struct Call {
  const char* name;
  Handle handle;
  std::int64_t transposed_a, transposed_b, m, n, k;
  double alpha, beta;
  Matrix a, b, c;
  std::int64_t batch, compute, algorithm;
};

using Hook = int (*)(const Call*);
Hook hook = nullptr;

double number(const void* at, int compute) {
  constexpr int compute_64f = 70;
  return compute == compute_64f ? *static_cast<const double*>(at)
                                : *static_cast<const float*>(at);
}

}  // namespace

#define FACTOR(X, Int) const void *X, int X##type, Int ld##X
#define STRIDED(X, Int) FACTOR(X, Int), long long stride##X
#define ASKED(name, batch, stepA, stepB, stepC) \
  const Call call{name,                         \
                  *handle,                      \
                  transa,                       \
                  transb,                       \
                  m,                            \
                  n,                            \
                  k,                            \
                  number(alpha, compute),       \
                  number(beta, compute),        \
                  {A, Atype, ldA, stepA},       \
                  {B, Btype, ldB, stepB},       \
                  {C, Ctype, ldC, stepC},       \
                  batch,                        \
                  compute,                      \
                  algo};                        \
  return hook(&call)
#define GEMM(name, Int)                                                         \
  int cublas##name(Handle* handle, int transa, int transb, Int m, Int n, Int k, \
                   const void* alpha, FACTOR(A, Int), FACTOR(B, Int),           \
                   const void* beta, FACTOR(C, Int), int compute, int algo) {   \
    ASKED(#name, 1, 0, 0, 0);                                                   \
  }
#define GEMM_BATCHED(name, Int)                                                 \
  int cublas##name(Handle* handle, int transa, int transb, Int m, Int n, Int k, \
                   const void* alpha, STRIDED(A, Int), STRIDED(B, Int),         \
                   const void* beta, STRIDED(C, Int), Int batch, int compute,   \
                   int algo) {                                                  \
    ASKED(#name, batch, strideA, strideB, strideC);                             \
  }

extern "C" {

void fake_cublas_hook(Hook given) { hook = given; }

int cublasCreate_v2(Handle** made) {
  *made = new Handle;
  const Call call{.name = "Create_v2"};
  return hook(&call);
}

int cublasSetStream_v2(Handle* handle, void* stream) {
  *handle = Handle{.stream = stream, .math_mode = handle->math_mode};
  return 0;
}

int cublasSetWorkspace_v2(Handle* handle, void* workspace, std::size_t bytes) {
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return 0;
}

int cublasSetMathMode(Handle* handle, int mode) {
  handle->math_mode = mode;
  return 0;
}

const char* cublasGetStatusName(int status) {
  return status == 3 ? "CUBLAS_STATUS_ALLOC_FAILED" : "CUBLAS_STATUS_EXECUTION_FAILED";
}

const char* cublasGetStatusString(int) { return "as the library says it"; }

GEMM(GemmEx, int)
GEMM(GemmEx_64, std::int64_t)
GEMM_BATCHED(GemmStridedBatchedEx, int)
GEMM_BATCHED(GemmStridedBatchedEx_64, std::int64_t)

}  // extern "C"
