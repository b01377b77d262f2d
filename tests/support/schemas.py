"""Answers questions about JSON Schemas: schemas.py DIRECTORY

Reads a JSON object per line, and prints an array of texts for each. A schema is the name of a
file of the directory; to validate, also a document that refers to no other one.

  {"do": "validate", "schemas": […], "lines": […]}  lines that are valid by none of them, and why
  {"do": "mutate", "schema": …, "lines": […]}       single changes of lines that remain valid
  {"do": "unused", "schema": …, "lines": […]}       parts of the schema that no line needs
"""
import copy
import json
import pathlib
import sys

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

FILES = {file.stem: json.loads(file.read_text()) for file in pathlib.Path(sys.argv[1]).glob("*.json")}
REGISTRY = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in FILES.values()
)
# A value of each type, and values that most schemas refuse.
VALUES = [None, True, -1, 1.5, "", "any text", [], {}]


def validator(schema):
    if isinstance(schema, str):
        return of_file(FILES[schema])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, registry=Registry())


def of_file(schema):
    return Draft202012Validator(schema, registry=REGISTRY)


def validate(question):
    validators = [validator(schema) for schema in question["schemas"] or FILES]
    invalid = []
    for n, line in enumerate(question["lines"]):
        if not any(each.is_valid(line) for each in validators):
            # The schema that is meant names most of the members.
            unknown = lambda each: sum(json.dumps(key) not in json.dumps(each.schema) for key in line)
            errors = min(validators, key=unknown).iter_errors(line)
            reasons = "; ".join(f"{error.json_path}: {error.message[:200]}" for error in errors)
            invalid.append(f"{n}: {json.dumps(line)[:500]}: {reasons[:1000]}")
    return invalid


def places(value, at=()):
    """The paths of a document's values."""
    yield at
    if isinstance(value, (dict, list)):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(member, (*at, key))


def value_at(document, at):
    for key in at:
        document = document[key]
    return document


def text(at):
    """A path, without positions in lists and digests."""
    parts = ["*" if isinstance(key, int) or key.startswith("sha256:") else key for key in at]
    return "/" + "/".join(parts)


def changed(document, at, change):
    """A copy of the document, with the value at a path replaced by `change` of it."""
    if not at:
        return change(document)
    document = copy.copy(document)
    document[at[0]] = changed(document[at[0]], at[1:], change)
    return document


def changes(line):
    """Each single change of a document: its description, where it is made, and the result."""
    for at in places(line):
        value, where = line, []
        for key in at:
            # What a schema may depend on: the members around the change, and their types.
            where.append(str([(name, type(member)) for name, member in sorted(value.items())])
                         if isinstance(value, dict) else "")
            value = value[key]
        if isinstance(value, dict):
            where.append(str(sorted(value)))
            yield f"{text(at)} with another member", where, changed(line, at, lambda old: {**old, "another": 1})
            for key in value:
                others = {name: member for name, member in value.items() if name != key}
                yield f"{text((*at, key))} is missing", where, changed(line, at, lambda old: others)
        for other in VALUES:
            if json.dumps(other) != json.dumps(value):
                yield f"{text(at)} is {json.dumps(other)}", where, changed(line, at, lambda old: other)


def mutate(question):
    valid = validator(question["schema"])
    made = {}
    for line in question["lines"]:
        for change, where, other in changes(line):
            made[change, *where] = change, other
    return sorted({change for change, other in made.values() if valid.is_valid(other)})


def parts(schema, at=()):
    """The paths of the parts of a schema that allow something."""
    if isinstance(schema, list):
        for n, member in enumerate(schema):
            yield from parts(member, (*at, n))
    if not isinstance(schema, dict) or at and "$id" in schema:
        return
    for key, member in schema.items():
        if key in ("properties", "patternProperties"):
            yield from ((*at, key, name) for name in member)
        if key in ("enum", "anyOf", "oneOf") and len(member) > 1:
            yield from ((*at, key, n) for n in range(len(member)))
        if key not in ("if", "not"):
            yield from parts(member, (*at, key))


def without(schema, at):
    """The schema with nothing allowed at a path."""
    def forbid(members):
        if isinstance(members, dict):
            return {**members, at[-1]: False}
        return members[: at[-1]] + members[at[-1] + 1 :]

    return changed(schema, at[:-1], forbid)


def unused(question):
    schema = FILES[question["schema"]]
    # A line of each structure, with the values that the schema names.
    named = [value_at(schema, at) for at in places(schema)]
    kind = lambda value: value if value in named else type(value)
    lines = {str([(text(at), kind(value_at(line, at))) for at in places(line)]): line
             for line in question["lines"]}.values()
    return [
        "/".join(map(str, at))
        for at in parts(schema)
        if all(map(of_file(without(schema, at)).is_valid, lines))
    ]


for line in sys.stdin:
    question = json.loads(line)
    answer = {"validate": validate, "mutate": mutate, "unused": unused}[question["do"]]
    print(json.dumps(answer(question)), flush=True)
