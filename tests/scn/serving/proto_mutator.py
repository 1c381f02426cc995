# SPDX-License-Identifier: Apache-2.0
"""Messages with every field set, and what can be wrong with their bytes at each field, made from descriptors."""

from google.protobuf.descriptor import FieldDescriptor as F

WIRE = {F.TYPE_DOUBLE: 1, F.TYPE_FIXED64: 1, F.TYPE_SFIXED64: 1, F.TYPE_FLOAT: 5, F.TYPE_FIXED32: 5, F.TYPE_SFIXED32: 5,
        F.TYPE_STRING: 2, F.TYPE_BYTES: 2, F.TYPE_MESSAGE: 2}
UNKNOWN = 536870911  # the largest number of a field


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == F.LABEL_REPEATED


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def fill(message, names, depth=6):
    """Sets every field (of a oneof the last one); 'names' are values by the name of a field."""
    for field in message.DESCRIPTOR.fields:
        if field.type == F.TYPE_MESSAGE and depth == 0:
            continue
        if is_map(field):
            value = field.message_type.fields_by_name["value"]
            key = names.get(field.name, 1 if field.message_type.fields_by_name["key"].type != F.TYPE_STRING else "x")
            if value.type == F.TYPE_MESSAGE:
                fill(getattr(message, field.name)[key], names, depth - 1)
            else:
                getattr(message, field.name)[key] = scalar(value, names)
        elif field.type == F.TYPE_MESSAGE:
            target = getattr(message, field.name)
            target = target.add() if is_repeated(field) else target
            target.SetInParent()
            fill(target, names, depth - 1)
        elif is_repeated(field):
            getattr(message, field.name).append(scalar(field, names))
        else:
            setattr(message, field.name, scalar(field, names))
    return message


def scalar(field, names):
    if field.name in names and field.type in (F.TYPE_STRING, F.TYPE_ENUM):
        return names[field.name]
    return {F.TYPE_STRING: "s", F.TYPE_BYTES: b"b", F.TYPE_BOOL: True, F.TYPE_DOUBLE: 1.0, F.TYPE_FLOAT: 1.0}.get(field.type, 1)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number, wire):
    return varint(number << 3 | wire)


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def split(data):
    """[(number, wire type, payload)] of one well-formed message."""
    parts, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        wire = key & 7
        if wire == 2:
            size, at = read_varint(data, at)
            end = at + size
        else:
            end = at + 8 if wire == 1 else at + 4 if wire == 5 else read_varint(data, at)[1]
        parts.append((key >> 3, wire, data[at:end]))
        at = end
    return parts


def join(number, wire, payload):
    return tag(number, wire) + (varint(len(payload)) if wire == 2 else b"") + payload


def variants(number, wire, payload, is_text):
    """(what is wrong, the bytes in place of this field)"""
    whole = join(number, wire, payload)
    yield "left out", b""
    yield "twice", whole + whole
    yield "cut in the tag", tag(number, wire)[:-1] + bytes([tag(number, wire)[-1] | 128])
    yield "cut before the value", tag(number, wire)
    if len(payload) > 0:
        yield "cut in the value", whole[:-1]
    for other, value in ((0, b"\x01"), (1, b"\1" * 8), (2, b"\x03abc"), (5, b"\1" * 4)):
        if other != wire:
            yield f"wire type {other}", tag(number, other) + value
    for size in (len(payload) + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        yield f"length {size}", tag(number, 2) + varint(size) + payload
    yield "wire type 6", tag(number, 6) + payload
    yield "wire type 7", tag(number, 7) + payload
    yield "a group that ends", tag(number, 3) + whole + tag(number, 4)
    yield "a group that does not end", tag(number, 3) + whole
    yield "a group that ends as another one", tag(number, 3) + tag(number + 1, 4)
    yield "the end of no group", tag(number, 4)
    yield "groups in groups", tag(number, 3) * 50 + tag(number, 4) * 50
    yield "deep groups", tag(number, 3) * 100_000 + tag(number, 4) * 100_000
    yield "a varint of eleven bytes", tag(number, 0) + b"\x80" * 10 + b"\x01"
    yield "the largest varint", tag(number, 0) + varint(2**64 - 1)
    yield "a negative varint", tag(number, 0) + varint(2**64 - 5)
    yield "the tag of field 0", b"\x00\x01" + whole
    yield "a tag beyond 32 bits", varint(2**35 | number << 3) + b"\x01" + whole
    for other, value in ((0, b"\x01"), (1, b"\1" * 8), (2, b"\x03abc"), (5, b"\1" * 4)):
        yield f"an unknown field of wire type {other}", tag(UNKNOWN, other) + value + whole
    if wire == 2:
        yield "empty", join(number, 2, b"")
        yield "nonsense inside", join(number, 2, b"\xff" * 9)
        if is_text:
            yield "no UTF-8", join(number, 2, b"\xff\xc3\x28")
            yield "a surrogate", join(number, 2, b"\xed\xa0\x80")
            yield "a NUL", join(number, 2, b"m\0")


def mutations(data, descriptor, path=""):
    """(path of the field, what is wrong, bytes of the whole message)"""
    parts = split(data)
    for i, (number, wire, payload) in enumerate(parts):
        field = descriptor.fields_by_number[number]
        before = b"".join(join(*p) for p in parts[:i])
        after = b"".join(join(*p) for p in parts[i + 1:])
        name = f"{path}.{field.name}" if path else field.name
        for what, text in variants(number, wire, payload, field.type == F.TYPE_STRING):
            yield name, what, before + text + (b"" if what.startswith("cut") else after)
        if field.type == F.TYPE_MESSAGE:
            for inner, what, text in mutations(payload, field.message_type, name):
                yield inner, what, before + join(number, 2, text) + after
