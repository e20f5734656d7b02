# SPDX-License-Identifier: GPL-2.0
"""Tests of what people use by hand, with real machines."""
