#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Helper of demo.sh, standard library only.

    field NAME.NAME                 prints one value of the JSON on standard input
    request HOLDOUT                 prints the prediction request in a held-out file
    table HOLDOUT NAME=ANSWER ...   compares answers with the labels and with each other
"""

import json
import sys

SHOWN = 8
SAME = 1e-5  # two protocols print the same 32-bit number with different digits


def field(path):
    value = json.load(sys.stdin)
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    print("" if value is None else value)


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def rows_of(answer, path):
    """The only output's rows, in the row form ("predictions") or the column form ("outputs")."""
    rows = answer.get("predictions", answer.get("outputs"))
    if isinstance(rows, dict):
        rows = next(iter(rows.values()))
    if not isinstance(rows, list):
        sys.exit(f"'{path}' holds no predictions: {json.dumps(answer)[:200]}")
    return [next(iter(row.values())) if isinstance(row, dict) else row for row in rows]


def best(row):
    return max(range(len(row)), key=row.__getitem__)


def table(holdout_path, *answers):
    labels = load(holdout_path)["labels"]
    names, results = [], []
    for answer in answers:
        name, path = answer.split("=", 1)
        names.append(name)
        results.append(rows_of(load(path), path))
    for name, rows in zip(names, results):
        if len(rows) != len(labels):
            sys.exit(f"{name} answered {len(rows)} of {len(labels)} digits")

    print("  digit  label  " + "".join(f"{name + ' says':<18}" for name in names).rstrip())
    for i in range(SHOWN):
        said = "".join(f"{best(rows[i])} ({rows[i][best(rows[i])] * 100:5.1f} %)       " for rows in results)
        right = all(best(rows[i]) == labels[i] for rows in results)
        print(f"  {i + 1:>5}  {labels[i]:>5}  {said}{'' if right else 'wrong'}".rstrip())
    print()
    for name, rows in zip(names, results):
        right = sum(best(row) == label for row, label in zip(rows, labels))
        print(f"  {name:<5} {right} of {len(labels)} held-out digits right: accuracy {right / len(labels):.4f}")
    difference = max(
        abs(a - b) for rows in results[1:] for one, other in zip(results[0], rows) for a, b in zip(one, other))
    if difference > SAME:
        sys.exit(f"  the answers of {', '.join(names)} differ by up to {difference:g}")
    print(f"  {', '.join(names)} agree on all {len(labels)} (largest difference {difference:.1g})")


def request(holdout_path):
    json.dump({"instances": load(holdout_path)["instances"]}, sys.stdout)


COMMANDS = {"field": field, "request": request, "table": table}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
