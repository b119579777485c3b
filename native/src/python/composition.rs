//! Carrying out deltas while their basis streams by, with the scratch file that holds what is wanted later.

use std::fs::File as OsFile;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::composition::{Composition as Machine, Piece, ToHold};
use crate::python::buffers::{bytes_of, value_error};
use crate::python::patch::borrow_file;

#[pyclass(module = "twofold._native")]
pub struct Composition {
    machine: Machine,
    held: ManuallyDrop<OsFile>,
    chunk: Option<PyBuffer<u8>>,
}

impl Composition {
    fn check_ready(&mut self) -> PyResult<()> {
        match self.machine.make_ready() {
            true => Ok(()),
            false => Err(value_error(
                "The deltas are not finished, or do not fit".to_string(),
            )),
        }
    }

    fn check_taken(&self) -> PyResult<()> {
        match self.machine.piece(1) {
            None => Ok(()),
            Some(_) => Err(value_error("What there is must be taken first".to_string())),
        }
    }
}

/// The next bytes of the result, of which there are at least as many as `out` has room for.
fn fill(machine: &mut Machine, held: &OsFile, chunk: &[u8], mut out: &mut [u8]) -> io::Result<()> {
    while let Some(piece) = machine.piece(out.len()) {
        let (Piece::Held(_, length) | Piece::Chunk(_, length)) = piece;
        let (now, later) = out.split_at_mut(length);
        match piece {
            Piece::Held(place, _) => held.read_exact_at(now, place)?,
            Piece::Chunk(from, _) => now.copy_from_slice(&chunk[from..from + length]),
        }
        machine.advance(length);
        out = later;
    }
    Ok(())
}

#[pymethods]
impl Composition {
    #[new]
    fn new(held_fd: RawFd, most_commands: usize) -> PyResult<Self> {
        Ok(Self {
            machine: Machine::new(most_commands),
            held: borrow_file(held_fd)?,
            chunk: None,
        })
    }

    #[getter]
    fn fits(&self) -> bool {
        self.machine.fits()
    }

    fn feed_delta(&mut self, py: Python, delta: PyBuffer<u8>) -> PyResult<()> {
        let data = bytes_of(&delta)?;
        let (machine, held) = (&mut self.machine, &self.held);
        py.detach(|| {
            let place = machine.feed_delta(data)?;
            Ok(held.write_all_at(data, place)?)
        })
    }

    fn finish_delta(&mut self, max_size: u64) -> PyResult<()> {
        Ok(self.machine.finish_delta(max_size)?)
    }

    fn feed(&mut self, py: Python, basis: PyBuffer<u8>) -> PyResult<bool> {
        self.check_ready()?;
        self.check_taken()?;
        let mut to_hold: Vec<ToHold> = Vec::new();
        let data = bytes_of(&basis)?;
        let passes = self.machine.feed(data.len(), &mut to_hold);
        let held = &self.held;
        py.detach(|| {
            let mut parts = to_hold.iter();
            parts.try_for_each(|part| held.write_all_at(&data[part.from..part.to], part.place))
        })?;
        self.chunk = Some(basis);
        Ok(passes)
    }

    fn take<'py>(&mut self, py: Python<'py>, size: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.check_ready()?;
        let chunk = self.chunk.as_ref().map_or(Ok(&[][..]), bytes_of)?;
        let (machine, held) = (&mut self.machine, &self.held);
        let length = machine.available(size);
        PyBytes::new_with(py, length, |out| {
            Ok(py.detach(|| fill(machine, held, chunk, out))?)
        })
    }

    fn finish(&mut self) -> PyResult<()> {
        self.check_ready()?;
        self.check_taken()?;
        Ok(self.machine.finish()?)
    }
}
