# SPDX-License-Identifier: Apache-2.0
"""The data: 1797 digits, the same split every time."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HELD_OUT = 360


def load(seed):
    """Returns (x, y) for training and (x, y) held out; x has shape [n, 8, 8, 1] and values from 0 to 1."""
    digits = load_digits()
    x = (digits.images / 16.0).astype(np.float32)[..., np.newaxis]
    y = digits.target.astype(np.int32)
    x_train, x_held, y_train, y_held = train_test_split(
        x, y, test_size=HELD_OUT, random_state=seed, stratify=y)
    return (x_train, y_train), (x_held, y_held)
