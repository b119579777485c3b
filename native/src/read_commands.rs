//! Reading a delta command by command, wherever its pieces end.

use crate::commands::MAGIC;
use crate::patch::{corrupt, PatchError};

/// Magic, then opcode with two numbers.
const LONGEST_HEAD: usize = 17;

/// What becomes of the commands.
pub trait Sink {
    fn copy(&mut self, position: u64, length: u64) -> Result<(), PatchError>;
    /// A literal whose first byte is the byte `place` of the delta, counted from 0.
    fn begin_literal(&mut self, length: u64, place: u64) -> Result<(), PatchError>;
    /// The next bytes of it.
    fn literal(&mut self, data: &[u8]) -> Result<(), PatchError>;
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Magic,
    Command,
    Literal(u64),
    Ended,
    Failed,
}

pub struct CommandReader {
    state: State,
    /// The start of a command that is not complete yet.
    head: Vec<u8>,
    /// Bytes of the delta that came before those at hand.
    before: u64,
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

fn possible(length: u64) -> Result<u64, PatchError> {
    if length == 0 || length > i64::MAX as u64 {
        return corrupt(format!("Delta has a command of impossible length {length}"));
    }
    Ok(length)
}

impl CommandReader {
    pub fn new() -> Self {
        Self {
            state: State::Magic,
            head: Vec::with_capacity(LONGEST_HEAD),
            before: 0,
        }
    }

    pub fn feed(&mut self, delta: &[u8], sink: &mut impl Sink) -> Result<(), PatchError> {
        let result = self.run(delta, sink);
        if result.is_err() {
            self.state = State::Failed;
        }
        self.before += delta.len() as u64;
        result
    }

    /// Whether the delta has come to its end.
    pub fn finish(&self) -> Result<(), PatchError> {
        match self.state {
            State::Ended => Ok(()),
            State::Failed => corrupt("Delta was already found to be corrupt"),
            _ => corrupt("Delta has no end command"),
        }
    }

    fn run(&mut self, delta: &[u8], sink: &mut impl Sink) -> Result<(), PatchError> {
        let mut rest = delta;
        while !rest.is_empty() {
            rest = match self.state {
                State::Magic => self.read_magic(rest)?,
                State::Command => {
                    let end = self.before + delta.len() as u64;
                    self.read_command(rest, end, sink)?
                }
                State::Literal(left) => self.read_literal(left, rest, sink)?,
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

    /// `end` is where these bytes end in the delta.
    fn read_command<'a>(
        &mut self,
        delta: &'a [u8],
        end: u64,
        sink: &mut impl Sink,
    ) -> Result<&'a [u8], PatchError> {
        let rest = self.gather(delta, 1);
        let Some(&opcode) = self.head.first() else {
            return Ok(rest);
        };
        let Some((position_width, length_width)) = widths(opcode) else {
            return corrupt(format!("Delta has the reserved command {opcode:#04x}"));
        };
        let head_len = 1 + position_width + length_width;
        let rest = self.gather(rest, head_len);
        if self.head.len() < head_len {
            return Ok(rest);
        }
        let position = number(&self.head[1..1 + position_width]);
        let length = number(&self.head[1 + position_width..head_len]);
        self.head.clear();
        match opcode {
            0 => self.state = State::Ended,
            1..=0x44 => {
                let length = if opcode <= 0x40 {
                    u64::from(opcode)
                } else {
                    possible(length)?
                };
                sink.begin_literal(length, end - rest.len() as u64)?;
                self.state = State::Literal(length);
            }
            _ => sink.copy(position, possible(length)?)?,
        }
        Ok(rest)
    }

    fn read_literal<'a>(
        &mut self,
        left: u64,
        delta: &'a [u8],
        sink: &mut impl Sink,
    ) -> Result<&'a [u8], PatchError> {
        let step = left.min(delta.len() as u64);
        let (data, rest) = delta.split_at(step as usize);
        sink.literal(data)?;
        self.state = if step == left {
            State::Command
        } else {
            State::Literal(left - step)
        };
        Ok(rest)
    }
}
