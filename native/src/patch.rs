//! Executing a delta.

use std::fmt;
use std::io;

use crate::read_commands::{CommandReader, Sink};

/// Output is written in pieces of about this size, and copies are read in them.
const BUFFER: usize = 1 << 20;

pub enum PatchError {
    /// The delta, or its basis, is not what it should be.
    Corrupt(String),
    Io(io::Error),
}

impl From<io::Error> for PatchError {
    fn from(error: io::Error) -> Self {
        PatchError::Io(error)
    }
}

impl fmt::Display for PatchError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            PatchError::Corrupt(message) => formatter.write_str(message),
            PatchError::Io(error) => error.fmt(formatter),
        }
    }
}

pub fn corrupt<T>(message: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::Corrupt(message.into()))
}

/// Where copies come from and where the result goes.
pub trait Target {
    fn basis_size(&self) -> u64;
    /// Fills `buffer` from `position`; returns false if the basis ends before.
    fn read_exact_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<bool>;
    fn write_all(&mut self, data: &[u8]) -> io::Result<()>;
}

/// Copies beyond the end of the basis.
pub fn check_copy(position: u64, length: u64, basis_size: u64) -> Result<u64, PatchError> {
    match position.checked_add(length) {
        Some(end) if end <= basis_size => Ok(end),
        _ => corrupt(format!(
            "Delta copies {length} bytes from {position}, beyond the basis"
        )),
    }
}

pub struct Patcher<T> {
    reader: CommandReader,
    machine: Machine<T>,
}

struct Machine<T> {
    target: T,
    max_size: u64,
    buffer: Vec<u8>,
    written: u64,
}

impl<T: Target> Patcher<T> {
    pub fn new(target: T, max_size: u64) -> Self {
        Self {
            reader: CommandReader::new(),
            machine: Machine {
                target,
                max_size,
                buffer: Vec::new(),
                written: 0,
            },
        }
    }

    pub fn feed(&mut self, delta: &[u8]) -> Result<(), PatchError> {
        self.reader.feed(delta, &mut self.machine)
    }

    /// Writes what is buffered; returns the size of the result.
    pub fn finish(&mut self) -> Result<u64, PatchError> {
        self.reader.finish()?;
        self.machine.flush()?;
        Ok(self.machine.written)
    }

    pub fn into_target(self) -> T {
        self.machine.target
    }
}

impl<T: Target> Machine<T> {
    fn check_room(&self, length: u64) -> Result<(), PatchError> {
        if length > self.max_size.saturating_sub(self.written) {
            return corrupt(format!("Delta makes more than {} bytes", self.max_size));
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<T: Target> Sink for Machine<T> {
    fn begin_literal(&mut self, length: u64, _place: u64) -> Result<(), PatchError> {
        self.check_room(length)
    }

    fn literal(&mut self, data: &[u8]) -> Result<(), PatchError> {
        if data.len() >= BUFFER {
            self.flush()?;
            self.target.write_all(data)?;
        } else {
            if self.buffer.len() + data.len() > BUFFER {
                self.flush()?;
            }
            self.buffer.extend_from_slice(data);
        }
        self.written += data.len() as u64;
        Ok(())
    }

    fn copy(&mut self, position: u64, length: u64) -> Result<(), PatchError> {
        self.check_room(length)?;
        check_copy(position, length, self.target.basis_size())?;
        let (mut position, mut left) = (position, length);
        while left > 0 {
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
            let filled = self.buffer.len();
            let step = left.min((BUFFER - filled) as u64);
            self.buffer.resize(filled + step as usize, 0);
            if !self
                .target
                .read_exact_at(position, &mut self.buffer[filled..])?
            {
                return corrupt("Basis is shorter than it should be");
            }
            position += step;
            left -= step;
            self.written += step;
        }
        Ok(())
    }
}

/// Everything in memory.
pub struct InMemory<'a> {
    pub basis: &'a [u8],
    pub result: Vec<u8>,
}

impl Target for InMemory<'_> {
    fn basis_size(&self) -> u64 {
        self.basis.len() as u64
    }

    fn read_exact_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let part = usize::try_from(position)
            .ok()
            .and_then(|start| self.basis.get(start..start.checked_add(buffer.len())?));
        Ok(part.map(|part| buffer.copy_from_slice(part)).is_some())
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        self.result.extend_from_slice(data);
        Ok(())
    }
}
