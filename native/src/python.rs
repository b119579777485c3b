//! The Python side: arguments in, bytes out, and the interpreter lock released while
//! more than a few kilobytes are worked on.

mod buffers;
mod composition;
mod files;
mod members;
mod patch;
mod plain_headers;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::delta::Encoder;
use crate::index::OldSignature;
use crate::level::{self, Level};
use crate::many::{self, File};
use crate::python::buffers::{bytes_of, run, slice, slices, value_error};
use crate::signature::{check_block_len, Builder, Format};

/// Must be what `twofold.rsync.native` expects; raised with every change of behaviour.
const KERNEL_VERSION: u32 = 4;

type Pair<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>);

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
        let parts = slices(data, &offsets, &lengths)?;
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

/// Without a builder once it is finished.
#[pyclass(module = "twofold._native")]
struct ContentHasher(Option<Builder>);

#[pymethods]
impl ContentHasher {
    #[new]
    fn new(block_len: u64) -> PyResult<Self> {
        let block_len = check_block_len(block_len).map_err(value_error)?;
        Ok(Self(Some(Builder::of_content(block_len))))
    }

    fn update(&mut self, py: Python, buffer: PyBuffer<u8>) -> PyResult<()> {
        let data = bytes_of(&buffer)?;
        let builder = self.0.as_mut().ok_or_else(hash_is_finished)?;
        run(py, data.len(), || builder.update(data));
        Ok(())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut builder = self.0.take().ok_or_else(hash_is_finished)?;
        let hash = py.detach(|| builder.finish());
        Ok(PyBytes::new(py, &hash.unwrap_or_default()))
    }
}

fn hash_is_finished() -> PyErr {
    value_error("The hash is finished".to_string())
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
    module.add_class::<ContentHasher>()?;
    module.add_class::<DeltaEncoder>()?;
    module.add_class::<patch::Patcher>()?;
    module.add_class::<composition::Composition>()?;
    module.add_function(wrap_pyfunction!(patch::patch_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(sign_many, module)?)?;
    module.add_function(wrap_pyfunction!(content_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(block_sums, module)?)?;
    module.add_function(wrap_pyfunction!(files::read_files, module)?)?;
    module.add_function(wrap_pyfunction!(files::write_files, module)?)?;
    module.add_function(wrap_pyfunction!(files::compare_files, module)?)?;
    module.add_function(wrap_pyfunction!(files::list_files, module)?)?;
    module.add_function(wrap_pyfunction!(members::usual_members, module)?)?;
    module.add_function(wrap_pyfunction!(plain_headers::write_headers, module)?)?;
    module.add_function(wrap_pyfunction!(simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(set_simd_level, module)?)?;
    Ok(())
}
