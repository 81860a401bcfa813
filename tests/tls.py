"""TLS handshakes of a client that offers no more than a given version."""

import socket
import ssl
import struct
import warnings
from typing import Final

_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""What a client of PostgreSQL sends before the handshake."""


def agreed_version(port: int, newest: ssl.TLSVersion, *, postgres: bool = False) -> str | None:
    """Return the version of TLS that a server on the loopback address agrees to; raise `ssl.SSLError`.

    Certificates are not checked here; every cipher is offered, however old.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions, which are the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        if postgres:
            plain.sendall(_SSL_REQUEST)
            assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as secured:
            return secured.version()
