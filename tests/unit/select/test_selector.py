"""What the recorded cases do not say: devices, markers, lists, messages, and the sieve for restores."""

import os
import stat

import pytest

from twofold.model.entry import Kind
from twofold.select.compiling import compile_selection, normalized_source
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
    Mode,
    Syntax,
)
from twofold.select.errors import (
    AbsolutePathListed,
    BadExpression,
    OnlyDefaultModes,
    OutsideRoot,
    RedundantInclude,
    SelectionError,
    TrailingMode,
)
from twofold.select.selector import Verdict
from twofold.select.sifting import Recorded, sift


def facts(kind=stat.S_IFREG, *, device=0, mtime=0):
    return os.stat_result((kind, 0, device, 0, 0, 0, 0, mtime, mtime, mtime))


class At:
    """A file's facts with nanoseconds, which a stat_result made by hand has not."""

    st_mode = stat.S_IFREG
    st_dev = 0

    def __init__(self, mtime_ns):
        self.st_mtime_ns = mtime_ns


def compiled(*conditions, source=b"/r"):
    return compile_selection(conditions, source=source, mode=Mode.BACKUP)


def test_no_conditions_are_trivial_and_any_condition_is_not():
    assert compiled().trivial
    assert not compiled(Exclude("/r/x")).trivial
    assert not compiled(ExcludeIfPresent(b"TAG")).trivial
    assert not compiled(FilesFrom("l", b"x")).trivial
    assert compiled().choose(b"a", [b"x"], facts=[facts()]) == [Verdict.INCLUDE]


def test_other_filesystems_are_told_by_the_device_and_an_earlier_include_wins():
    selector = compiled(Include("/r/keep"), ExcludeOtherFilesystems())
    assert selector.needs_device
    assert not compiled(ExcludeDeviceFiles()).needs_device
    known = [facts(device=7), facts(device=7), facts(device=1)]
    verdicts = selector.choose(b"", [b"keep", b"other", b"same"], facts=known, root_device=1)
    assert verdicts == [Verdict.INCLUDE, Verdict.EXCLUDE, Verdict.INCLUDE]
    assert selector.choose(b"", [b"other"], facts=[facts(device=7)], root_device=7) == [Verdict.INCLUDE]


def test_device_files_are_left_out_before_any_include_is_heard():
    selector = compiled(Include("/r/dev"), Exclude("/r/x"), ExcludeDeviceFiles())
    kinds = [stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFREG]
    verdicts = selector.choose(b"dev", [b"b", b"c", b"p", b"r"], facts=[facts(kind) for kind in kinds])
    assert verdicts == [Verdict.EXCLUDE, Verdict.EXCLUDE, Verdict.INCLUDE, Verdict.INCLUDE]


def test_a_file_changed_within_the_very_second_is_not_older():
    selector = compiled(ExcludeOlderThan(100))
    known = [At(100 * 10**9 - 1), At(100 * 10**9), At(100 * 10**9 + 5)]
    assert selector.choose(b"", [b"a", b"b", b"c"], facts=known) == [Verdict.EXCLUDE, Verdict.INCLUDE, Verdict.INCLUDE]


def test_a_marker_bars_any_directory_but_the_root():
    selector = compiled(ExcludeIfPresent(b"TAG"), ExcludeIfPresent(b".skip"))
    assert selector.has_markers
    assert selector.is_barred(b"a", [b"TAG", b"x"])
    assert selector.is_barred(b"a", [b".skip"])
    assert not selector.is_barred(b"a", [b"x"])
    assert not selector.is_barred(b"", [b"TAG"])
    assert not compiled().has_markers


def test_listed_files_and_their_parents_are_all_that_exists_for_the_walk():
    selector = compiled(FilesFrom("l", b"a/b\n./c//d/\nb\n"))
    assert selector.has_list
    assert selector.listed(b"") == (b"a", b"b", b"c")
    assert selector.listed(b"a") == (b"b",)
    assert selector.listed(b"c") == (b"d",)
    assert selector.listed(b"a/b") == ()
    assert compiled().listed(b"") is None


def test_of_several_lists_of_files_the_last_counts():
    assert compiled(FilesFrom("l", b"a"), FilesFrom("m", b"b")).listed(b"") == (b"b",)


