//! What the engine knows of a source.

use std::sync::Arc;

use mdhub_spec::account::AccountId;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::{SourceSlot, SourceVitals};
use mdhub_spec::settings::Clock;

use crate::encode::SourceFields;
use crate::normalise::DateCache;

/// What the engine needs to know of a source, and what it keeps for it. One for each incarnation.
#[derive(Debug)]
pub struct Source {
    pub(super) slot: SourceSlot,
    pub(super) dialect: Dialect,
    pub(super) is_low_precision: bool,
    pub(super) clock: Clock,
    pub(super) dates: DateCache,
    pub(super) vitals: Arc<SourceVitals>,
    fields: SourceFields,
}

impl Source {
    /// The source in this place of the route table, which counts in `vitals`. Its ticks are live, unless the settings say
    /// that no source's are.
    #[must_use]
    pub fn new(account: &AccountId, slot: SourceSlot, dialect: Dialect, vitals: Arc<SourceVitals>) -> Self {
        let fields = SourceFields::new(account, dialect);
        Self { slot, dialect, is_low_precision: false, clock: Clock::Live, dates: DateCache::default(), vitals, fields }
    }

    /// With ticks that another program has converted: they are flagged, and dated by their `ActionDay` alone.
    #[must_use]
    pub const fn with_low_precision(mut self, is_low_precision: bool) -> Self {
        self.is_low_precision = is_low_precision;
        self
    }

    /// With ticks that have this to do with the hub's clock.
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What was looked up in a calendar that is no longer in force.
    pub fn forget_dates(&mut self) {
        self.dates = DateCache::default();
    }

    pub(super) const fn fields(&self) -> &SourceFields {
        &self.fields
    }
}
