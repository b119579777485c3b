//! Buffers that Python hands in.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Shorter work is done under the interpreter lock: releasing it costs more.
const WORTH_RELEASING: usize = 4096;

pub fn value_error(message: String) -> PyErr {
    PyValueError::new_err(message)
}

/// The bytes of a buffer, for as long as the buffer is held.
pub fn bytes_of(buffer: &PyBuffer<u8>) -> PyResult<&[u8]> {
    if !buffer.is_c_contiguous() {
        return Err(value_error("A contiguous buffer is needed".to_string()));
    }
    if buffer.len_bytes() == 0 {
        return Ok(&[]);
    }
    // Safety: the exporter keeps these bytes in place while the PyBuffer lives, which
    // the borrow guarantees. As with `hashlib`, a caller that writes to a bytearray in
    // another thread meanwhile gets an undefined hash; callers here never do.
    Ok(unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), buffer.len_bytes()) })
}

pub fn run<T: Send>(py: Python, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length < WORTH_RELEASING {
        work()
    } else {
        py.detach(work)
    }
}

pub fn slice(data: &[u8], offset: usize, length: usize) -> PyResult<&[u8]> {
    let part = offset
        .checked_add(length)
        .and_then(|end| data.get(offset..end));
    part.ok_or_else(|| value_error(format!("{length} bytes at {offset} are not in the buffer")))
}

pub fn slices<'a>(data: &'a [u8], offsets: &[usize], lengths: &[usize]) -> PyResult<Vec<&'a [u8]>> {
    if offsets.len() != lengths.len() {
        return Err(value_error(
            "Offsets and lengths differ in number".to_string(),
        ));
    }
    let parts = offsets.iter().zip(lengths);
    parts
        .map(|(&offset, &length)| slice(data, offset, length))
        .collect()
}
