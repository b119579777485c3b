"""Which certificates a server may show: the same answer for every protocol with TLS."""

from __future__ import annotations

import os
import ssl

from twofold.errors import UserError
from twofold.storage.settings import StoreSettings


def tls_context(settings: StoreSettings) -> ssl.SSLContext:
    """Certificates and host names are verified unless --ssl-no-check-certificate was given.

    Trusted is what --ssl-cacert-file and --ssl-cacert-path name; else duplicity's own places (docs/cli.md section 5.2),
    else the system's. Raises UserError when what was named cannot be read.
    """
    options = settings.options
    file, path = trusted_file(settings), options.ssl_cacert_path
    try:
        context = ssl.create_default_context(cafile=file, capath=path)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or error
        raise UserError(f"The certificates in {file or path} cannot be used: {reason}; name a PEM file") from error
    if options.ssl_no_check_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def trusted_file(settings: StoreSettings) -> str | None:
    """The file named, or duplicity's own where nothing was named; None for the system's certificates or a directory."""
    options = settings.options
    if options.ssl_cacert_file is not None or options.ssl_cacert_path is not None:
        return options.ssl_cacert_file
    home = settings.environment.get("HOME")
    places = [f"{home}/.duplicity/cacert.pem", f"{home}/duplicity_cacert.pem"] if home else []
    return next((place for place in [*places, "/etc/duplicity/cacert.pem"] if os.path.isfile(place)), None)
