//! Members of volumes as tuples.

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::members::{self, Content, Kind, Member};
use crate::python::buffers::bytes_of;

/// What many members in a row have in common; made once for all of them.
struct Shared<'a, 'py> {
    ids: (u64, u64, u64),
    names: (&'a [u8], &'a [u8]),
    made: (Bound<'py, PyTuple>, Bound<'py, PyTuple>),
}

impl<'a, 'py> Shared<'a, 'py> {
    fn of(py: Python<'py>, member: &Member<'a>) -> PyResult<Self> {
        let ids = (member.mode, member.uid, member.gid);
        let names = (member.uname, member.gname);
        let texts = (PyBytes::new(py, names.0), PyBytes::new(py, names.1));
        let made = (ids.into_pyobject(py)?, texts.into_pyobject(py)?);
        Ok(Self { ids, names, made })
    }

    fn fits(&self, member: &Member) -> bool {
        self.ids == (member.mode, member.uid, member.gid)
            && self.names == (member.uname, member.gname)
    }
}

fn content<'py>(
    py: Python<'py>,
    record: Option<&Content>,
) -> Option<(u64, u64, Bound<'py, PyBytes>)> {
    record.map(|record| {
        let digest = PyBytes::new(py, &record.digest);
        (record.block_len, record.size, digest)
    })
}

#[pyfunction]
#[pyo3(signature = (buffer, position, /))]
pub fn usual_members<'py>(
    py: Python<'py>,
    buffer: PyBuffer<u8>,
    position: usize,
) -> PyResult<Bound<'py, PyList>> {
    let made = PyList::empty(py);
    let mut shared: Option<Shared> = None;
    for member in members::usual(bytes_of(&buffer)?, position) {
        let common = match shared.take() {
            Some(common) if common.fits(&member) => common,
            _ => Shared::of(py, &member)?,
        };
        let part = match member.kind {
            Kind::Part(number) => Some(number),
            _ => None,
        };
        made.append((
            PyBytes::new(py, &member.path),
            part,
            common.made.0.clone(),
            common.made.1.clone(),
            member.mtime_ns,
            member.mtime_exact,
            content(py, member.content.as_ref()),
            member.begin,
            member.end,
            member.start,
            member.kind == Kind::Directory,
        ))?;
        shared = Some(common);
    }
    Ok(made)
}