def test_a_listed_path_must_not_lead_outside():
    with pytest.raises(SelectionError, match="leads outside"):
        compiled(FilesFrom("l", b"a/../../x"))
    with pytest.raises(AbsolutePathListed, match=r"/etc/\\xff"):
        compiled(FilesFrom("l", b"/etc/\xff"))


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        (b"src", b"src"),
        (b"./src", b"src"),
        (b"src//x/", b"src/x"),
        (b"/", b"/"),
        (b"//", b"/"),
        (b".", b"."),
        (b"./", b"."),
        (b"././a", b"a"),
        (b"./src/../src", b"src/../src"),
    ],
)
def test_the_source_is_matched_as_typed_but_tidied(typed, path):
    assert normalized_source(typed) == path


def test_patterns_for_the_current_directory_and_for_the_whole_disk():
    here = compiled(Exclude("./a"), source=b".")
    assert here.choose(b"", [b"a", b"b"], facts=[facts()] * 2) == [Verdict.EXCLUDE, Verdict.INCLUDE]
    disk = compiled(Exclude("/proc"), Include("/home/me"), Exclude("/home/*"), source=b"/")
    known = [facts(stat.S_IFDIR)] * 2
    assert disk.choose(b"", [b"home", b"proc"], facts=known) == [Verdict.SCAN, Verdict.EXCLUDE]
    assert disk.choose(b"home", [b"me", b"you"], facts=known) == [Verdict.INCLUDE, Verdict.EXCLUDE]


def test_names_that_are_no_text_are_matched_all_the_same():
    selector = compiled(Exclude(os.fsdecode(b"/r/\xff*")), Exclude("/r/caf?"))
    names = [b"\xff\xfe", b"caf\xc3\xa9", b"caf\xe9", b"caf"]
    verdicts = selector.choose(b"", names, facts=[facts()] * 4)
    assert verdicts == [Verdict.EXCLUDE, Verdict.EXCLUDE, Verdict.EXCLUDE, Verdict.INCLUDE]


def test_blanks_after_the_sign_of_a_line_belong_to_the_pattern():
    with pytest.raises(OutsideRoot):
        compiled(ExcludeFilelist("l", b"-   /r/a\n"))


def test_lists_with_windows_line_ends_and_odd_quotes_are_read():
    selector = compiled(ExcludeFilelist("l", b"/r/a\r\n\"\"\r\n'\r\n- '/r/b '\r\n"))
    verdicts = selector.choose(b"", [b"a", b"b ", b"c"], facts=[facts()] * 3)
    assert verdicts == [Verdict.EXCLUDE, Verdict.EXCLUDE, Verdict.INCLUDE]


@pytest.mark.parametrize("pattern", ["", "ignorecase:"])
def test_an_empty_pattern_is_refused(pattern):
    with pytest.raises(SelectionError, match="Option --exclude cannot be empty"):
        compiled(Exclude(pattern))
    with pytest.raises(SelectionError, match="Option --include cannot be empty"):
        compiled(Include(pattern), Exclude("**"))


def test_an_empty_regular_expression_is_refused():
    with pytest.raises(SelectionError, match="cannot be empty"):
        compiled(ExcludeRegexp(""))


def test_a_regular_expression_that_does_not_compile_is_refused_in_one_sentence():
    with pytest.raises(BadExpression, match="Cannot understand the pattern '\\('") as caught:
        compiled(IncludeRegexp("("), Exclude("**"))
    assert caught.value.exit_code == 30
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("conditions", "described"),
    [
        ([Include("/r/a")], "shell glob include case: /r/a"),
        ([FilterCase(ignore=True), Include("/r/a")], "shell glob include no-case: /r/a"),
        ([FilterSyntax(Syntax.LITERAL), Include("/r/a")], "literal string include case: /r/a"),
        ([IncludeRegexp("a")], "regular expression include case: a"),
        ([FilterSyntax(Syntax.REGEXP), Include("a")], "regular expression include case: a"),
        ([IncludeFilelist("l", b"- /r/b\n/r/a\n")], "shell glob include case: /r/a"),
        ([Include("/r/a"), FilesFrom("l", b"a")], "shell glob include case: /r/a"),
        ([Include("/r/a"), IncludeFilelist("l", b"# none")], "shell glob include case: /r/a"),
    ],
)
def test_a_last_condition_that_only_includes_is_named(conditions, described):
    with pytest.raises(RedundantInclude) as caught:
        compiled(*conditions)
    assert described in str(caught.value)


