//! Members of a volume that are of the usual kind, found in a piece of it. What they are
//! is decided by twofold.format: whatever is not exactly as twofold writes it is left to
//! the general reader there, which gives the same for what is found here.

const BLOCK: usize = 512;
const LONGEST_NAME: usize = 255;
const LARGEST_BLOCK: u64 = 1 << 31;
const NANOSECONDS: i64 = 1_000_000_000;
const WHOLE: &[u8] = b"snapshot/";
const PART: &[u8] = b"multivol_snapshot/";
const LONGEST_PART_NUMBER: usize = 9;
const CONTENT: &[u8] = b"117 TWOFOLD.content=";
const CONTENT_LENGTH: usize = 117;

#[derive(Debug, PartialEq)]
pub enum Kind {
    Whole,
    Part(u32),
    Directory,
}

#[derive(Debug, PartialEq)]
pub struct Content {
    pub block_len: u64,
    pub size: u64,
    pub digest: [u8; 32],
}

/// A member whose headers lie in the piece. `begin` and `end` are those of its data,
/// which may lie beyond it, `start` that of its headers.
#[derive(Debug, PartialEq)]
pub struct Member<'a> {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: u64,
    pub uid: u64,
    pub gid: u64,
    pub uname: &'a [u8],
    pub gname: &'a [u8],
    pub mtime_ns: i64,
    pub mtime_exact: bool,
    pub content: Option<Content>,
    pub start: usize,
    pub begin: usize,
    pub end: usize,
}

impl Member<'_> {
    /// Where the next member begins, if there is one.
    fn following(&self) -> Option<usize> {
        let length = (self.end - self.begin).checked_next_multiple_of(BLOCK)?;
        self.begin.checked_add(length)
    }
}

/// The members from `position` on, up to the first that is not usual or not there.
pub fn usual(piece: &[u8], mut position: usize) -> Vec<Member<'_>> {
    let mut found = Vec::new();
    while let Some(member) = usual_at(piece, position) {
        let following = member.following();
        found.push(member);
        match following {
            Some(next) if next < piece.len() => position = next,
            _ => break,
        }
    }
    found
}

#[derive(Default)]
struct Records {
    mtime_ns: Option<i64>,
    content: Option<Content>,
}

fn usual_at(piece: &[u8], start: usize) -> Option<Member<'_>> {
    let mut position = start;
    let mut block = block_at(piece, position)?;
    let mut records = Records::default();
    if block[156] == b'x' {
        check(block)?;
        let size = usize::try_from(octal(&block[124..136])?).ok()?;
        position = position.checked_add(BLOCK)?;
        records = parse_records(piece.get(position..position.checked_add(size)?)?)?;
        // Here all of it lies in the piece, so its length fits.
        position += size.next_multiple_of(BLOCK);
        block = block_at(piece, position)?;
    }
    check(block)?;
    let begin = position + BLOCK;
    let size = octal(&block[124..136])?;
    let mtime = i64::try_from(octal(&block[136..148])?).ok()?;
    let (path, kind) = place_of(&name_of(block)?, block[156])?;
    let sensible = kind != Kind::Directory || (size == 0 && records.content.is_none());
    // Neither a link nor a device, in the POSIX dialect.
    let zeros = block[157..257].iter().all(|&byte| byte == 0);
    if !sensible || !zeros || &block[257..265] != b"ustar\x0000" {
        return None;
    }
    device_number(&block[329..337])?;
    device_number(&block[337..345])?;
    Some(Member {
        path,
        kind,
        mode: octal(&block[100..108])? & 0o7777,
        uid: octal(&block[108..116])?,
        gid: octal(&block[116..124])?,
        uname: text(&block[265..297])?,
        gname: text(&block[297..329])?,
        mtime_ns: match records.mtime_ns {
            Some(recorded) => recorded,
            None => mtime.checked_mul(NANOSECONDS)?,
        },
        mtime_exact: records.mtime_ns.is_some(),
        content: records.content,
        start,
        begin,
        end: begin.checked_add(usize::try_from(size).ok()?)?,
    })
}

fn block_at(piece: &[u8], position: usize) -> Option<&[u8]> {
    piece.get(position..position.checked_add(BLOCK)?)
}

/// All of it is ASCII and has the sum that it says, with blanks for the sum itself.
fn check(block: &[u8]) -> Option<()> {
    let field = &block[148..156];
    let digits = field.split(|&byte| byte == 0).next()?;
    let expected = number(digits, 8)?;
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let found = sum(block) - sum(field) + 8 * u64::from(b' ');
    (block.is_ascii() && found == expected).then_some(())
}

