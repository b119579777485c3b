//! Batches of files, with the interpreter lock released for the whole of each.

use std::os::fd::RawFd;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::files::{self, Attributes, Facts, Ignored, Names, Place, Room};
use crate::python::buffers::{bytes_of, slices, value_error};

const WRITING: i32 = libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
/// One more is what system calls take for "leave as it is".
const HIGHEST_ID: i64 = u32::MAX as i64 - 1;

fn names_of(names: &Bound<'_, PyAny>) -> PyResult<Names> {
    let mut found = Names::default();
    for name in names.try_iter()? {
        let name = name?;
        let bytes = name.cast::<PyBytes>()?.as_bytes();
        if !found.push(bytes) {
            let text = String::from_utf8_lossy(bytes);
            return Err(value_error(format!("{text:?} is no name of a file")));
        }
    }
    Ok(found)
}

fn check_directory(directory: RawFd) -> PyResult<()> {
    match directory < 0 {
        true => Err(value_error(format!("{directory} is no file descriptor"))),
        false => Ok(()),
    }
}

fn check_place(directory: RawFd, flags: i32) -> PyResult<()> {
    check_directory(directory)?;
    match flags & libc::O_ACCMODE != libc::O_RDONLY || flags & WRITING != 0 {
        true => Err(value_error(format!("{flags} are not flags for reading"))),
        false => Ok(()),
    }
}

fn check_number(names: &Names, numbers: &[usize]) -> PyResult<()> {
    match numbers.iter().all(|&number| number == names.len()) {
        true => Ok(()),
        false => Err(value_error(
            "Names and what belongs to them differ in number".to_string(),
        )),
    }
}

pub fn rows_of(numbers: &Bound<'_, PyAny>) -> PyResult<Vec<Facts>> {
    // What is empty need not be aligned, which a buffer of numbers must be.
    let flat = match numbers.len()? {
        0 => Vec::new(),
        _ => numbers.extract::<PyBuffer<i64>>()?.to_vec(numbers.py())?,
    };
    let rows = flat.chunks(Facts::default().len());
    let rows = rows.map(Facts::try_from).collect::<Result<_, _>>();
    rows.map_err(|_| value_error("A row of facts is cut short".to_string()))
}

/// 64-bit numbers in the machine's order of bytes.
fn packed<'py>(
    py: Python<'py>,
    rows: impl Iterator<Item = impl AsRef<[i64]>>,
) -> Bound<'py, PyBytes> {
    let mut bytes = Vec::new();
    for row in rows {
        bytes.extend(row.as_ref().iter().flat_map(|number| number.to_ne_bytes()));
    }
    PyBytes::new(py, &bytes)
}

#[pyfunction]
#[pyo3(signature = (directory, names, buffer, *, listed, position, gap, limit, largest, flags, ignored))]
#[allow(clippy::too_many_arguments)] // they have names in Python
pub fn read_files(
    py: Python,
    directory: RawFd,
    names: &Bound<'_, PyAny>,
    buffer: PyBuffer<u8>,
    listed: &Bound<'_, PyAny>,
    position: usize,
    gap: usize,
    limit: usize,
    largest: usize,
    flags: i32,
    ignored: Vec<Vec<u8>>,
) -> PyResult<usize> {
    check_place(directory, flags)?;
    let names = names_of(names)?;
    let listed = rows_of(listed)?;
    check_number(&names, &[listed.len()])?;
    if buffer.readonly() {
        return Err(value_error("A buffer to write to is needed".to_string()));
    }
    let length = bytes_of(&buffer)?.len();
    // Safety: as in `bytes_of`, and nobody else reads or writes this part of the buffer
    // during the call, which is the caller's part of the contract.
    let target = match length {
        0 => &mut [],
        _ => unsafe { std::slice::from_raw_parts_mut(buffer.buf_ptr().cast::<u8>(), length) },
    };
    let room = Room::new(target, position, gap, limit, largest).ok_or_else(|| {
        value_error(format!(
            "{length} bytes are no room for files up to {limit}"
        ))
    })?;
    let ignored = Ignored(ignored);
    let place = Place {
        directory,
        flags,
        ignored: &ignored,
    };
    Ok(py.detach(|| files::read_files(&place, &names, &listed, room)))
}

#[pyfunction]
#[pyo3(signature = (directory, names, data, offsets, lengths, *, flags, ignored))]
#[allow(clippy::too_many_arguments)]
pub fn compare_files<'py>(
    py: Python<'py>,
    directory: RawFd,
    names: &Bound<'py, PyAny>,
    data: PyBuffer<u8>,
    offsets: Vec<usize>,
    lengths: Vec<usize>,
    flags: i32,
    ignored: Vec<Vec<u8>>,
) -> PyResult<Bound<'py, PyBytes>> {
    check_place(directory, flags)?;
    let names = names_of(names)?;
    let contents = slices(bytes_of(&data)?, &offsets, &lengths)?;
    check_number(&names, &[contents.len()])?;
    let ignored = Ignored(ignored);
    let place = Place {
        directory,
        flags,
        ignored: &ignored,
    };
    let found = py.detach(|| files::compare_files(&place, &names, &contents));
    let rows = found.iter().map(|(facts, same)| {
        let [mode, uid, gid, size, mtime, ctime, inode] = *facts;
        [mode, uid, gid, size, mtime, ctime, inode, i64::from(*same)]
    });
    Ok(packed(py, rows))
}

/// None for -1.
fn wanted_id(id: i64) -> PyResult<Option<u32>> {
    match id {
        -1 => Ok(None),
        0..=HIGHEST_ID => Ok(Some(id as u32)),
        _ => Err(value_error(format!("{id} is no user or group number"))),
    }
}

#[pyfunction]
#[pyo3(signature = (directory, names, data, offsets, lengths, modes, uids, gids, mtimes_ns))]
#[allow(clippy::too_many_arguments)]
pub fn write_files(
    py: Python,
    directory: RawFd,
    names: &Bound<'_, PyAny>,
    data: PyBuffer<u8>,
    offsets: Vec<usize>,
    lengths: Vec<usize>,
    modes: Vec<u32>,
    uids: Vec<i64>,
    gids: Vec<i64>,
    mtimes_ns: Vec<i64>,
) -> PyResult<usize> {
    check_directory(directory)?;
    let names = names_of(names)?;
    let contents = slices(bytes_of(&data)?, &offsets, &lengths)?;
    let numbers = [modes.len(), uids.len(), gids.len(), mtimes_ns.len()];
    check_number(&names, &[contents.len()])?;
    check_number(&names, &numbers)?;
    let owners = uids.iter().zip(&gids);
    let others = modes.iter().zip(&mtimes_ns);
    let attributes = others
        .zip(owners)
        .map(|((&mode, &mtime_ns), (&uid, &gid))| {
            Ok(Attributes {
                mode,
                uid: wanted_id(uid)?,
                gid: wanted_id(gid)?,
                mtime_ns,
            })
        });
    let attributes = attributes.collect::<PyResult<Vec<Attributes>>>()?;
    Ok(py.detach(|| files::write_files(directory, &names, &contents, &attributes)))
}

#[pyfunction]
#[pyo3(signature = (directory, names, /))]
pub fn list_files<'py>(
    py: Python<'py>,
    directory: RawFd,
    names: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    check_directory(directory)?;
    let names = names_of(names)?;
    let found = py.detach(|| files::list_files(directory, &names));
    Ok(packed(py, found.iter()))
}
