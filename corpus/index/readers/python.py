"""How osbuild's Python source reads a document, by its rule alone.

Prints `NAME<TAB>accepted` or `NAME<TAB>refused` for each file that is named. The rule:
json.loads reads the bytes; the document has one of the two media types, or no media type
and a list of manifests that is not null. Where that raises an exception, the source fails.
"""

import json
import pathlib
import sys

INDEX_TYPES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}


def accepts(data):
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return False
    media_type = document.get("mediaType")
    if media_type is None:
        return document.get("manifests") is not None
    return isinstance(media_type, str) and media_type in INDEX_TYPES


for name in sys.argv[1:]:
    path = pathlib.Path(name)
    verdict = "accepted" if accepts(path.read_bytes()) else "refused"
    print(f"{path.name}\t{verdict}")
