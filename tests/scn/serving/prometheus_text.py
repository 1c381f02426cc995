# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus's text format: whatever it does not know, and every broken histogram, is an error."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")


class Family:
    def __init__(self, name):
        self.name, self.type, self.samples = name, None, {}

    def buckets(self, labels):
        wanted = set(labels.items())
        return {dict(key)["le"]: value for (name, key), value in self.samples.items()
                if name == self.name + "_bucket" and {i for i in key if i[0] != "le"} == wanted}


def read_labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match and match[1] not in labels, text
        labels[match[1]] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[2])
        at = match.end()
    return frozenset(labels.items())


def check_histogram(family):
    series = {frozenset(i for i in key if i[0] != "le") for name, key in family.samples if name.endswith("_bucket")}
    for labels in series:
        buckets = family.buckets(dict(labels))
        values = [buckets[le] for le in sorted(buckets, key=float)]
        assert values == sorted(values) and "+Inf" in buckets, family.name
        assert family.samples[family.name + "_count", labels] == buckets["+Inf"]
        assert (family.name + "_sum", labels) in family.samples


def parse(text):
    families, family = {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert re.fullmatch(NAME, name) and name not in families, line
            family = families[name] = Family(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family.name and kind in ("counter", "gauge", "histogram") and not family.type, line
            family.type = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            endings = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
            assert match[1] in {family.name + e for e in endings}, line
            key = match[1], read_labels(match[2] or "")
            assert key not in family.samples, line
            family.samples[key] = float(match[3])
    for family in families.values():
        assert family.type, family.name
        if family.type == "histogram":
            check_histogram(family)
    return families
