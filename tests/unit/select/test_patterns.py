"""The quick way to ask many patterns gives the answers of the definition, whatever the patterns and the tree."""

import contextlib
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.select.compiling import compile_selection
from twofold.select.conditions import Exclude, FilterSyntax, Include, Mode, Syntax
from twofold.select.errors import BadExpression, BadGlob, SelectionError
from twofold.select.glob import Glob, read_glob, read_literal
from twofold.select.patterns import PatternRule
from twofold.select.rules import Answer
from twofold.select.selector import Verdict

DIRECTORY = os.stat_result((stat.S_IFDIR | 0o755, *[0] * 9))
FILE = os.stat_result((stat.S_IFREG | 0o644, *[0] * 9))

pieces = st.sampled_from(["a", "b", "ab", "A", "/", "/", "*", "**", "**/", "?", "[ab]", "[!a]", "[a/]", "[", "ß", "."])
globs = st.lists(pieces, min_size=1, max_size=7).map("".join)
names = st.sampled_from(["a", "b", "ab", "ba", "A", "[", "a.b", "ß", "\u017f", "b\n", "a\nb", "*"])
directories = st.lists(names, max_size=4).map(lambda parts: "".join(f"{part}/" for part in parts))


@st.composite
def rules(draw):
    known = []
    for text in draw(st.lists(globs, min_size=1, max_size=5)):
        try:
            known.append(read_glob(text, ignore_case=draw(st.booleans())))
        except BadGlob:
            known.append(read_literal(text, ignore_case=draw(st.booleans())))
    return PatternRule(draw(st.sampled_from([Answer.INCLUDE, Answer.EXCLUDE])), known)


@settings(max_examples=25, deadline=None)
@given(rules(), st.sampled_from(["", "/"]), directories, st.lists(names, max_size=4), st.booleans())
def test_asking_by_directory_and_asking_each_glob_agree(rule, root, below, entries, is_directory):
    directory = root + below
    facts = DIRECTORY if is_directory else FILE
    odd = any("\n" in name for name in entries)
    placed = rule.slowly_at(directory) if odd else rule.at(directory, 0)
    for name in entries:
        quick = Answer.NOTHING if placed is None else placed.sweep([name], [facts]).get(name, Answer.NOTHING)
        assert quick is rule.ask_one(directory + name, facts)
        if placed is not None and placed.decision is not None:
            assert quick is placed.decision


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("/b/*.py", "/b/x.py", True),
        ("/b/*.py", "/b/c/x.py", False),
        ("/b/*.py", "/b/x.py/below", True),
        ("/b/**.py", "/b/c/x.py", True),
        ("/b/[[]", "/b/[", True),
        ("/b/[]]", "/b/]", True),
        ("/b/[a-]", "/b/-", True),
        ("/b/[--9]", "/b/5", True),
        ("/b/[&&~~||[]", "/b/[", True),
        ("/b/[\\]", "/b/\\", True),
        ("/b/a\\*", "/b/a\\x", True),
        ("/b/[!]", "/b/[!]", True),
        ("/b/[^", "/b/[^", True),
        ("/b/[^]]", "/b/x", True),
        ("/b/?", "/b/é", True),
        ("/b/?", "/b/\udcff", True),
        ("/b/a.c", "/b/abc", False),
        ("ignorecase:/B/X", "/b/x", True),
        ("IGNORECASE:/b/straße", "/b/STRAẞE", True),
        ("/", "/b", True),
    ],
)
def test_a_glob_matches_as_a_shell_would_say_and_the_manual_explains(text, path, expected):
    assert read_glob(text, ignore_case=False).matches(path, is_directory=False) is expected


def test_a_class_with_a_range_that_runs_backwards_is_refused():
    with pytest.raises(BadExpression, match=r"Cannot understand the pattern '/b/\[z-a\]'"):
        read_glob("/b/[z-a]", ignore_case=False).matches("/b/x", is_directory=False)


