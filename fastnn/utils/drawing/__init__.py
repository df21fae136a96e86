# SPDX-License-Identifier: Apache-2.0
"""Pictures of models: what is drawn, where it stands, how it is written."""
