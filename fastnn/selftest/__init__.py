# SPDX-License-Identifier: Apache-2.0
"""`python -m fastnn.selftest`: every kernel against its reference on this machine."""
