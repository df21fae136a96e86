# SPDX-License-Identifier: Apache-2.0
"""Python control flow on tensor values, rewritten from its source (`to_code` shows it).

`lower` turns return, break and continue inside branches and loops into flags and moved
statements; `transform` puts calls in the place of if, while, for, and, or, not;
`runtime` is what they call: Python's own course for Python values, `ops.cond` and loops
for tensors of a traced function; `convert` finds the source and makes the new function.
"""

from fastnn.graph.autograph.convert import convert, to_code

__all__ = ["convert", "to_code"]
