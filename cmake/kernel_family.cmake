# SPDX-License-Identifier: Apache-2.0
# Kernel families are compiled once per instruction set, each copy in a namespace of
# its own (csrc/shared/hd.h). Best first; kernels/table.cpp reads the list from kernels/isas.hpp.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(all_isas avx512 avx2 sse42)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(all_isas neon)
else()
  message(FATAL_ERROR "fastnn has no kernels for ${CMAKE_SYSTEM_PROCESSOR}")
endif()
set(FASTNN_ISAS ${all_isas} CACHE STRING "Instruction sets, best first; fewer build faster")
list(TRANSFORM FASTNN_ISAS REPLACE "(.+)" "X(\\1)" OUTPUT_VARIABLE isa_list)
list(JOIN isa_list " " isa_list)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/kernels/isas.hpp CONTENT
     "#define FASTNN_ISAS(X) ${isa_list}\n")

set(FASTNN_FLAGS_sse42 -march=x86-64-v2)
set(FASTNN_FLAGS_avx2 -march=x86-64-v2 -mavx2 -mfma -mf16c -mbmi -mbmi2)
set(FASTNN_FLAGS_avx512 ${FASTNN_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
# On top of avx512, for single units chosen at run time.
set(FASTNN_FLAGS_avx512bf16 ${FASTNN_FLAGS_avx512} -mavx512bf16)
set(FASTNN_FLAGS_neon "")
set(FASTNN_BYTES_sse42 16)
set(FASTNN_BYTES_avx2 32)
set(FASTNN_BYTES_avx512 64)
set(FASTNN_BYTES_avx512bf16 64)
set(FASTNN_BYTES_neon 16)
set(FASTNN_UNITS ${FASTNN_ISAS}) # and instruction sets that have only units
if(avx512 IN_LIST FASTNN_ISAS)
  list(APPEND FASTNN_UNITS avx512bf16)
endif()

# Never -ffast-math: it links start-up code that flushes denormals for the whole
# process, and it breaks NaN handling.
# -fwrapv: integers wrap in kernels, on purpose as in NumPy (sums of int32) and in the bit
# tricks of exp and log on lanes whose result is not used.
# Under sanitizers -O1 finds the same and compiles several times faster.
function(fastnn_isa_flags target isa)
  set(level -O3)
  if(FASTNN_SANITIZE)
    set(level -O1)
  endif()
  target_compile_definitions(${target} PRIVATE FASTNN_ISA=${isa}
                                               FASTNN_VECTOR_BYTES=${FASTNN_BYTES_${isa}})
  target_compile_options(
    ${target} PRIVATE ${FASTNN_FLAGS_${isa}} ${level} -ffp-contract=fast -fwrapv -fno-math-errno
                      -fno-trapping-math)
endfunction()

# fastnn_isa_sources(<isa> <source>...): adds the sources to libfastnn, for one ISA.
function(fastnn_isa_sources isa)
  set(target fastnn_kernels_${isa})
  add_library(${target} OBJECT ${ARGN})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/csrc)
  fastnn_isa_flags(${target} ${isa})
  fastnn_warnings(${target})
  fastnn_sanitize(${target})
  target_sources(fastnn PRIVATE $<TARGET_OBJECTS:${target}>)
endfunction()

# fastnn_kernel_sources(<source>...): adds the sources to libfastnn once per ISA.
function(fastnn_kernel_sources)
  foreach(isa IN LISTS FASTNN_ISAS)
    fastnn_isa_sources(${isa} ${ARGN})
  endforeach()
endfunction()
