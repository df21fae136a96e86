# SPDX-License-Identifier: Apache-2.0
"""Speed beside other frameworks, measured in one run. Start with README.md."""
