"""Counts the lines of a file that match a JSON schema: validate.py SCHEMA FILE"""
import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
with open(sys.argv[2], encoding="utf-8") as file:
    lines = file.read().splitlines()
valid = 0
for n, line in enumerate(lines, 1):
    errors = [error.message for error in validator.iter_errors(json.loads(line))]
    print(f"{n}: {errors[0][:300]}" if errors else "", end="\n" if errors else "", file=sys.stderr)
    valid += not errors
print(f"{valid} of {len(lines)}")