@pytest.mark.parametrize("last", [ExcludeOlderThan(5), ExcludeOtherFilesystems(), Exclude("/r/b")])
def test_anything_that_excludes_after_the_include_makes_it_meaningful(last):
    compiled(Include("/r/a"), last)


def test_the_complaint_about_a_pattern_outside_names_the_pattern_and_the_root():
    with pytest.raises(OutsideRoot) as caught:
        compiled(Exclude("/elsewhere"))
    assert "    /elsewhere\n" in str(caught.value)
    assert "    /r\n" in str(caught.value)


@pytest.mark.parametrize(
    ("switch", "name"),
    [
        (FilterSyntax(Syntax.GLOB), "--filter-globbing"),
        (FilterSyntax(Syntax.LITERAL), "--filter-literal"),
        (FilterSyntax(Syntax.REGEXP), "--filter-regexp"),
        (FilterCase(ignore=True), "--filter-ignorecase"),
        (FilterCase(ignore=False), "--filter-strictcase"),
    ],
)
def test_a_switch_with_nothing_after_it_is_refused_by_name(switch, name):
    with pytest.raises(TrailingMode, match=name):
        compiled(Exclude("nonsense"), switch)


def test_switches_that_change_nothing_are_refused_before_patterns_are_judged():
    with pytest.raises(OnlyDefaultModes, match="--filter-globbing, --filter-strictcase"):
        compiled(FilterSyntax(Syntax.GLOB), FilterCase(ignore=False), Exclude("nonsense"))


@pytest.mark.parametrize("pattern", ["/a", "/", "..", ".", "a/./b", "**/../x", "ignorecase:/A"])
def test_a_restore_refuses_patterns_that_are_not_relative(pattern):
    with pytest.raises(OutsideRoot, match="Restore file selection pattern"):
        compile_selection([Exclude(pattern)], mode=Mode.RESTORE)


@pytest.mark.parametrize("pattern", ["././a", "ignorecase:./A", "a"])
def test_a_restore_takes_patterns_with_or_without_a_leading_dot(pattern):
    selector = compile_selection([Exclude(pattern)], mode=Mode.RESTORE)
    assert selector.choose(b"", [b"a", b"b"], facts=[facts()] * 2) == [Verdict.EXCLUDE, Verdict.INCLUDE]


def sifted(*conditions, paths):
    """Paths with a slash at the end are directories."""
    selector = compile_selection(conditions, mode=Mode.RESTORE)
    described = [
        Recorded(path.rstrip(b"/"), Kind.DIRECTORY if path.endswith(b"/") or not path else Kind.REGULAR, 0)
        for path in paths
    ]
    return [one.path for one in sift(described, selector=selector, describe=lambda one: one)]


def test_what_lies_below_an_excluded_directory_is_gone_with_it():
    paths = [b"", b"a/", b"a/b/", b"a/b/c", b"a-x", b"b"]
    assert sifted(ExcludeRegexp("^a$"), paths=paths) == [b"", b"a-x", b"b"]


def test_directories_on_the_way_appear_once_something_in_them_does():
    paths = [b"", b"a/", b"a/b/", b"a/b/c", b"a/b/d", b"a/e/", b"a/e/f", b"g/", b"g/h"]
    assert sifted(Include("a/b/d"), Include("a/e/nope"), Exclude("**"), paths=paths) == [b"", b"a", b"a/b", b"a/b/d"]


def test_a_restore_knows_kinds_and_times_from_the_archive():
    selector = compile_selection([ExcludeDeviceFiles(), ExcludeOlderThan(10)], mode=Mode.RESTORE)
    items = [
        Recorded(b"block", Kind.BLOCK_DEVICE, 99 * 10**9),
        Recorded(b"fifo", Kind.FIFO, 0),
        Recorded(b"new", Kind.REGULAR, 10 * 10**9),
        Recorded(b"old", Kind.REGULAR, 10 * 10**9 - 1),
    ]
    taken = sift(items, selector=selector, describe=lambda one: one)
    assert [one.path for one in taken] == [b"fifo", b"new"]
