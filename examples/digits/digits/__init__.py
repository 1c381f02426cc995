# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits (8 x 8 pixels, bundled with scikit-learn) with Keras."""
