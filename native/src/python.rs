//! The Python side: arguments in, bytes out, and the interpreter lock released while
//! more than a few kilobytes are worked on.

use std::fs::File as OsFile;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::fs::FileExt;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::delta::Encoder;
use crate::index::OldSignature;
use crate::level::{self, Level};
use crate::many::{self, File};
use crate::patch::{InMemory, PatchError, Patcher as PatchMachine, Target};
use crate::signature::{check_block_len, Builder, Format};

/// Must be what `twofold.rsync.native` expects; raised with every change of behaviour.
const KERNEL_VERSION: u32 = 2;

/// Shorter work is done under the interpreter lock: releasing it costs more.
const WORTH_RELEASING: usize = 4096;

type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

fn value_error(message: String) -> PyErr {
    PyValueError::new_err(message)
}

/// The bytes of a buffer, for as long as the buffer is held.
fn bytes_of(buffer: &PyBuffer<u8>) -> PyResult<&[u8]> {
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

fn run<T: Send>(py: Python, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length < WORTH_RELEASING {
        work()
    } else {
        py.detach(work)
    }
}

fn slice(data: &[u8], offset: usize, length: usize) -> PyResult<&[u8]> {
    let part = offset
        .checked_add(length)
        .and_then(|end| data.get(offset..end));
    part.ok_or_else(|| value_error(format!("{length} bytes at {offset} are not in the buffer")))
}

fn files<'a>(
    data: &'a [u8],
    offsets: &[usize],
    lengths: &[usize],
    block_lens: &[u64],
) -> PyResult<Vec<File<'a>>> {
    if offsets.len() != lengths.len() || offsets.len() != block_lens.len() {
        return Err(value_error(
            "Offsets, lengths and block lengths differ in number".to_string(),
        ));
    }
    let parts = offsets.iter().zip(lengths).zip(block_lens);
    let file = |((&offset, &length), &block_len): ((&usize, &usize), &u64)| {
        let data = slice(data, offset, length)?;
        Ok(File {
            data,
            block_len: check_block_len(block_len).map_err(value_error)?,
        })
    };
    parts.map(file).collect()
}

#[pyclass(module = "twofold._native")]
struct SignatureBuilder {
    builder: Builder,
    finished: bool,
}

impl SignatureBuilder {
    fn check_open(&self) -> PyResult<()> {
        if self.finished {
            return Err(value_error("The signature is finished".to_string()));
        }
        Ok(())
    }
}

#[pymethods]
impl SignatureBuilder {
    #[new]
    #[pyo3(signature = (kind, block_len, strong_len, *, with_hash = true))]
    fn new(kind: u32, block_len: u64, strong_len: u64, with_hash: bool) -> PyResult<Self> {
        let format = Format::new(kind, block_len, strong_len).map_err(value_error)?;
        Ok(Self {
            builder: Builder::new(format, with_hash),
            finished: false,
        })
    }

    #[getter]
    fn size(&self) -> u64 {
        self.builder.size()
    }

    fn update(&mut self, py: Python, buffer: PyBuffer<u8>) -> PyResult<()> {
        self.check_open()?;
        let data = bytes_of(&buffer)?;
        run(py, data.len(), || self.builder.update(data));
        Ok(())
    }

    fn update_many(
        &mut self,
        py: Python,
        buffer: PyBuffer<u8>,
        offsets: Vec<usize>,
        lengths: Vec<usize>,
    ) -> PyResult<()> {
        self.check_open()?;
        let data = bytes_of(&buffer)?;
        if offsets.len() != lengths.len() {
            return Err(value_error(
                "Offsets and lengths differ in number".to_string(),
            ));
        }
        let parts = offsets
            .iter()
            .zip(&lengths)
            .map(|(&from, &length)| slice(data, from, length));
        let parts = parts.collect::<PyResult<Vec<&[u8]>>>()?;
        let total = parts
            .iter()
            .map(|part| part.len())
            .fold(0, usize::saturating_add);
        run(py, total, || {
            parts.iter().for_each(|part| self.builder.update(part))
        });
        Ok(())
    }

    fn take<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.builder.take())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.check_open()?;
        self.finished = true;
        let hash = py.detach(|| self.builder.finish());
        Ok(PyBytes::new(
            py,
            hash.as_ref().map_or(&[], |hash| &hash[..]),
        ))
    }
}

#[pyclass(module = "twofold._native")]
struct DeltaEncoder {
    encoder: Encoder,
    finished: bool,
}

impl DeltaEncoder {
    fn check_open(&self) -> PyResult<()> {
        match self.finished {
            true => Err(value_error("The delta is finished".to_string())),
            false => Ok(()),
        }
    }
}

