# SPDX-License-Identifier: Apache-2.0
"""Two models: a multi-layer perceptron and a small convolutional network."""

import keras
from keras import layers


def mlp():
    return keras.Sequential([
        keras.Input((8, 8, 1), name="image"),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax", name="probabilities"),
    ], name="mlp")


def cnn():
    return keras.Sequential([
        keras.Input((8, 8, 1), name="image"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax", name="probabilities"),
    ], name="cnn")


MODELS = {"mlp": mlp, "cnn": cnn}


def build(name, learning_rate):
    model = MODELS[name]()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"])
    return model
