# SPDX-License-Identifier: Apache-2.0
class Memory:
    """Holds the memory of an array that an op made."""
