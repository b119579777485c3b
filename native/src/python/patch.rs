//! Carrying out deltas, between files and in memory.

use std::fs::File as OsFile;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::FileExt;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::patch::{InMemory, PatchError, Patcher as PatchMachine, Target};
use crate::python::buffers::{bytes_of, run, value_error};

/// Two descriptors that belong to the caller.
struct Descriptors {
    basis: ManuallyDrop<OsFile>,
    basis_size: u64,
    out: ManuallyDrop<OsFile>,
}

pub fn borrow_file(descriptor: RawFd) -> PyResult<ManuallyDrop<OsFile>> {
    if descriptor < 0 {
        return Err(value_error(format!("{descriptor} is no file descriptor")));
    }
    // Safety: ManuallyDrop never closes it. That it is open, and stays so, is the
    // caller's part of the contract; if not, the system calls fail with EBADF.
    Ok(ManuallyDrop::new(unsafe {
        OsFile::from_raw_fd(descriptor)
    }))
}

impl Target for Descriptors {
    fn basis_size(&self) -> u64 {
        self.basis_size
    }

    fn read_exact_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<bool> {
        match self.basis.read_exact_at(buffer, position) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        (&*self.out).write_all(data)
    }
}

impl From<PatchError> for PyErr {
    fn from(error: PatchError) -> PyErr {
        match error {
            PatchError::Corrupt(message) => value_error(message),
            PatchError::Io(error) => error.into(),
        }
    }
}

#[pyclass(module = "twofold._native")]
pub struct Patcher(PatchMachine<Descriptors>);

#[pymethods]
impl Patcher {
    #[new]
    #[pyo3(signature = (basis_fd, basis_size, out_fd, *, max_size))]
    fn new(basis_fd: RawFd, basis_size: u64, out_fd: RawFd, max_size: u64) -> PyResult<Self> {
        let (basis, out) = (borrow_file(basis_fd)?, borrow_file(out_fd)?);
        Ok(Self(PatchMachine::new(
            Descriptors {
                basis,
                basis_size,
                out,
            },
            max_size,
        )))
    }

    fn feed(&mut self, py: Python, delta: PyBuffer<u8>) -> PyResult<()> {
        let data = bytes_of(&delta)?;
        // Even few bytes may ask for long copies.
        Ok(py.detach(|| self.0.feed(data))?)
    }

    fn finish(&mut self, py: Python) -> PyResult<u64> {
        Ok(py.detach(|| self.0.finish())?)
    }
}

fn patch_in_memory(basis: &[u8], delta: &[u8], max_size: u64) -> Result<Vec<u8>, PatchError> {
    let mut patcher = PatchMachine::new(
        InMemory {
            basis,
            result: Vec::new(),
        },
        max_size,
    );
    patcher.feed(delta)?;
    patcher.finish()?;
    Ok(patcher.into_target().result)
}

#[pyfunction]
pub fn patch_bytes<'py>(
    py: Python<'py>,
    basis: PyBuffer<u8>,
    delta: PyBuffer<u8>,
    max_size: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let (basis, delta) = (bytes_of(&basis)?, bytes_of(&delta)?);
    let length = basis.len().max(delta.len());
    let result = run(py, length, || patch_in_memory(basis, delta, max_size))?;
    Ok(PyBytes::new(py, &result))
}
