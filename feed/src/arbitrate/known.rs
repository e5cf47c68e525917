//! A bounded memory of `tid`s, shared by all contracts.

/// `tid`s in one cache line.
const WAYS: usize = 8;
/// Cache lines; a power of two.
const LINES: usize = 1 << 16;

/// The `tid`s that were brought lately: 524,288 in 4 MiB. A `tid` has one line where it can stand, and a full line
/// forgets its oldest. While fewer than some 60,000 have come since, one in a million is forgotten too early; then a copy
/// of it would count as unique.
#[derive(Debug)]
pub struct Known(Box<[[u64; WAYS]]>);

impl Default for Known {
    fn default() -> Self {
        Self(vec![[0; WAYS]; LINES].into_boxed_slice())
    }
}

impl Known {
    /// Remembers `tid`; says whether it was new.
    pub fn insert(&mut self, tid: u64) -> bool {
        // The bits of a hash are as good as any: its lower ones choose the line.
        let index = usize::try_from(tid % LINES as u64).unwrap_or_default();
        let line = &mut self.0[index];
        // An empty place holds 0, which no tid has but by a chance of 2^-64.
        let is_new = !line.contains(&tid);
        if is_new {
            line.rotate_right(1);
            line[0] = tid;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_forgets_its_oldest_and_no_other_line() {
        let mut known = Known::default();
        let same_line = |i: u64| 7 + i * LINES as u64;
        assert!(known.insert(8));
        for i in 0..WAYS as u64 {
            assert!(known.insert(same_line(i)));
        }
        assert!((0..WAYS as u64).all(|i| !known.insert(same_line(i))));
        assert!(known.insert(same_line(WAYS as u64)));
        assert!(known.insert(same_line(0)), "the oldest was forgotten");
        assert!(!known.insert(same_line(2)));
        assert!(!known.insert(8));
    }
}
