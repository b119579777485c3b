"""The URL grammar of docs/cli.md section 5.1: every row of its table and every rule above it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.errors import InvalidUrl, UnsupportedScheme, UserError
from twofold.storage import places
from twofold.storage.url import StorageUrl, is_url, redact


def parts(text: str) -> tuple[str, str | None, str | None, str, int | None, str]:
    url = StorageUrl.parse(text)
    return url.scheme, url.user, url.password, url.host, url.port, url.path


class TestTheTable:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("scp://u@h:2222//abs", ("scp", "u", None, "h", 2222, "//abs")),
            ("scp://u@h/rel/p", ("scp", "u", None, "h", None, "/rel/p")),
            ("sftp://us%40er:p%2Fw@h/x%20y", ("sftp", "us@er", "p/w", "h", None, "/x y")),
            ("scp://u@h:2222", ("scp", "u", None, "h", 2222, "")),
            ("file:///a/b", ("file", None, None, "", None, "///a/b")),
            ("file://a/b", ("file", None, None, "", None, "//a/b")),
            ("s3:///bucket/p", ("s3", None, None, "", None, "///bucket/p")),
            ("s3://host:80/bucket", ("s3", None, None, "", None, "//host:80/bucket")),
            ("b2://id:key@bucket/f", ("b2", "id", "key", "", None, "//bucket/f")),
            ("rsync://u@h::mod/x", ("rsync", "u", None, "h", None, "::mod/x")),
            ("rsync://h:8873::/mod/x", ("rsync", None, None, "h", 8873, "::/mod/x")),
            ("rsync://h:22//abs", ("rsync", None, None, "h", 22, "//abs")),
            ("rclone://remote:/x", ("rclone", None, None, "", None, "//remote:/x")),
            ("multi:///p/c.json?mode=mirror", ("multi", None, None, "", None, "///p/c.json")),
            ("mf://u%40e.com:p@mediafire.com/some", ("mf", "u@e.com", "p", "", None, "//mediafire.com/some")),
            ("swift://c/p/q", ("swift", None, None, "", None, "//c/p/q")),
            ("par2+sftp://h/x", ("sftp", None, None, "h", None, "/x")),
        ],
    )
    def test_urls_are_taken_apart(
        self, text: str, expected: tuple[str, str | None, str | None, str, int | None, str]
    ) -> None:
        assert parts(text) == expected
        assert StorageUrl.parse(text).text == text

    def test_directories_on_servers(self) -> None:
        directories = {
            text: places.server_directory(StorageUrl.parse(text))
            for text in ("scp://u@h:2222//abs", "scp://u@h/rel/p", "scp://u@h:2222", "sftp://h/")
        }
        assert list(directories.values()) == ["/abs", "rel/p", "", ""]

    @pytest.mark.parametrize(
        ("text", "directory"),
        [
            ("file:///a/b", "/a/b"),
            ("file://a/b", "a/b"),
            ("file:////a", "/a"),
            ("FILE://Dir", "Dir"),
            ("file:///", "/"),
            ("file:///what%3F%23", "/what?#"),
            ("file://.%2Fa", ".%2Fa"),
            ("file:///%FF", "/\udcff"),
            ("file:///100%", "/100%"),
            ("file:///a%2", "/a%2"),
            ("file:///a%zz", "/a%zz"),
            ("file:///a%20+b?x=1#y", "/a +b"),
            ("file://user@host:80/x", "user@host:80/x"),
        ],
    )
    def test_local_directories(self, text: str, directory: str) -> None:
        assert places.local_directory(StorageUrl.parse(text)) == directory

    @pytest.mark.parametrize(
        ("text", "name", "prefix"),
        [
            ("s3:///bucket/p", "bucket", "p/"),
            ("s3://bucket/p", "bucket", "p/"),
            ("s3://bucket", "bucket", ""),
            ("s3://host:80/bucket", "host:80", "bucket/"),
            ("b2://id:key@bucket/f", "bucket", "f/"),
            ("swift://c/p/q/", "c", "p/q/"),
            ("mf://u%40e.com:p@mediafire.com/some", "mediafire.com", "some/"),
        ],
    )
    def test_containers(self, text: str, name: str, prefix: str) -> None:
        found = places.container(StorageUrl.parse(text))
        assert (found.name, found.prefix) == (name, prefix)

    def test_a_container_without_name_is_invalid(self) -> None:
        with pytest.raises(InvalidUrl, match="No bucket or container in s3:///; write s3:///name/folder"):
            places.container(StorageUrl.parse("s3:///"))

    @pytest.mark.parametrize(
        ("text", "module", "directory"),
        [
            ("rsync://u@h::mod/x", "mod", "x"),
            ("rsync://h:8873::/mod/x", "mod", "x"),
            ("rsync://h::mod", "mod", ""),
            ("rsync://h:22//abs", "", "/abs"),
            ("rsync://h/rel", "", "rel"),
        ],
    )
    def test_rsync_places(self, text: str, module: str, directory: str) -> None:
        assert places.rsync_place(StorageUrl.parse(text)) == (module, directory)

    def test_an_rsync_daemon_needs_a_module(self) -> None:
        with pytest.raises(InvalidUrl, match="No module"):
            places.rsync_place(StorageUrl.parse("rsync://h::/"))

    @pytest.mark.parametrize(
        ("text", "remote"), [("rclone://remote:/x", "remote:x"), ("rclone://remote://dir", "remote:/dir")]
    )
    def test_rclone_remotes(self, text: str, remote: str) -> None:
        assert places.rclone_remote(StorageUrl.parse(text)) == remote

    def test_parameters_are_cut_off_and_offered(self) -> None:
        url = StorageUrl.parse("multi:///p/c.json?mode=mirror&subpath=%2Fa+b&onfail#part")
        assert url.query == {"mode": "mirror", "subpath": "/a b", "onfail": ""}
        assert url.path == "///p/c.json"

    def test_repeated_parameters_are_kept_for_those_who_refuse_them(self) -> None:
        assert StorageUrl.parse("multi:///c?mode=a&mode=b").parameters == (("mode", "a"), ("mode", "b"))

    @pytest.mark.parametrize(
        ("text", "prefixes", "scheme"),
        [
            ("par2+sftp://h/x", ("par2",), "sftp"),
            ("PAR2+FILE:///x", ("par2",), "file"),
            ("par2+par2+file:///x", ("par2", "par2"), "file"),
            ("gio+smb://h/x", ("gio",), "smb"),
            ("par2+gio+mtp://[usb:001,002]/x", ("par2", "gio"), "mtp"),
            ("lftp+sftp://h/x", (), "lftp+sftp"),
        ],
    )
    def test_prefixes_are_taken_off(self, text: str, prefixes: tuple[str, ...], scheme: str) -> None:
        url = StorageUrl.parse(text)
        assert (url.prefixes, url.scheme) == (prefixes, scheme)


class TestHosts:
    @pytest.mark.parametrize(
        ("text", "host", "port"),
        [
            ("sftp://Server.Example/x", "server.example", None),
            ("sftp://h:/x", "h", None),
            ("sftp://[fe80::1]/x", "fe80::1", None),
            ("sftp://u@[::1]:22/x", "::1", 22),
            ("sftp://h:0/x", "h", 0),
            ("sftp://h:65535/x", "h", 65535),
            ("sftp://u@v@h/x", "h", None),
        ],
    )
    def test_host_and_port(self, text: str, host: str, port: int | None) -> None:
        url = StorageUrl.parse(text)
        assert (url.host, url.port) == (host, port)

    def test_an_empty_password_is_a_password(self) -> None:
        assert StorageUrl.parse("ftp://u:@h/x").password == ""
        assert StorageUrl.parse("ftp://u@h/x").password is None

    def test_a_user_may_hold_an_at_sign_and_a_password_a_colon(self) -> None:
        url = StorageUrl.parse("sftp://u@v:p:q@h/x")
        assert (url.user, url.password) == ("u@v", "p:q")


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "sftp:///x",
                (
                    "Missing hostname in a backend URL which requires an explicit hostname: sftp:///x "
                    "(write scheme://user@host/directory)"
                ),
            ),
            (
                "sftp://",
                (
                    "Missing hostname in a backend URL which requires an explicit hostname: sftp:// "
                    "(write scheme://user@host/directory)"
                ),
            ),
            ("s3://", "missing // - relative paths not supported for scheme s3: s3:// (write s3:///path)"),
            ("file://", "missing // - relative paths not supported for scheme file: file:// (write file:///path)"),
            ("file://#x", "missing // - relative paths not supported for scheme file: file://#x (write file:///path)"),
            (
                "file://?x=y",
                "missing // - relative paths not supported for scheme file: file://?x=y (write file:///path)",
            ),
            (
                "par2+file://",
                "missing // - relative paths not supported for scheme par2+file: par2+file:// (write par2+file:///path)",
            ),
        ],
    )
    def test_what_is_missing_is_said_in_duplicitys_words(self, text: str, message: str) -> None:
        with pytest.raises(InvalidUrl) as caught:
            StorageUrl.parse(text)
        assert str(caught.value) == message
        assert caught.value.log_word == "InvalidBackendURL"
        assert caught.value.exit_code == 23
        assert isinstance(caught.value, UserError)

    @pytest.mark.parametrize(
        "text",
        [
            "sftp://h:65536/x",
            "sftp://h:ab/x",
            "sftp://h:-1/x",
            "sftp://h:٣/x",
            f"sftp://h:{'9' * 5000}/x",
            "sftp://[::1]:ab/x",
            "sftp://[::1]x/x",
            "file://a:b/c",
            "s3://a:b/c",
            "b2://id:key@bu:ck/x",
        ],
    )
    def test_a_port_is_a_number_up_to_65535(self, text: str) -> None:
        with pytest.raises(InvalidUrl, match=r"^Syntax error \(port\) in: "):
            StorageUrl.parse(text)

    def test_rclone_has_no_ports(self) -> None:
        assert StorageUrl.parse("rclone://a:b:/c").path == "//a:b:/c"

    @pytest.mark.parametrize("text", ["foo://bar/baz", "ssh://h/x", "par2+foo://x", "fil:///x"])
    def test_an_unknown_scheme_is_unsupported(self, text: str) -> None:
        with pytest.raises(
            UnsupportedScheme, match=f"^scheme not supported in url: {text.replace('+', '.')}"
        ) as caught:
            StorageUrl.parse(text)
        assert caught.value.log_word == "UnsupportedBackendScheme"
        assert caught.value.exit_code == 23

    @pytest.mark.parametrize(
        ("text", "suggestion"), [("fil:///x", "file"), ("ssh://h/x", "sftp"), ("webdva://h/x", "webdav")]
    )
    def test_a_near_scheme_is_suggested(self, text: str, suggestion: str) -> None:
        with pytest.raises(UnsupportedScheme, match=rf"did you mean .*\b{suggestion}\b"):
            StorageUrl.parse(text)

    @pytest.mark.parametrize("text", ["file:///a%00b", "sftp://h/%00"])
    def test_a_path_holds_no_nul(self, text: str) -> None:
        with pytest.raises(InvalidUrl, match="%00"):
            StorageUrl.parse(text)

    def test_a_path_is_no_url(self) -> None:
        with pytest.raises(InvalidUrl, match="write a local directory as file://directory"):
            StorageUrl.parse("/a/b")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("file:///x", True),
        ("par2+lftp+s_9://x", True),
        ("foo://", True),
        ("file:/x", False),
        ("C:\\x", False),
        ("://x", False),
        ("x.y://z", False),
        ("a-b://z", False),
        ("ä://z", False),
        ("/file://x", False),
        ("file:///a\nb", False),
        ("", False),
        ("full", False),
    ],
)
def test_a_word_is_a_url_or_a_path(word: str, expected: bool) -> None:
    assert is_url(word) is expected


class TestPasswordsStayHidden:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("sftp://u:secret@h/x", "sftp://u:*****@h/x"),
            ("sftp://u:secret@h:22/x?y", "sftp://u:*****@h:22/x?y"),
            ("b2://id:secret@bucket", "b2://id:*****@bucket"),
            ("gio+smb://u:secret@h/x", "gio+smb://u:*****@h/x"),
            ("foo://u:secret@h/x", "foo://u:*****@h/x"),
            ("ftp://u:sec@ret@h/x", "ftp://u:*****@h/x"),
            ("ftp://u:sec/ret@h/x", "ftp://u:*****@h/x"),
            ("ftp://u:sec?re#t@h/x", "ftp://u:*****@h/x"),
            ("sftp://u@h/x", "sftp://u@h/x"),
            ("sftp://h:22/x@y", "sftp://h:22/x@y"),
            ("sftp://u@h:22/x", "sftp://u@h:22/x"),
            ("sftp://u@h:22/x@y", "sftp://u@h:22/x@y"),
            ("file:///a:b@c", "file:///a:b@c"),
            ("/a:b@c", "/a:b@c"),
        ],
    )
    def test_redacted(self, text: str, shown: str) -> None:
        assert redact(text) == shown

    def test_repr_shows_no_password(self) -> None:
        assert repr(StorageUrl.parse("sftp://u:secret@h/x")) == "StorageUrl('sftp://u:*****@h/x')"

    @pytest.mark.parametrize(
        "text",
        ["sftp://u:secret@/x", "sftp://u:secret@h:port/x", "foo://u:secret@h/x", "sftp://u:sec/secret@h/x"],
    )
    def test_errors_show_no_password(self, text: str) -> None:
        with pytest.raises(UserError) as caught:
            StorageUrl.parse(text)
        assert "secret" not in str(caught.value)

    @settings(max_examples=60)
    @given(
        password=st.text(alphabet=st.characters(codec="utf-8"), min_size=1), user=st.text(alphabet="ab%@:", max_size=3)
    )
    def test_any_encoded_password_comes_back_and_is_hidden(self, password: str, user: str) -> None:
        encoded = "".join(f"%{byte:02X}" for byte in password.encode())
        name = "".join(f"%{byte:02x}" for byte in user.encode())
        url = StorageUrl.parse(f"sftp://{name}:{encoded}@h/x")
        assert (url.user, url.password) == (user, password)
        assert url.redacted() == f"sftp://{name}:*****@h/x"


def test_importing_the_parser_and_the_registry_loads_nothing_heavy() -> None:
    """Start-up is measured in tens of milliseconds: what urllib, drivers or importlib.metadata bring is too much."""
    code = (
        "import sys, dataclasses, enum, typing, re; before = set(sys.modules)\n"
        "import twofold.storage.url, twofold.storage.registry\n"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('twofold.')))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('twofold.storage.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign, ours = done.stdout.split("\n")[:2]
    assert set(foreign.split()) <= {"string", "_string", "twofold", "__future__"}
    assert set(ours.split()) == {"twofold.storage.registry", "twofold.storage.url"}