#[pymethods]
impl DeltaEncoder {
    #[new]
    #[pyo3(signature = (old_signature, kind, block_len, strong_len, *, basis_size = None))]
    fn new(
        old_signature: PyBuffer<u8>,
        kind: u32,
        block_len: u64,
        strong_len: u64,
        basis_size: Option<u64>,
    ) -> PyResult<Self> {
        let format = Format::new(kind, block_len, strong_len).map_err(value_error)?;
        let data = bytes_of(&old_signature)?;
        let old = OldSignature::parse(data, basis_size).map_err(value_error)?;
        Ok(Self {
            encoder: Encoder::new(old, format),
            finished: false,
        })
    }

    #[getter]
    fn size(&self) -> u64 {
        self.encoder.size()
    }

    #[pyo3(signature = (buffer, sums = None, /))]
    fn feed<'py>(
        &mut self,
        py: Python<'py>,
        buffer: PyBuffer<u8>,
        sums: Option<PyBuffer<u8>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.check_open()?;
        let data = bytes_of(&buffer)?;
        let sums = sums.as_ref().map(bytes_of).transpose()?;
        let delta = run(py, data.len(), || match sums {
            Some(sums) => self.encoder.feed_summed(data, sums),
            None => Ok(self.encoder.feed(data)),
        });
        Ok(PyBytes::new(py, &delta.map_err(value_error)?))
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Pair<'py>> {
        self.check_open()?;
        self.finished = true;
        let (delta, hash) = py.detach(|| self.encoder.finish());
        Ok((PyBytes::new(py, &delta), PyBytes::new(py, &hash)))
    }

    fn take_signature<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.encoder.take_signature())
    }
}

/// Two descriptors that belong to the caller.
struct Descriptors {
    basis: ManuallyDrop<OsFile>,
    basis_size: u64,
    out: ManuallyDrop<OsFile>,
}

fn borrow_file(descriptor: RawFd) -> PyResult<ManuallyDrop<OsFile>> {
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
struct Patcher(PatchMachine<Descriptors>);

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
fn patch_bytes<'py>(
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

#[pyfunction]
fn sign_many<'py>(
    py: Python<'py>,
    buffer: PyBuffer<u8>,
    offsets: Vec<usize>,
    lengths: Vec<usize>,
    block_lens: Vec<u64>,
    kind: u32,
    strong_len: u64,
) -> PyResult<Pair<'py>> {
    let format = Format::new(kind, 1, strong_len).map_err(value_error)?;
    let files = files(bytes_of(&buffer)?, &offsets, &lengths, &block_lens)?;
    let (signatures, hashes) = py.detach(|| many::sign_many(&files, format));
    Ok((PyBytes::new(py, &signatures), PyBytes::new(py, &hashes)))
}

#[pyfunction]
fn content_hashes<'py>(
    py: Python<'py>,
    buffer: PyBuffer<u8>,
    offsets: Vec<usize>,
    lengths: Vec<usize>,
    block_lens: Vec<u64>,
) -> PyResult<Bound<'py, PyBytes>> {
    let files = files(bytes_of(&buffer)?, &offsets, &lengths, &block_lens)?;
    let hashes = py.detach(|| many::content_hashes(&files));
    Ok(PyBytes::new(py, &hashes))
}

#[pyfunction]
fn block_sums<'py>(
    py: Python<'py>,
    buffer: PyBuffer<u8>,
    kind: u32,
    block_len: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let format = Format::new(kind, block_len, 1).map_err(value_error)?;
    let data = bytes_of(&buffer)?;
    let sums = run(py, data.len(), || {
        many::block_sums(format.kind, format.block_len, data)
    });
    Ok(PyBytes::new(py, &sums))
}

#[pyfunction]
fn simd_level() -> &'static str {
    level::current().name()
}

/// Raises ValueError for an unknown level and for one that this machine lacks.
#[pyfunction]
fn set_simd_level(name: &str) -> PyResult<()> {
    match Level::from_name(name) {
        Some(level) if level::set(level) => Ok(()),
        _ => Err(value_error(format!("This machine has no {name}"))),
    }
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("KERNEL_VERSION", KERNEL_VERSION)?;
    module.add_class::<SignatureBuilder>()?;
    module.add_class::<DeltaEncoder>()?;
    module.add_class::<Patcher>()?;
    module.add_function(wrap_pyfunction!(patch_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(sign_many, module)?)?;
    module.add_function(wrap_pyfunction!(content_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(block_sums, module)?)?;
    module.add_function(wrap_pyfunction!(simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(set_simd_level, module)?)?;
    Ok(())
}
