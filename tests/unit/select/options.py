"""Selection options as the command line has them, made into conditions: the least that drives the recorded cases."""

from twofold.errors import UserError
from twofold.model.times import parse_time
from twofold.select.conditions import (
    Exclude,
    ExcludeDeviceFiles,
    ExcludeFilelist,
    ExcludeIfPresent,
    ExcludeOlderThan,
    ExcludeOtherFilesystems,
    ExcludeRegexp,
    FilesFrom,
    FilterCase,
    FilterSyntax,
    Include,
    IncludeFilelist,
    IncludeRegexp,
    NullSeparator,
    Syntax,
)

ALONE = {
    "--filter-globbing": FilterSyntax(Syntax.GLOB),
    "--filter-literal": FilterSyntax(Syntax.LITERAL),
    "--filter-regexp": FilterSyntax(Syntax.REGEXP),
    "--filter-ignorecase": FilterCase(ignore=True),
    "--filter-strictcase": FilterCase(ignore=False),
    "--null-separator": NullSeparator(),
    "--exclude-device-files": ExcludeDeviceFiles(),
    "--exclude-other-filesystems": ExcludeOtherFilesystems(),
}
WITH_TEXT = {
    "--include": Include,
    "--exclude": Exclude,
    "--include-regexp": IncludeRegexp,
    "--exclude-regexp": ExcludeRegexp,
    "--exclude-if-present": lambda name: ExcludeIfPresent(name.encode()),
    "--exclude-older-than": lambda text: ExcludeOlderThan(parse_time(text, now=1_700_000_000)),
}
WITH_FILE = {
    "--include-filelist": IncludeFilelist,
    "--exclude-filelist": ExcludeFilelist,
    "--files-from": FilesFrom,
}
NO_CONDITIONS = {"--copy-links"}


def read_options(arguments: list[str], files: dict[str, str]) -> list:
    """Conditions in order; `files` holds the lists by name."""
    words = [word for argument in arguments for word in _split(argument)]
    conditions = []
    while words:
        option = words.pop(0)
        if option in ALONE:
            conditions.append(ALONE[option])
        elif option in WITH_TEXT:
            conditions.append(WITH_TEXT[option](words.pop(0)))
        elif option in WITH_FILE:
            name = words.pop(0)
            if name not in files:
                raise UserError(f"There is no file {name}")
            conditions.append(WITH_FILE[option](name, files[name].encode()))
        elif option not in NO_CONDITIONS:
            raise AssertionError(f"unknown option {option}")
    return conditions


def _split(argument: str) -> list[str]:
    return argument.split("=", 1) if argument.startswith("--") and "=" in argument else [argument]
