# SPDX-License-Identifier: Apache-2.0
# cmake -DNM=... -DISA=... -DOBJECTS=... -P check_isa_objects.cmake
# A weak function of a kernel family must carry the namespace of its instruction set:
# the linker keeps one copy of each, possibly one that older CPUs cannot run. Weak data
# (V, u) is the same in every copy.
string(LENGTH ${ISA} length)
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} --defined-only ${object} OUTPUT_VARIABLE symbols
                  COMMAND_ERROR_IS_FATAL ANY)
  if(NOT symbols MATCHES "6fastnn${length}${ISA}")
    message(SEND_ERROR "${object} defines nothing in fastnn::${ISA}")
  endif()
  string(REGEX MATCHALL " W [^\n]+" weak "${symbols}")
  list(FILTER weak EXCLUDE REGEX "6fastnn${length}${ISA}")
  if(weak)
    list(JOIN weak "\n" weak)
    message(SEND_ERROR "${object} has weak functions of no instruction set:\n${weak}")
  endif()
endforeach()
