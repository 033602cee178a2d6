"""A PHP application under PHP's own web server, and a client that keeps cookies as a browser does."""

import contextlib
import http.cookiejar
import json
import pathlib
import re
import socket
import urllib.error
import urllib.parse
import urllib.request

import harness

TIMEOUT_S = 120


class Site:
    """A client of one site."""

    def __init__(self, base):
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path, **query):
        """The text of a page; fails unless it answers 200."""
        return self.send(path, None, query)

    def post(self, path, fields, headers=(), **query):
        return self.send(path, urllib.parse.urlencode(fields).encode(), query, dict(headers))

    def post_json(self, path, value, headers=(), **query):
        headers = {"Content-Type": "application/json", **dict(headers)}
        return json.loads(self.send(path, json.dumps(value).encode(), query, headers))

    def send(self, path, body, query, headers=None):
        url = f"{self.base}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(url, body, headers or {})
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                text = answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.code}\n{error.read().decode(errors='replace')[-2000:]}") from error
        found = re.search(r"(Fatal error|Warning|Parse error)</b>: .*", text)
        assert not found, f"{url}: {found.group(0)}"
        return text


@contextlib.contextmanager
def php_site(root, scratch, *settings):
    """Serves the PHP files below `root`; yields a client."""
    port = harness.free_port()
    options = [part for setting in ("sendmail_path=/bin/true", "memory_limit=512M", *settings) for part in ("-d", setting)]
    server = harness.Process(
        "php", ["php8.2", *options, "-S", f"127.0.0.1:{port}", "-t", root], pathlib.Path(scratch) / "php.log")
    try:
        site = Site(f"http://127.0.0.1:{port}")

        def ready():
            assert server.running(), server.output()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True

        harness.wait_until(ready, 30, "PHP's web server")
        yield site
    finally:
        server.kill()
