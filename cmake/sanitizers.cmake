# SPDX-License-Identifier: Apache-2.0
function(fastnn_sanitize target)
  if(FASTNN_SANITIZE)
    set(flags -fsanitize=${FASTNN_SANITIZE} -fno-omit-frame-pointer -g1
              -fno-sanitize-recover=all)
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PRIVATE ${flags})
  endif()
endfunction()
