"""A receiver of vigil's webhooks: it verifies, answers at once, does each thing once, and orders by `at`.

    WEBHOOK_SECRETS="whsec_..." PORT=8080 python3 receiver.py

Only the standard library; for v1a signatures (a whpk_ key) install the package cryptography.
"""
import base64, hashlib, hmac, json, os, queue, threading, time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = os.environ["WEBHOOK_SECRETS"].split()  # several while one is being replaced
MAX_BODY, TOLERANCE, REMEMBER = 2 << 20, 300, 100_000


def matches(key, signature, content):
    kind, _, encoded = key.partition("_")
    mark, _, given = signature.partition(",")
    raw = base64.b64decode(encoded + "==")
    if (kind, mark) == ("whsec", "v1"):
        want = base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest())
        return hmac.compare_digest(want, given.encode())  # constant time
    if (kind, mark) == ("whpk", "v1a"):
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(given), content)
            return True
        except Exception:
            return False
    return False


def verified(headers, body):
    ident, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not ident or not stamp.isdigit() or abs(time.time() - int(stamp)) > TOLERANCE:
        return False
    content = f"{ident}.{stamp}.".encode() + body  # the raw bytes, not JSON written anew
    signatures = headers.get("webhook-signature", "").split(" ")[:16]
    return any(matches(key, signature, content) for key in KEYS for signature in signatures)


work = queue.Queue(maxsize=1000)
seen, lock = OrderedDict(), threading.Lock()


def take(ident, body):
    """True once the webhook is ours to do. A real receiver inserts into a table whose key is the id, before it answers."""
    with lock:
        if ident in seen:
            return True
        try:
            work.put_nowait((ident, body))
        except queue.Full:
            return False
        seen[ident] = None
        if len(seen) > REMEMBER:
            seen.popitem(last=False)
        return True


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep the connection: vigil uses it again

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        if not verified(self.headers, body):
            return self.answer(401)
        self.answer(204 if take(self.headers["webhook-id"], body) else 503)

    def answer(self, status):
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "10")
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def worker():
    newest = {}  # by user
    while True:
        ident, body = work.get()
        hook = json.loads(body)
        if hook["at"] < newest.get(hook["user"], ""):  # RFC 3339 in UTC with ms: text compares as time
            print("late", ident, flush=True)  # webhooks come in any order
            continue
        newest[hook["user"]] = hook["at"]
        print("done", ident, flush=True)


threading.Thread(target=worker, daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver)
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
