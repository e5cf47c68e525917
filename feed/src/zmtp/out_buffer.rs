//! Bytes that wait for one peer, in chunks from a pool that all peers share. A peer that takes what it gets holds no
//! chunk between two flushes; after a burst the pool gives memory back.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Size of a chunk. Memory beyond the bytes that wait is at most two chunks a peer and the pool.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;

/// Chunks that the pool keeps beside one for every peer.
const SPARE_CHUNKS: usize = 64;

/// Most chunks that one send takes: 256 KiB, so that a peer that catches up holds up the others for little, and yet more than
/// comes in meanwhile.
const SLICES_MAX: usize = 16;

/// Empty chunks for reuse.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
    /// Peers that may want one at once.
    pub(crate) peers: usize,
}

impl Pool {
    fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES))
    }

    fn give(&mut self, mut chunk: Vec<u8>) {
        if self.free.len() < self.peers + SPARE_CHUNKS {
            chunk.clear();
            self.free.push(chunk);
        }
    }
}

/// What waits for one peer.
#[derive(Debug, Default)]
pub(crate) struct OutBuffer {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that are gone already.
    sent: usize,
    bytes: usize,
}

impl OutBuffer {
    /// How many bytes wait.
    pub(crate) const fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends `bytes`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], pool: &mut Pool) {
        self.bytes += bytes.len();
        while !bytes.is_empty() {
            match self.chunks.back_mut().filter(|chunk| chunk.len() < CHUNK_BYTES) {
                Some(chunk) => {
                    let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - chunk.len()));
                    chunk.extend_from_slice(now);
                    bytes = later;
                }
                None => self.chunks.push_back(pool.take()),
            }
        }
    }

    /// Gives the head of what waits to `send`, which says how many bytes it took.
    pub(crate) fn send<E>(
        &mut self,
        pool: &mut Pool,
        send: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut used = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(if used == 0 { &chunk[self.sent..] } else { chunk });
            used += 1;
        }
        let taken = send(&slices[..used])?.min(self.bytes);
        self.forget(taken, pool);
        Ok(taken)
    }

    fn forget(&mut self, mut taken: usize, pool: &mut Pool) {
        self.bytes -= taken;
        while let Some(first) = self.chunks.front() {
            let rest = first.len() - self.sent;
            if taken < rest {
                self.sent += taken;
                return;
            }
            taken -= rest;
            self.sent = 0;
            if let Some(chunk) = self.chunks.pop_front() {
                pool.give(chunk);
            }
        }
        // A long queue of chunks leaves a long table of them behind.
        if self.chunks.capacity() > SPARE_CHUNKS {
            self.chunks.shrink_to(SLICES_MAX);
        }
    }

    /// Drops all that waits.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.forget(self.bytes, pool);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_peer_without_waiting_bytes_holds_no_chunk_and_the_pool_shrinks_back() {
        let (mut out, mut pool) = (OutBuffer::default(), Pool { peers: 1, ..Pool::default() });
        out.push(&vec![1; 16 * 1024 * 1024 + 5], &mut pool);
        assert_eq!(out.chunks.len(), 1025);
        while !out.is_empty() {
            out.send(&mut pool, |slices| Ok::<_, ()>(slices.iter().map(|s| s.len()).sum())).expect("sends");
        }
        assert_eq!((out.chunks.len(), pool.free.len()), (0, 1 + SPARE_CHUNKS));
        assert!(out.chunks.capacity() <= SPARE_CHUNKS);
        let before: Vec<*const u8> = pool.free.iter().map(|c| c.as_ptr()).collect();
        out.push(b"x", &mut pool);
        assert_eq!(Some(&out.chunks[0].as_ptr()), before.last(), "a warm push allocates nothing");
        out.clear(&mut pool);
        assert_eq!((out.len(), pool.free.len()), (0, 1 + SPARE_CHUNKS));
    }

    #[test]
    fn an_error_of_the_socket_loses_nothing() {
        let (mut out, mut pool) = (OutBuffer::default(), Pool::default());
        out.push(b"abc", &mut pool);
        assert_eq!(out.send(&mut pool, |_| Err("full")), Err("full"));
        assert_eq!(out.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in proptest::collection::vec((0..40_000usize, 0..60_000usize), 1..30),
        ) {
            let (mut out, mut pool) = (OutBuffer::default(), Pool::default());
            let (mut model, mut next) = (VecDeque::new(), 0u8);
            for (pushed, wanted) in steps {
                let bytes: Vec<u8> = (0..pushed).map(|_| { next = next.wrapping_mul(5).wrapping_add(3); next }).collect();
                out.push(&bytes, &mut pool);
                model.extend(bytes);
                let mut seen = Vec::new();
                let taken = out.send(&mut pool, |slices| {
                    seen = slices.iter().flat_map(|s| s.iter().copied()).collect();
                    Ok::<_, ()>(seen.len().min(wanted))
                }).expect("sends");
                prop_assert!(taken == wanted || taken == seen.len());
                prop_assert!(model.iter().zip(&seen).all(|(a, b)| a == b));
                model.drain(..taken);
                prop_assert_eq!(out.len(), model.len());
                prop_assert!(out.chunks.len() <= out.len() / CHUNK_BYTES + 2);
                prop_assert!(out.chunks.iter().all(|c| c.capacity() == CHUNK_BYTES));
            }
        }
    }
}
