"""An S3 server in memory that fails as it is told to, with a clock that can run faster than the day.

It speaks what Aquifer uses: GET with ranges, HEAD, PUT with `If-None-Match: *`, DELETE and ListObjectsV2, path
style, no signatures. Conditional PUTs are atomic. Faults come at random, by a seed, each with its share of the
requests; during an outage every connection is closed without an answer.

Deliberately missing: what S3 promises never to do. It is strongly consistent, so nothing is stale or absent.
"""

import collections
import email.utils
import http.server
import random
import socketserver
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

PAGE_KEYS = 1_000

# Name of a fault: which methods it fits. The effect is before the answer is spoiled where the name says so.
FAULTS = {
    "slow_down": {"GET", "HEAD", "PUT", "DELETE"},       # 503, without effect
    "reset": {"GET", "HEAD", "PUT", "DELETE"},           # the connection is closed, without effect
    "lost_answer": {"GET", "HEAD", "PUT", "DELETE"},     # it takes effect, the connection is closed
    "truncated": {"GET"},                                # half of the body
    "conflict": {"PUT"},                                 # 409, without effect
    "precondition": {"PUT"},                             # 412 though there is no such object
    "delay": {"GET", "HEAD", "PUT", "DELETE"},           # ten times as slow as anything should be
}
DELAY_S = (0.3, 1.5)

Stored = collections.namedtuple("Stored", "body modified_s")


class FaultyS3:
    """The server; `endpoint` is its address. Stop it with `close`."""

    def __init__(self, seed, clock_factor=1.0):
        self.objects = {}
        self.shares = {}
        self.counts = collections.Counter()
        self.requests = collections.Counter()
        self._pick = random.Random(seed)
        self._lock = threading.Lock()
        self._is_out = threading.Event()
        self._factor = clock_factor
        self._began = time.time()
        self._ahead_s = 0.0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def now_s(self):
        """The server's time: that of modification times."""
        elapsed = time.time() - self._began
        return self._began + elapsed * self._factor + self._ahead_s

    def move_clock(self, seconds):
        self._ahead_s += seconds

    def set_faults(self, share):
        """Each kind of fault hits this share of the requests that it fits."""
        self.shares = {name: share for name in FAULTS} if share else {}

    def outage(self, seconds):
        self._is_out.set()
        self.counts["outage"] += 1
        threading.Timer(seconds, self._is_out.clear).start()

    def stored_bytes(self, prefix=""):
        with self._lock:
            return sum(len(stored.body) for key, stored in self.objects.items() if key.startswith(prefix))

    def fault_of(self, method, conditional):
        """What happens to a request, if anything."""
        if self._is_out.is_set():
            return "reset"
        with self._lock:
            self.requests[method] += 1
            for name, share in self.shares.items():
                fits = method in FAULTS[name] and (conditional or name not in ("conflict", "precondition"))
                if fits and self._pick.random() < share:
                    self.counts[name] += 1
                    return name
        return None

    def put(self, key, body, only_new):
        """Whether it was stored."""
        with self._lock:
            if only_new and key in self.objects:
                return False
            self.objects[key] = Stored(body, self.now_s())
            return True

    def delete(self, key):
        with self._lock:
            self.objects.pop(key, None)

    def page(self, prefix, after):
        with self._lock:
            keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
            return [(key, self.objects[key]) for key in keys[:PAGE_KEYS]], len(keys) > PAGE_KEYS


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that are killed are nothing to tell."""


def _handler(s3):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer's head and body must not wait for each other.
        wbufsize = 1 << 16
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def _run(self):
            body = self._body()
            path = urllib.parse.urlsplit(self.path)
            key = urllib.parse.unquote(path.path).lstrip("/").partition("/")[2]
            query = {name: values[0] for name, values in urllib.parse.parse_qs(path.query, True).items()}
            conditional = self.headers.get("If-None-Match") == "*"
            fault = s3.fault_of(self.command, conditional)
            if fault == "reset":
                self.close_connection = True
                return
            if fault == "delay":
                time.sleep(random.uniform(*DELAY_S))
            if fault == "slow_down":
                return self._error(503, "SlowDown")
            if fault == "conflict":
                return self._error(409, "ConditionalRequestConflict")
            if fault == "precondition":
                return self._error(412, "PreconditionFailed")
            status, headers, answer = self._effect(key, query, body, conditional)
            if fault == "lost_answer":
                self.close_connection = True
                return
            self._send(status, headers, answer, fault == "truncated")

        do_GET = do_HEAD = do_PUT = do_DELETE = _run

        def _body(self):
            length = int(self.headers.get("Content-Length") or 0)
            if "chunked" in (self.headers.get("Transfer-Encoding") or ""):
                body = self._chunks(self.rfile)
            else:
                body = self.rfile.read(length)
            if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
                import io

                body = self._chunks(io.BytesIO(body))
            return body

        @staticmethod
        def _chunks(source):
            body = bytearray()
            while True:
                size = int(source.readline().split(b";")[0] or b"0", 16)
                if size == 0:
                    while source.readline().strip():
                        pass
                    return bytes(body)
                body += source.read(size)
                source.readline()

        def _effect(self, key, query, body, conditional):
            if self.command == "PUT":
                if s3.put(key, body, conditional):
                    return 200, {"ETag": '"0"'}, b""
                return 412, {}, _xml_error("PreconditionFailed")
            if self.command == "DELETE":
                s3.delete(key)
                return 204, {}, b""
            if not key:
                return 200, {"Content-Type": "application/xml"}, self._listing(query)
            stored = s3.objects.get(key)
            if stored is None:
                return 404, {}, _xml_error("NoSuchKey")
            return self._object(stored)

        def _object(self, stored):
            headers = {"Last-Modified": email.utils.formatdate(stored.modified_s, usegmt=True), "ETag": '"0"'}
            wanted = self.headers.get("Range")
            if not wanted:
                return 200, headers, stored.body
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            size = len(stored.body)
            start, end = int(first), min(int(last) + 1 if last else size, size)
            if start >= size:
                return 416, {}, _xml_error("InvalidRange")
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            return 206, headers, stored.body[start:end]

        def _listing(self, query):
            after = query.get("continuation-token") or query.get("start-after") or ""
            prefix = query.get("prefix", "")
            page, more = s3.page(prefix, after)
            text = ["<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>"]
            text.append(f"<IsTruncated>{str(more).lower()}</IsTruncated><KeyCount>{len(page)}</KeyCount>")
            for key, stored in page:
                at = time.gmtime(stored.modified_s)
                text.append(
                    f"<Contents><Key>{escape(key)}</Key><Size>{len(stored.body)}</Size><LastModified>"
                    f"{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', at)}</LastModified></Contents>")
            if more:
                text.append(f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>")
            text.append("</ListBucketResult>")
            return "".join(text).encode()

        def _error(self, status, code):
            self._send(status, {}, _xml_error(code), False)

        def _send(self, status, headers, answer, is_cut):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer[: len(answer) // 2] if is_cut else answer)
            self.wfile.flush()
            self.close_connection |= is_cut

    return Handler


def _xml_error(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
