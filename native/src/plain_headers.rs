//! Headers of ordinary small files, three blocks each for volume and signature file. The
//! specification is `twofold.format.plain_headers`.

const BLOCK: usize = 512;
pub const HEADER: usize = 3 * BLOCK;
const NAME: usize = 100;
pub const OWNER: usize = 24;
pub const TAIL: usize = 356;
const CONTENT: &str = "117 TWOFOLD.content=";
const CONTENT_LENGTH: usize = 117;
const UNKNOWN_DIGEST: [u8; 64] = [b'0'; 64];
const STAT_LENGTH: usize = 17;
const SIGNATURE_HEADER: u64 = 12;
const NANOSECONDS: u64 = 1_000_000_000;
/// Times from here on do not fit their field.
pub const LATEST: u64 = (1 << 33) * NANOSECONDS;
/// What a file must be smaller than.
pub const LARGEST: u64 = 1 << 18;

/// What the headers of all files of one mode and owner have in common.
pub struct Owner<'a> {
    pub fields: &'a [u8; OWNER],
    pub tail: &'a [u8; TAIL],
}

/// Block lengths and lengths of an entry in signatures.
pub struct Signatures {
    pub block_len: u64,
    pub entry_len: u64,
}

pub struct File<'a> {
    pub path: &'a [u8],
    pub size: u64,
    pub mtime_ns: u64,
    pub ctime_ns: i64,
    pub inode: u64,
}

/// The header in the signature file around the digits of the digest, and where these
/// belong in the header of the volume.
pub struct Made {
    pub digest_at: usize,
    pub front: Vec<u8>,
    pub back: Vec<u8>,
    pub signature_size: u64,
}

/// Writes the header for the volume into `target`, which has its size.
///
/// The path is ASCII and fits the name's field behind the longer of the prefixes, and
/// size and time are below what they must be below.
pub fn write(
    target: &mut [u8; HEADER],
    file: &File,
    owner: &Owner,
    signatures: &Signatures,
) -> Made {
    let time = time_record(file.mtime_ns);
    let numbers = format!("{CONTENT}{:010},{:020},", signatures.block_len, file.size);
    let blocks = file.size.div_ceil(signatures.block_len);
    let signature_size = SIGNATURE_HEADER + blocks * signatures.entry_len;

    let length = time.len() + CONTENT_LENGTH;
    let digest_at = BLOCK + time.len() + numbers.len();
    target[..BLOCK].copy_from_slice(&extension(length));
    let records = [
        time.as_bytes(),
        numbers.as_bytes(),
        &UNKNOWN_DIGEST,
        b"\n",
        &[0; BLOCK][length..],
    ];
    let mut position = BLOCK;
    for part in records {
        target[position..position + part.len()].copy_from_slice(part);
        position += part.len();
    }
    target[2 * BLOCK..].copy_from_slice(&member(b"snapshot/", file, file.size, owner));

    let stat = format!("{},{},{}", file.size, file.ctime_ns.max(0), file.inode);
    let stat_length = stat.len() + STAT_LENGTH;
    let length = time.len() + stat_length + CONTENT_LENGTH;
    let mut front = Vec::with_capacity(2 * BLOCK);
    front.extend_from_slice(&extension(length));
    front.extend_from_slice(time.as_bytes());
    front.extend_from_slice(format!("{stat_length} TWOFOLD.stat={stat}\n{numbers}").as_bytes());
    let mut back = Vec::with_capacity(2 * BLOCK);
    back.push(b'\n');
    back.extend_from_slice(&[0; BLOCK][length..]);
    back.extend_from_slice(&member(b"signature/", file, signature_size, owner));
    Made {
        digest_at,
        front,
        back,
        signature_size,
    }
}

/// The record of a time with a fraction, as short as it can be; nothing for whole seconds.
fn time_record(mtime_ns: u64) -> String {
    let (seconds, fraction) = (mtime_ns / NANOSECONDS, mtime_ns % NANOSECONDS);
    if fraction == 0 {
        return String::new();
    }
    let text = format!("{seconds}.{fraction:09}");
    let text = text.trim_end_matches('0');
    // Always of two digits: from 13 to 30.
    format!("{} mtime={text}\n", text.len() + 10)
}

/// The block in front of `length` bytes of extended records.
fn extension(length: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, b"././@PaxHeader");
    put(&mut block, NAME, b"0000000\x000000000\x000000000\x00");
    put(
        &mut block,
        124,
        format!("{length:011o}\0{:011o}\0", 0).as_bytes(),
    );
    put(&mut block, 156, b"x");
    put(&mut block, 257, b"ustar\x0000");
    add_sum(&mut block);
    block
}

fn member(prefix: &[u8], file: &File, size: u64, owner: &Owner) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, prefix);
    put(&mut block, prefix.len(), file.path);
    put(&mut block, NAME, owner.fields);
    let seconds = file.mtime_ns / NANOSECONDS;
    put(
        &mut block,
        124,
        format!("{size:011o}\0{seconds:011o}\0").as_bytes(),
    );
    put(&mut block, 156, owner.tail);
    add_sum(&mut block);
    block
}

fn put(block: &mut [u8; BLOCK], at: usize, part: &[u8]) {
    block[at..at + part.len()].copy_from_slice(part);
}

/// Its own field counts as blanks.
fn add_sum(block: &mut [u8; BLOCK]) {
    put(block, 148, b"        ");
    let total: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    put(block, 148, format!("{total:06o}\0 ").as_bytes());
}
