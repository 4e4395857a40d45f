//! Memory for the keys and values of a front, which is taken once and used again.
//!
//! A front takes in and gives back millions of small pieces in a second. From the allocator, each is a search for a place, a
//! page that the kernel has to clear, and memory that one thread takes and another one frees.

/// The largest piece that lies in a chunk. Larger ones have memory of their own.
const MOST_SMALL: usize = 4 << 10;

/// The size of the first chunk. Each is twice as large as the one before, up to [`MOST_CHUNK`].
const FIRST_CHUNK: usize = 1 << 10;

const MOST_CHUNK: usize = 64 << 10;

/// A piece of memory with bytes in it.
#[derive(Debug)]
pub(super) enum Piece {
    /// In a chunk of the arena.
    Small {
        chunk: u32,
        start: u32,
        /// How many bytes it has.
        length: u16,
        /// How many bytes it may have.
        room: u16,
    },
    Large(Vec<u8>),
}

/// Memory for pieces, in chunks that stay where they are.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: Vec<Box<[u8]>>,
    /// The chunk that is being filled, and how far it is.
    current: usize,
    filled: usize,
    /// How many chunks were used when the arena was cleared the last time.
    used: usize,
    /// What was given back, by size.
    free: Vec<Vec<(u32, u32)>>,
    /// Bytes of all pieces, those that were given back among them.
    bytes: usize,
}

impl Arena {
    /// Takes memory for a copy of some bytes.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Piece {
        if bytes.len() > MOST_SMALL {
            let large = bytes.to_vec();
            self.bytes += large.capacity();
            return Piece::Large(large);
        }
        let (class, room) = class_of(bytes.len());
        let (chunk, start) = match self.free.get_mut(class).and_then(Vec::pop) {
            Some(place) => place,
            None => self.begin(room),
        };
        self.chunks[chunk as usize][start as usize..][..bytes.len()].copy_from_slice(bytes);
        Piece::Small {
            chunk,
            start,
            length: bytes.len() as u16,
            room: room as u16,
        }
    }

    /// Puts other bytes in the place of those of a piece.
    pub(super) fn replace(&mut self, piece: &mut Piece, bytes: &[u8]) {
        match piece {
            Piece::Small {
                chunk,
                start,
                length,
                room,
            } if bytes.len() <= usize::from(*room) => {
                self.chunks[*chunk as usize][*start as usize..][..bytes.len()].copy_from_slice(bytes);
                *length = bytes.len() as u16;
            }
            piece => {
                let newer = self.keep(bytes);
                self.give_back(std::mem::replace(piece, newer));
            }
        }
    }

    pub(super) fn give_back(&mut self, piece: Piece) {
        match piece {
            Piece::Small { chunk, start, room, .. } => {
                let (class, _) = class_of(room.into());
                if self.free.len() <= class {
                    self.free.resize_with(class + 1, Vec::new);
                }
                self.free[class].push((chunk, start));
            }
            Piece::Large(large) => self.bytes -= large.capacity(),
        }
    }

    pub(super) fn get<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match piece {
            Piece::Small {
                chunk, start, length, ..
            } => &self.chunks[*chunk as usize][*start as usize..][..usize::from(*length)],
            Piece::Large(large) => large,
        }
    }

    /// The memory of all pieces, in bytes, and of those that were given back and wait for others of their size.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all pieces, and keeps the chunks.
    pub(super) fn clear(&mut self) {
        self.used = self.current + 1;
        (self.current, self.filled, self.bytes) = (0, 0, 0);
        self.free.iter_mut().for_each(Vec::clear);
    }

    /// Gives up the chunks that were not used before the arena was cleared.
    pub(super) fn shrink(&mut self) {
        self.chunks.truncate(self.used);
    }

    /// Takes memory that was never used since the arena was cleared.
    fn begin(&mut self, room: usize) -> (u32, u32) {
        while self
            .chunks
            .get(self.current)
            .is_some_and(|chunk| chunk.len() - self.filled < room)
        {
            (self.current, self.filled) = (self.current + 1, 0);
        }
        if self.current == self.chunks.len() {
            let size = (FIRST_CHUNK << self.current.min(16)).clamp(room, MOST_CHUNK);
            self.chunks.push(vec![0; size].into());
        }
        let place = (self.current as u32, self.filled as u32);
        self.filled += room;
        self.bytes += room;
        place
    }
}

/// The number of the size that a piece of this length has, and that size.
fn class_of(length: usize) -> (usize, usize) {
    match length {
        0..=256 => (length.div_ceil(16), length.next_multiple_of(16)),
        257..=1024 => (12 + length.div_ceil(64), length.next_multiple_of(64)),
        _ => (24 + length.div_ceil(256), length.next_multiple_of(256)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each size has one number, and room for its lengths.
    #[test]
    fn sizes_have_numbers_in_order() {
        let mut last = class_of(0);
        for length in 0..=MOST_SMALL {
            let (class, room) = class_of(length);
            assert!(room >= length && class_of(room) == (class, room), "{length}");
            assert!(
                (class, room) == last || class == last.0 + 1 && room > last.1,
                "{length}"
            );
            last = (class, room);
        }
        assert!(last.1 <= MOST_SMALL);
    }

    proptest! {
        /// No piece changes because of another one, and an arena that was cleared is as good as new.
        #[test]
        fn pieces_keep_their_bytes(lengths in proptest::collection::vec((0..6_000_usize, any::<bool>(), any::<u8>()), 1..200)) {
            let mut arena = Arena::default();
            for _ in 0..2 {
                let mut pieces: Vec<(Piece, Vec<u8>)> = Vec::new();
                for &(length, is_kept, byte) in &lengths {
                    let bytes = vec![byte; length];
                    match pieces.len() {
                        0 => pieces.push((arena.keep(&bytes), bytes)),
                        _ if is_kept => pieces.push((arena.keep(&bytes), bytes)),
                        count if byte % 2 == 0 => arena.give_back(pieces.swap_remove(length % count).0),
                        count => {
                            let (piece, known) = &mut pieces[length % count];
                            arena.replace(piece, &bytes);
                            *known = bytes;
                        }
                    }
                    for (piece, bytes) in &pieces {
                        prop_assert_eq!(arena.get(piece), &bytes[..]);
                    }
                }
                prop_assert!(arena.bytes() >= pieces.iter().map(|(_, bytes)| bytes.len()).sum());
                arena.clear();
                prop_assert_eq!(arena.bytes(), 0);
            }
        }
    }

    /// Pieces that come and go take no more memory than there are at one time.
    #[test]
    fn memory_is_used_again() {
        let mut arena = Arena::default();
        let mut pieces = std::collections::VecDeque::new();
        for _ in 0..10_000 {
            pieces.push_back(arena.keep(&[1; 100]));
            if pieces.len() > 3 {
                arena.give_back(pieces.pop_front().unwrap());
            }
        }
        assert_eq!(arena.bytes(), 4 * 112);
    }
}
