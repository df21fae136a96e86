# SPDX-License-Identifier: Apache-2.0
"""Where ops run when not on the CPU's native kernels."""
