# SPDX-License-Identifier: Apache-2.0
"""Trains a model of handwritten digits.

    python -m digits.train --model cnn --epochs 12

Nothing here knows the platform. It reads two folders from the environment and has defaults for a laptop:
CLOUDML_OUTPUT_DIR (./output) gets the results, CLOUDML_CHECKPOINT_DIR (below the output) survives a restart.

Results: model/1 (SavedModel), logs/ (TensorBoard), holdout.json (digits that training has not seen, in the form of a
prediction request, with their labels), metrics.json.
"""

import argparse
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402

from digits import data, model as models  # noqa: E402


def parse_arguments():
    parser = argparse.ArgumentParser(description="Train a model of handwritten digits.")
    parser.add_argument("--model", choices=sorted(models.MODELS), default="mlp")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole training state after each epoch, so that a second attempt goes on where the first one ended."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        new = self.folder / f"epoch-{epoch + 1:04d}.keras"
        self.model.save(self.folder / "new.keras")
        os.replace(self.folder / "new.keras", new)  # whole or not there
        for old in sorted(self.folder.glob("epoch-*.keras"))[:-2]:
            old.unlink()


def load_checkpoint(folder, arguments):
    """Returns the model and the number of epochs that are done."""
    saved = sorted(folder.glob("epoch-*.keras"))
    if not saved:
        return models.build(arguments.model, arguments.learning_rate), 0
    done = int(saved[-1].stem.split("-")[1])
    print(f"going on after epoch {done}: {saved[-1].name}", flush=True)
    return keras.models.load_model(saved[-1]), done


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def main():
    arguments = parse_arguments()
    output = pathlib.Path(os.environ.get("CLOUDML_OUTPUT_DIR", "output"))
    checkpoints = pathlib.Path(os.environ.get("CLOUDML_CHECKPOINT_DIR", output / "checkpoints")) / arguments.model
    checkpoints.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(arguments.seed)
    (x_train, y_train), (x_held, y_held) = data.load(arguments.seed)
    model, done = load_checkpoint(checkpoints, arguments)
    print(f"{model.name}: {model.count_params()} parameters, {len(x_train)} digits, {len(x_held)} held out", flush=True)

    model.fit(
        x_train, y_train,
        validation_data=(x_held, y_held),
        initial_epoch=done, epochs=arguments.epochs, batch_size=arguments.batch_size, verbose=1,
        callbacks=[Checkpoint(checkpoints), keras.callbacks.TensorBoard(log_dir=str(output / "logs"))])

    loss, accuracy = model.evaluate(x_held, y_held, verbose=0)
    model.export(str(output / "model" / "1"))
    write_json(output / "holdout.json", {
        "instances": [[[[round(float(v), 4) for v in pixel] for pixel in row] for row in image] for image in x_held],
        "labels": y_held.tolist()})
    write_json(output / "metrics.json", {
        "model": arguments.model, "epochs": arguments.epochs, "held_out": len(y_held),
        "accuracy": float(accuracy), "loss": float(loss)})
    print(f"held-out accuracy: {accuracy:.4f} on {len(y_held)} digits", flush=True)


if __name__ == "__main__":
    main()
