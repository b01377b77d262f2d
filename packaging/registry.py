"""A registry with one index, for `packaging/try`: registry.py FILE

Writes its address and the index's digest to FILE.
"""
import hashlib
import http.server
import json
import sys

INDEX = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [],
}).encode()
DIGEST = "sha256:" + hashlib.sha256(INDEX).hexdigest()
MISSING = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        known = self.path in ("/v2/app/manifests/latest", "/v2/app/manifests/" + DIGEST)
        status, body = (200, INDEX) if known else (404, json.dumps(MISSING).encode())
        if self.path == "/v2/":
            status, body = 200, b"{}"
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.oci.image.index.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
# A client that hangs up is no error.
server.handle_error = lambda *args: None
with open(sys.argv[1], "w") as file:
    file.write(f"127.0.0.1:{server.server_port} {DIGEST}\n")
server.serve_forever()
