//! Carrying out deltas while their basis streams by. Nothing here reads or writes; what has
//! to be held until it is wanted is told to whoever does.

use crate::patch::{check_copy, corrupt, PatchError};
use crate::read_commands::{CommandReader, Sink};

const MOST_BYTES: u64 = i64::MAX as u64;
/// Set in a place that is in the held file; else it is in the basis.
const HELD: u64 = 1 << 63;

/// The lines of one result: where each begins there, and the place of its first byte.
/// They follow each other without gaps; the last one ends with the result.
struct Table {
    lines: Vec<(u64, u64)>,
    size: u64,
    most: usize,
    is_full: bool,
}

impl Table {
    fn new(most: usize) -> Self {
        Self {
            lines: Vec::new(),
            size: 0,
            most,
            is_full: false,
        }
    }

    fn add(&mut self, place: u64, length: u64) -> Result<(), PatchError> {
        if length > MOST_BYTES - self.size {
            return corrupt(format!("Delta makes more than {MOST_BYTES} bytes"));
        }
        if self.is_full {
            return Ok(());
        }
        let follows = matches!(self.lines.last(), Some(&(start, before)) if before + (self.size - start) == place);
        if !follows {
            if self.lines.len() == self.most {
                self.is_full = true;
                return Ok(());
            }
            self.lines.push((self.size, place));
        }
        self.size += length;
        Ok(())
    }

    fn end_of(&self, line: usize) -> u64 {
        self.lines.get(line + 1).map_or(self.size, |next| next.0)
    }
}

/// Makes a table of one delta; what it copies are bytes of `before`, of the basis itself where there is none.
struct Collector {
    before: Option<Table>,
    held: u64,
    table: Table,
}

impl Sink for Collector {
    fn begin_literal(&mut self, length: u64, place: u64) -> Result<(), PatchError> {
        self.table.add(HELD | (self.held + place), length)
    }

    fn literal(&mut self, _data: &[u8]) -> Result<(), PatchError> {
        Ok(())
    }

    fn copy(&mut self, mut position: u64, length: u64) -> Result<(), PatchError> {
        let Some(before) = &self.before else {
            check_copy(position, length, MOST_BYTES)?;
            return self.table.add(position, length);
        };
        let end = check_copy(position, length, before.size)?;
        let behind = before.lines.partition_point(|line| line.0 <= position);
        for line in behind.saturating_sub(1).. {
            if position >= end || self.table.is_full {
                break;
            }
            let (start, place) = before.lines[line];
            let stop = before.end_of(line).min(end);
            self.table
                .add(place + (position - start), stop - position)?;
            position = stop;
        }
        Ok(())
    }
}

/// Bytes of the basis that are wanted after they have passed, and where they are held then.
struct Keep {
    start: u64,
    end: u64,
    held: u64,
}

/// A part of what has come, to be written to the held file.
pub struct ToHold {
    pub from: usize,
    pub to: usize,
    pub place: u64,
}

/// Where the next bytes of the result are.
pub enum Piece {
    Held(u64, usize),
    Chunk(usize, usize),
}

pub struct Composition {
    most: usize,
    fits: bool,
    held: u64,
    delta: Option<(CommandReader, Collector)>,
    table: Option<Table>,
    kept: Option<Vec<Keep>>,
    next_kept: usize,
    chunk: (u64, u64),
    line: usize,
    taken: u64,
}

