"""moto's S3 server with one request at a time inside it; takes moto's own arguments.

moto looks for the object of a conditional PUT and stores it in two steps, and its server runs requests in
threads: of two such PUTs at once, now and then both succeed, which no S3 allows.
"""

import io
import sys
import threading

import moto.server


def serial(app):
    turn = threading.Lock()

    def handle(environ, start_response):
        # What waits for the network is outside the turn: a client that stops half-way holds up nobody.
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        with turn:
            return [b"".join(app(environ, start_response))]

    return handle


run_simple = moto.server.run_simple
moto.server.run_simple = lambda host, port, app, *rest, **options: run_simple(host, port, serial(app), *rest, **options)

if __name__ == "__main__":
    sys.exit(moto.server.main())
