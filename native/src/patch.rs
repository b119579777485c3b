//! Executing a delta.

use std::fmt;
use std::io;

use crate::commands::MAGIC;

/// Output is written in pieces of about this size, and copies are read in them.
const BUFFER: usize = 1 << 20;
/// Magic, then opcode with two numbers.
const LONGEST_HEAD: usize = 17;

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

fn corrupt<T>(message: impl Into<String>) -> Result<T, PatchError> {
    Err(PatchError::Corrupt(message.into()))
}

/// Where copies come from and where the result goes.
pub trait Target {
    fn basis_size(&self) -> u64;
    /// Fills `buffer` from `position`; returns false if the basis ends before.
    fn read_exact_at(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<bool>;
    fn write_all(&mut self, data: &[u8]) -> io::Result<()>;
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Magic,
    Command,
    Literal(u64),
    Ended,
    Failed,
}

pub struct Patcher<T> {
    target: T,
    max_size: u64,
    state: State,
    /// The start of a command that is not complete yet.
    head: Vec<u8>,
    buffer: Vec<u8>,
    written: u64,
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// Widths of the numbers that follow a command: of position and length.
fn widths(opcode: u8) -> Option<(usize, usize)> {
    match opcode {
        0x00..=0x40 => Some((0, 0)),
        0x41..=0x44 => Some((0, 1 << (opcode - 0x41))),
        0x45..=0x54 => {
            let form = opcode - 0x45;
            Some((1 << (form / 4), 1 << (form % 4)))
        }
        _ => None,
    }
}

impl<T: Target> Patcher<T> {
    pub fn new(target: T, max_size: u64) -> Self {
        Self {
            target,
            max_size,
            state: State::Magic,
            head: Vec::with_capacity(LONGEST_HEAD),
            buffer: Vec::new(),
            written: 0,
        }
    }

    pub fn feed(&mut self, delta: &[u8]) -> Result<(), PatchError> {
        let result = self.run(delta);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// Writes what is buffered; returns the size of the result.
    pub fn finish(&mut self) -> Result<u64, PatchError> {
        match self.state {
            State::Ended => {}
            State::Failed => return corrupt("Delta was already found to be corrupt"),
            _ => return corrupt("Delta has no end command"),
        }
        self.flush()?;
        Ok(self.written)
    }

    pub fn into_target(self) -> T {
        self.target
    }

    fn run(&mut self, mut delta: &[u8]) -> Result<(), PatchError> {
        while !delta.is_empty() {
            delta = match self.state {
                State::Magic => self.read_magic(delta)?,
                State::Command => self.read_command(delta)?,
                State::Literal(left) => self.read_literal(left, delta)?,
                State::Ended => return Ok(()),
                State::Failed => return corrupt("Delta was already found to be corrupt"),
            };
        }
        Ok(())
    }

    /// Moves bytes to `head` until it has `length` of them; returns what is left over.
    fn gather<'a>(&mut self, delta: &'a [u8], length: usize) -> &'a [u8] {
        let step = delta.len().min(length.saturating_sub(self.head.len()));
        self.head.extend_from_slice(&delta[..step]);
        &delta[step..]
    }

    fn read_magic<'a>(&mut self, delta: &'a [u8]) -> Result<&'a [u8], PatchError> {
        let rest = self.gather(delta, 4);
        if self.head.len() == 4 {
            if number(&self.head) != u64::from(MAGIC) {
                return corrupt("Delta does not begin with its magic number");
            }
            self.head.clear();
            self.state = State::Command;
        }
        Ok(rest)
    }

    fn read_command<'a>(&mut self, delta: &'a [u8]) -> Result<&'a [u8], PatchError> {
        let rest = self.gather(delta, 1);
        let Some(&opcode) = self.head.first() else {
            return Ok(rest);
        };
        let Some((position_width, length_width)) = widths(opcode) else {
            return corrupt(format!("Delta has the reserved command {opcode:#04x}"));
        };
        let end = 1 + position_width + length_width;
        let rest = self.gather(rest, end);
        if self.head.len() < end {
            return Ok(rest);
        }
        let position = number(&self.head[1..1 + position_width]);
        let length = number(&self.head[1 + position_width..end]);
        self.head.clear();
        match opcode {
            0 => self.state = State::Ended,
            1..=0x40 => self.begin_literal(u64::from(opcode))?,
            0x41..=0x44 => self.begin_literal(length)?,
            _ => self.copy(position, length)?,
        }
        Ok(rest)
    }

    fn check_length(&self, length: u64) -> Result<(), PatchError> {
        if length == 0 || length > i64::MAX as u64 {
            return corrupt(format!("Delta has a command of impossible length {length}"));
        }
        if length > self.max_size.saturating_sub(self.written) {
            return corrupt(format!("Delta makes more than {} bytes", self.max_size));
        }
        Ok(())
    }

    fn begin_literal(&mut self, length: u64) -> Result<(), PatchError> {
        self.check_length(length)?;
        self.state = State::Literal(length);
        Ok(())
    }

    fn read_literal<'a>(&mut self, left: u64, delta: &'a [u8]) -> Result<&'a [u8], PatchError> {
        let step = left.min(delta.len() as u64);
        let (data, rest) = delta.split_at(step as usize);
        if data.len() >= BUFFER {
            self.flush()?;
            self.target.write_all(data)?;
        } else {
            if self.buffer.len() + data.len() > BUFFER {
                self.flush()?;
            }
            self.buffer.extend_from_slice(data);
        }
        self.written += step;
        self.state = if step == left {
            State::Command
        } else {
            State::Literal(left - step)
        };
        Ok(rest)
    }

    fn copy(&mut self, position: u64, length: u64) -> Result<(), PatchError> {
        self.check_length(length)?;
        if position
            .checked_add(length)
            .map_or(true, |end| end > self.target.basis_size())
        {
            return corrupt(format!(
                "Delta copies {length} bytes from {position}, beyond the basis"
            ));
        }
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
        self.state = State::Command;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.write_all(&self.buffer)?;
        self.buffer.clear();
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