def test_a_trailing_slash_asks_for_directories_and_takes_what_is_in_them():
    glob = read_glob("/b/x/", ignore_case=False)
    assert glob.matches("/b/x", is_directory=True)
    assert not glob.matches("/b/x", is_directory=False)
    assert glob.matches("/b/x/below", is_directory=False)


def test_a_file_that_looks_like_a_pattern_for_directories_is_neither_matched_nor_a_lead():
    glob = read_glob("**/x/", ignore_case=False)
    assert not glob.matches("/b/x/x", is_directory=False)
    assert not glob.may_lead("/b/x/x", is_directory=False)
    assert glob.matches("/b/x/y", is_directory=False)
    assert glob.may_lead("/b/y", is_directory=False)


def test_two_slashes_in_a_row_are_refused_in_a_glob_but_neither_after_two_asterisks_nor_in_a_literal():
    with pytest.raises(BadGlob, match="one slash only"):
        read_glob("/b//x", ignore_case=False)
    assert not read_glob("**/b//x", ignore_case=False).matches("/b/x", is_directory=False)
    assert not read_literal("/b//x", ignore_case=False).matches("/b/x", is_directory=False)


@pytest.mark.parametrize(
    ("text", "leading", "not_leading"),
    [
        ("/b/a/c", ["/", "/b", "/b/a"], ["/b/x", "/b/a/x", "/c"]),
        ("/b/*/c", ["/b/x"], ["/b/x/y"]),
        ("/b/a**b/c", ["/b", "/b/a", "/b/ax", "/b/ax/y"], ["/b/x"]),
        ("**/c", ["/x", "/x/y/z"], []),
        ("/b/*/", ["/b"], ["/b/x"]),
    ],
)
def test_leading_parts_are_cut_at_slashes_and_open_after_two_asterisks(text, leading, not_leading):
    glob = read_glob(text, ignore_case=False)
    assert all(glob.may_lead(path, is_directory=True) for path in leading)
    assert not any(glob.may_lead(path, is_directory=True) for path in not_leading)


def test_hundreds_of_names_are_looked_up_and_not_tried_one_by_one(monkeypatch):
    tried = []
    rule = PatternRule(
        Answer.EXCLUDE, [read_glob(f"/home/user/file{number}", ignore_case=False) for number in range(800)]
    )
    monkeypatch.setattr(Glob, "matches", lambda self, path, is_directory: tried.append(path))
    placed = rule.at("/home/user/", 0)
    assert placed.sweep(["file799", "file800"], [FILE, FILE]) == {"file799": Answer.EXCLUDE}
    assert rule.at("/home/", 0) is None
    assert rule.at("/home/user/file7/deep/", 0).decision is Answer.EXCLUDE
    assert not tried


def test_directories_that_no_include_can_reach_are_not_entered():
    selector = compile_selection([Include("/r/a/b"), Exclude("**")], source=b"/r", mode=Mode.BACKUP)
    verdicts = selector.choose(b"", [b"a", b"z"], facts=[DIRECTORY, DIRECTORY])
    assert verdicts == [Verdict.SCAN, Verdict.EXCLUDE]
    assert selector.choose(b"a", [b"b", b"c"], facts=[DIRECTORY, FILE]) == [Verdict.INCLUDE, Verdict.EXCLUDE]
    assert selector.choose(b"a/b", [b"x"], facts=[FILE]) == [Verdict.INCLUDE]


@settings(max_examples=60, deadline=None)
@given(st.text("ab*?[]!^-/. \n+#'\"", max_size=8), st.sampled_from(Syntax), st.sampled_from(Mode))
def test_no_pattern_is_too_odd_to_be_compiled_or_refused(text, syntax, mode):
    conditions = [FilterSyntax(syntax), Exclude("**" if syntax is not Syntax.REGEXP else "x"), Exclude(text)]
    with contextlib.suppress(SelectionError):
        selector = compile_selection(conditions, source=b"/", mode=mode)
        assert len(selector.choose(b"a", [b"a", b"b\n"], facts=[FILE, DIRECTORY])) == 2
