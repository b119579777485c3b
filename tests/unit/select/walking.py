"""A small walk over a real tree, slow and plain: what tree/scan.py does with a selector, reduced to names."""

import os
import stat

from twofold.select.selector import Selector, Verdict


def stored_paths(root: str, selector: Selector, *, copy_links: bool = False) -> list[str]:
    """What a backup would store below the root; directories have a slash at the end."""
    device = os.stat(root).st_dev
    return sorted(_below(os.fsencode(root), b"", selector, device, os.stat if copy_links else os.lstat))


def _below(root, directory, selector, device, look):
    names = _names(root, directory, selector)
    facts = [look(os.path.join(root, directory, name)) for name in names]
    stored = []
    for name, known, verdict in zip(
        names, facts, selector.choose(directory, names, facts=facts, root_device=device), strict=True
    ):
        path = os.path.join(directory, name)
        if verdict is Verdict.EXCLUDE or stat.S_ISSOCK(known.st_mode):
            continue
        if not stat.S_ISDIR(known.st_mode):
            assert verdict is Verdict.INCLUDE, "only directories are looked into"
            stored.append(os.fsdecode(path))
            continue
        if selector.is_barred(path, os.listdir(os.path.join(root, path))):
            continue
        inside = _below(root, path, selector, device, look)
        if verdict is Verdict.INCLUDE or inside:
            stored += [os.fsdecode(path) + "/", *inside]
    return stored


def _names(root, directory, selector):
    there = os.listdir(os.path.join(root, directory))
    listed = selector.listed(directory)
    return sorted(there if listed is None else set(listed) & set(there))