impl Composition {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            fits: true,
            held: 0,
            delta: None,
            table: None,
            kept: None,
            next_kept: 0,
            chunk: (0, 0),
            line: 0,
            taken: 0,
        }
    }

    pub fn fits(&self) -> bool {
        self.fits
    }

    /// Returns where these bytes have to be written in the held file.
    pub fn feed_delta(&mut self, data: &[u8]) -> Result<u64, PatchError> {
        let place = self.held;
        if self.fits {
            let (before, most) = (&mut self.table, self.most);
            let (reader, collector) = self.delta.get_or_insert_with(|| {
                let (before, table) = (before.take(), Table::new(most));
                let collector = Collector {
                    before,
                    held: place,
                    table,
                };
                (CommandReader::new(), collector)
            });
            reader.feed(data, collector)?;
        }
        self.held += data.len() as u64;
        Ok(place)
    }

    pub fn finish_delta(&mut self, max_size: u64) -> Result<(), PatchError> {
        if !self.fits {
            return Ok(());
        }
        let Some((reader, collector)) = self.delta.take() else {
            return corrupt("Delta has no end command");
        };
        reader.finish()?;
        if collector.table.is_full {
            self.fits = false;
            return Ok(());
        }
        if collector.table.size > max_size {
            return corrupt(format!("Delta makes more than {max_size} bytes"));
        }
        self.table = Some(collector.table);
        Ok(())
    }

    /// Must have been called before what follows; false if the deltas are not finished, or do not fit.
    pub fn make_ready(&mut self) -> bool {
        if self.kept.is_none() && self.fits && self.delta.is_none() {
            self.kept = self.table.as_ref().map(|table| kept(table, self.held));
        }
        self.kept.is_some()
    }

    /// The next bytes of the basis: whether they are, as they are, the next ones of the result.
    pub fn feed(&mut self, length: usize, to_hold: &mut Vec<ToHold>) -> bool {
        let (start, end) = (self.chunk.1, self.chunk.1 + length as u64);
        self.chunk = (start, end);
        self.list_kept(to_hold);
        match self.piece(length) {
            Some(Piece::Chunk(0, available)) if length > 0 && available == length => {
                self.advance(length);
                true
            }
            _ => false,
        }
    }

    /// The next at most `most` bytes of the result that lie together; none if the basis must go on first.
    pub fn piece(&self, most: usize) -> Option<Piece> {
        let table = self.table.as_ref()?;
        if self.taken == table.size || most == 0 {
            return None;
        }
        let (start, first) = table.lines[self.line];
        let place = first + (self.taken - start);
        let length = (table.end_of(self.line) - self.taken).min(most as u64);
        if place & HELD != 0 {
            return Some(Piece::Held(place & !HELD, length as usize));
        }
        let (from, to) = self.chunk;
        if place < from {
            return Some(Piece::Held(
                self.held_place(place)?,
                length.min(from - place) as usize,
            ));
        }
        let offset = (place - from) as usize;
        (place < to).then(|| Piece::Chunk(offset, length.min(to - place) as usize))
    }

    /// How many of the next at most `most` bytes of the result there are before the basis must go on.
    pub fn available(&mut self, most: usize) -> usize {
        let (line, taken) = (self.line, self.taken);
        let mut found = 0;
        while let Some(Piece::Held(_, length) | Piece::Chunk(_, length)) = self.piece(most - found)
        {
            self.advance(length);
            found += length;
        }
        (self.line, self.taken) = (line, taken);
        found
    }

    pub fn advance(&mut self, step: usize) {
        self.taken += step as u64;
        if let Some(table) = &self.table {
            if self.taken == table.end_of(self.line) && self.taken < table.size {
                self.line += 1;
            }
        }
    }

    pub fn finish(&self) -> Result<(), PatchError> {
        if let Some(table) = self.table.as_ref().filter(|table| self.taken < table.size) {
            let (start, place) = table.lines[self.line];
            let left = table.end_of(self.line) - self.taken;
            check_copy(place + (self.taken - start), left, self.chunk.1)?;
        }
        Ok(())
    }

    fn held_place(&self, position: u64) -> Option<u64> {
        let kept = self.kept.as_ref()?;
        let behind = kept.partition_point(|keep| keep.start <= position);
        let keep = kept.get(behind.checked_sub(1)?)?;
        (position < keep.end).then(|| keep.held + (position - keep.start))
    }

    fn list_kept(&mut self, to_hold: &mut Vec<ToHold>) {
        let (first, last) = self.chunk;
        let kept = self.kept.as_deref().unwrap_or_default();
        while let Some(keep) = kept.get(self.next_kept) {
            let (start, end) = (keep.start.max(first), keep.end.min(last));
            if start < end {
                to_hold.push(ToHold {
                    from: (start - first) as usize,
                    to: (end - first) as usize,
                    place: keep.held + (start - keep.start),
                });
            }
            if keep.end > last {
                break;
            }
            self.next_kept += 1;
        }
    }
}

/// What the result has of the basis where it goes back, ordered, each byte once; `held`: bytes held already.
fn kept(table: &Table, mut held: u64) -> Vec<Keep> {
    let mut ranges = Vec::new();
    let mut front = 0;
    for (line, &(begin, place)) in table.lines.iter().enumerate() {
        if place & HELD != 0 {
            continue;
        }
        let end = place + (table.end_of(line) - begin);
        if place < front {
            ranges.push((place, end.min(front)));
        }
        front = front.max(end);
    }
    ranges.sort_unstable();
    let mut kept: Vec<Keep> = Vec::new();
    for (start, end) in ranges {
        match kept.last_mut() {
            Some(last) if start <= last.end => {
                held += end.saturating_sub(last.end);
                last.end = last.end.max(end);
            }
            _ => {
                kept.push(Keep { start, end, held });
                held += end - start;
            }
        }
    }
    kept
}
