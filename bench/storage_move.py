"""Moves files by a driver alone: `python -m bench.storage_move put|get URL FOLDER AT_ONCE [OPTION=VALUE ...]`.

The options are those of ServiceOptions; passwords come from the same variables as in the program.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from twofold.model.backup import FileRole
from twofold.model.value import replace
from twofold.storage.passwords import find_password
from twofold.storage.registry import open_store
from twofold.storage.settings import ServiceOptions, StoreSettings
from twofold.storage.store import Key
from twofold.storage.url import StorageUrl


def main(direction: str, address: str, folder: str, at_once: str, *options: str) -> None:
    url = StorageUrl.parse(address)
    chosen = replace(ServiceOptions(), **dict(option.split("=", 1) for option in options))
    found = find_password(url, os.environ, ask=None)
    settings = StoreSettings(os.environ, None if found is None else found.value, options=chosen)
    with closing(open_store(url, settings=settings)) as store, ThreadPoolExecutor(int(at_once)) as pool:

        def put(name: str) -> None:
            store.put(Key(FileRole.VOLUME, name), os.path.join(folder, name))

        def get(name: str) -> None:
            store.get(Key(FileRole.VOLUME, name), os.path.join(folder, name))

        if direction == "put":
            list(pool.map(put, sorted(os.listdir(folder))))
        else:
            list(pool.map(get, sorted(file.name for file in store.list())))


if __name__ == "__main__":
    main(*sys.argv[1:])
