//! Headers of runs of ordinary files, straight into the buffer.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::plain_headers::{self, File, Owner, Signatures, HEADER, LARGEST, LATEST, OWNER, TAIL};
use crate::python::buffers::{bytes_of, value_error};
use crate::python::files::rows_of;

const BLOCK: usize = 512;
/// So that the name fits its field behind either prefix.
const LONGEST_PATH: usize = 90;
/// More sums of a block than any format has.
const MOST_SUMS: u64 = 64;

fn file_of<'a>(path: &'a [u8], facts: &[i64; 7]) -> Option<File<'a>> {
    let [_, _, _, size, mtime_ns, ctime_ns, inode] = *facts;
    let (size, mtime_ns) = (u64::try_from(size).ok()?, u64::try_from(mtime_ns).ok()?);
    let plain =
        path.is_ascii() && path.len() <= LONGEST_PATH && size < LARGEST && mtime_ns < LATEST;
    plain.then_some(File {
        path,
        size,
        mtime_ns,
        ctime_ns,
        inode: inode as u64,
    })
}

#[pyfunction]
#[pyo3(signature = (buffer, position, paths, facts, owner, lengths, /))]
pub fn write_headers<'py>(
    py: Python<'py>,
    buffer: PyBuffer<u8>,
    mut position: usize,
    paths: &Bound<'py, PyList>,
    facts: &Bound<'py, PyAny>,
    owner: (PyBuffer<u8>, PyBuffer<u8>),
    lengths: (u64, u64),
) -> PyResult<Bound<'py, PyList>> {
    let wrong = |what: &str| value_error(format!("{what} are not as they must be"));
    let facts = rows_of(facts)?;
    let fields: &[u8; OWNER] = bytes_of(&owner.0)?
        .try_into()
        .map_err(|_| wrong("The owner's fields"))?;
    let tail: &[u8; TAIL] = bytes_of(&owner.1)?
        .try_into()
        .map_err(|_| wrong("The last fields"))?;
    let owner = Owner { fields, tail };
    let (block_len, entry_len) = lengths;
    if facts.len() != paths.len() || block_len == 0 || entry_len > MOST_SUMS || buffer.readonly() {
        return Err(wrong("The arguments"));
    }
    let length = bytes_of(&buffer)?.len();
    let signatures = Signatures {
        block_len,
        entry_len,
    };
    let made = PyList::empty(py);
    for (path, facts) in paths.iter().zip(&facts) {
        let path = path.cast::<PyBytes>()?;
        let file = file_of(path.as_bytes(), facts).ok_or_else(|| wrong("The facts of a file"))?;
        let data_at = position
            .checked_add(HEADER)
            .filter(|&end| end <= length)
            .ok_or_else(|| wrong("The positions"))?;
        // Safety: within the buffer, as was just found; it stays where it is while the
        // PyBuffer lives, and the interpreter lock keeps others from it.
        let target = unsafe {
            &mut *buffer
                .buf_ptr()
                .cast::<u8>()
                .add(position)
                .cast::<[u8; HEADER]>()
        };
        let header = plain_headers::write(target, &file, &owner, &signatures);
        made.append((
            data_at,
            position + header.digest_at,
            PyBytes::new(py, &header.front),
            PyBytes::new(py, &header.back),
            header.signature_size,
        ))?;
        // Files are small: this cannot overflow.
        position = data_at + (file.size as usize).next_multiple_of(BLOCK);
    }
    Ok(made)
}
