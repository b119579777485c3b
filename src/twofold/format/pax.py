"""Extended tar records, `length key=value`, and the decimal times in them (POSIX pax; docs/format.md section 4.2)."""

from __future__ import annotations

_NANOSECONDS = 1_000_000_000


def parse_records(data: bytes) -> dict[bytes, bytes] | None:
    """The records of one extended header, the last of a key; None if they are malformed.

    The length of a record counts all of it, its own digits and the closing line feed included.
    """
    records: dict[bytes, bytes] = {}
    lines = data.split(b"\n")
    if lines.pop():
        return _parse_by_length(data)
    for line in lines:
        length, _, record = line.partition(b" ")
        key, equals, value = record.partition(b"=")
        if length != b"%d" % (len(line) + 1) or not equals or not key:
            # Values may hold line feeds: then the lengths must be followed one by one, which takes longer.
            return _parse_by_length(data)
        records[key] = value
    return records


def format_record(key: bytes, value: bytes) -> bytes:
    """One record with its length."""
    body = len(key) + len(value) + 3
    length = body + len(str(body))
    if len(str(length)) != len(str(body)):
        length += 1
    return b"%d %b=%b\n" % (length, key, value)


def parse_time(value: bytes) -> tuple[int, bool] | None:
    """Nanoseconds, and whether there was a fraction; None for what is no decimal number."""
    whole, _, fraction = value.partition(b".")
    try:
        return int(whole + fraction[:9].ljust(9, b"0")), fraction != b""
    except ValueError:
        return None


def format_time(nanoseconds: int) -> bytes:
    """Seconds with as many decimals as are needed, for a time not before 1970."""
    text = b"%d.%09d" % divmod(nanoseconds, _NANOSECONDS)
    return text.rstrip(b"0").rstrip(b".") if text[-1] == 0x30 else text


def _parse_by_length(data: bytes) -> dict[bytes, bytes] | None:
    records: dict[bytes, bytes] = {}
    position, end = 0, len(data)
    while position < end and data[position]:
        space = data.find(b" ", position, position + 9)
        digits = data[position:space] if space > 0 else b""
        stop = position + int(digits) if digits.isdigit() else 0
        equals = data.find(b"=", space, stop)
        if equals <= space + 1 or stop > end or data[stop - 1] != 0x0A:
            return None
        records[data[space + 1 : equals]] = data[equals + 1 : stop - 1]
        position = stop
    # Some writers fill up with NUL; but where nothing else stands, the records have been wiped out.
    return None if data[position:].strip(b"\0") or (data and not records) else records
