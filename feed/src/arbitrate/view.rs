//! What a copy says of its snapshot's last price and first level.

/// Two statements, each a hash; 0 where the copy makes none. What is absent is no statement, so it contradicts nothing.
///
/// The first level is one statement: who shows one side and not the other says that the other is empty, as it is at a limit.
/// Only where neither side is there does it say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The last price.
    pub last: u32,
    /// Prices and sizes of the first level.
    pub book: u32,
}

impl View {
    /// One that says nothing.
    pub const NOTHING: Self = Self { last: 0, book: 0 };

    /// Whether one of the two must be wrong.
    #[must_use]
    pub const fn contradicts(self, other: Self) -> bool {
        differ(self.last, other.last) || differ(self.book, other.book)
    }

    /// Whether it makes every statement that `other` makes.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        (self.last != 0 || other.last == 0) && (self.book != 0 || other.book == 0)
    }

    /// How many statements it makes.
    pub(super) fn statements(self) -> usize {
        usize::from(self.last != 0) + usize::from(self.book != 0)
    }
}

const fn differ(a: u32, b: u32) -> bool {
    a != 0 && b != 0 && a != b
}
