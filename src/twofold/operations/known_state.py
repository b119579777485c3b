"""Finds or rebuilds what the newest backup of a chain holds: the state file, if it belongs to that chain."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence

from twofold.collection.chains import SignatureChain
from twofold.envelope.protocol import Opened
from twofold.model.backup import SetId
from twofold.monitor import Monitor
from twofold.pipeline.known import DamagedState, Identity, KnownTree
from twofold.repository.repository import Repository


def open_known_state(
    repository: Repository, chain: SignatureChain, openers: Sequence[Callable[[], Opened]], *, monitor: Monitor
) -> KnownTree:
    """The state at the end of the chain. Raises what reading the signature files raises."""
    identity = state_identity(repository, chain, None)
    known = _stored_state(repository, identity)
    if known is None:
        from twofold.pipeline.basis import rebuild_state

        path = repository.archive_dir.state_path
        rebuild_state(path, openers, identity, monitor=monitor)
        known = KnownTree(path)
    return known


def find_known_state(repository: Repository, chain: SignatureChain) -> KnownTree | None:
    """The state at the end of the chain, if there is a state file that belongs to it."""
    return _stored_state(repository, state_identity(repository, chain, None))


def _stored_state(repository: Repository, identity: Identity) -> KnownTree | None:
    try:
        known = KnownTree(repository.archive_dir.state_path)
    except DamagedState:
        return None
    if known.identity == identity:
        return known
    known.close()
    return None


def state_identity(repository: Repository, chain: SignatureChain | None, added: SetId | None) -> Identity:
    """What tells one state of a chain from every other: the sets, their signature files, their cached manifests."""
    files = [] if chain is None else [(each.set_id, each.candidates[0].name) for each in chain.files]
    archive_dir = repository.archive_dir
    if added is not None:
        files.append((added, os.path.basename(archive_dir.signature_path(added))))
    sets = tuple(
        (name, _size(archive_dir.path_of(name)), _digest(archive_dir.manifest_path(set_id))) for set_id, name in files
    )
    return Identity(sets, tuple(set_id.end for set_id, _ in files))


def _size(path: str) -> str:
    try:
        return str(os.stat(path).st_size)
    except FileNotFoundError:
        return ""


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