fn number(digits: &[u8], base: u32) -> Option<u64> {
    let mut total: u64 = 0;
    for &byte in digits {
        let digit = char::from(byte).to_digit(base)?;
        total = total.checked_mul(base.into())?.checked_add(digit.into())?;
    }
    (!digits.is_empty()).then_some(total)
}

/// A field of octal digits with a NUL at its end.
fn octal(field: &[u8]) -> Option<u64> {
    let (end, digits) = field.split_last()?;
    (*end == 0).then(|| number(digits, 8))?
}

/// Files that are no devices have numbers all the same, or none.
fn device_number(field: &[u8]) -> Option<u64> {
    match field.iter().all(|&byte| byte == 0) {
        true => Some(0),
        false => octal(field),
    }
}

/// A text that is filled up with NULs.
fn text(field: &[u8]) -> Option<&[u8]> {
    let length = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    let (text, rest) = field.split_at(length);
    rest.iter().all(|&byte| byte == 0).then_some(text)
}

fn name_of(block: &[u8]) -> Option<Vec<u8>> {
    let (name, prefix) = (text(&block[..100])?, text(&block[345..500])?);
    Some(match prefix.is_empty() {
        true => name.to_vec(),
        false => [prefix, b"/", name].concat(),
    })
}

/// The path that a name stands for; none for a name that must be looked at closely.
fn place_of(name: &[u8], kind: u8) -> Option<(Vec<u8>, Kind)> {
    // The first component is a word, so these are those of the path, if it has no slash
    // at its end: then the last one may be empty.
    let mut components = name.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        if component == b"." || component == b".." || (component.is_empty() && !last) {
            return None;
        }
    }
    if name.len() > LONGEST_NAME {
        return None;
    }
    let (path, kind) = match (kind, name.strip_prefix(WHOLE)) {
        (b'0', Some(path)) => (path, Kind::Whole),
        (b'5', Some(path)) => (path.strip_suffix(b"/").unwrap_or(path), Kind::Directory),
        (b'0', None) => {
            let rest = name.strip_prefix(PART)?;
            let slash = rest.iter().rposition(|&byte| byte == b'/')?;
            let digits = &rest[slash + 1..];
            let part = match digits.len() <= LONGEST_PART_NUMBER {
                true => u32::try_from(number(digits, 10)?).ok()?,
                false => 0,
            };
            (&rest[..slash], Kind::Part(part))
        }
        _ => return None,
    };
    let usable = !path.is_empty() && !path.ends_with(b"/") && kind != Kind::Part(0);
    usable.then(|| (path.to_vec(), kind))
}

/// A time with a fraction, then a content record; either may be missing.
fn parse_records(records: &[u8]) -> Option<Records> {
    let mut found = Records::default();
    let mut rest = records;
    if !rest.starts_with(CONTENT) {
        let length = usize::try_from(number(rest.get(..2)?, 10)?).ok()?;
        let record = rest.get(..length)?;
        found.mtime_ns = Some(mtime_of(record)?);
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        found.content = Some(content_of(rest)?);
    }
    Some(found)
}

fn mtime_of(record: &[u8]) -> Option<i64> {
    let time = record.get(2..)?.strip_prefix(b" mtime=")?;
    let time = time.strip_suffix(b"\n")?;
    let point = time.iter().position(|&byte| byte == b'.')?;
    let (seconds, fraction) = (&time[..point], &time[point + 1..]);
    if seconds.len() > 10 || fraction.len() > 9 {
        return None;
    }
    let scale = 10_i64.pow(9 - u32::try_from(fraction.len()).ok()?);
    let seconds = i64::try_from(number(seconds, 10)?).ok()?;
    let fraction = i64::try_from(number(fraction, 10)?).ok()?;
    seconds
        .checked_mul(NANOSECONDS)?
        .checked_add(fraction * scale)
}

fn content_of(record: &[u8]) -> Option<Content> {
    if record.len() != CONTENT_LENGTH {
        return None;
    }
    let value = record.strip_prefix(CONTENT)?.strip_suffix(b"\n")?;
    let mut fields = value.split(|&byte| byte == b',');
    let (block_len, size, digits) = (fields.next()?, fields.next()?, fields.next()?);
    if block_len.len() != 10 || size.len() != 20 || digits.len() != 64 || fields.next().is_some() {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        if pair.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        *byte = u8::try_from(number(pair, 16)?).ok()?;
    }
    let (block_len, size) = (number(block_len, 10)?, number(size, 10)?);
    let sound = (1..=LARGEST_BLOCK).contains(&block_len) && size <= i64::MAX as u64;
    sound.then_some(Content {
        block_len,
        size,
        digest,
    })
}
