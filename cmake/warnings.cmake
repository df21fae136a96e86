# SPDX-License-Identifier: Apache-2.0
# -Wno-psabi: GCC notes that 64-byte vectors have no ABI without AVX-512; such vectors
# never cross a function call that is not inlined.
function(fastnn_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                                           -Wno-psabi)
endfunction()
