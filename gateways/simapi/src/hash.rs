//! Seeded hashes: the only source of chance, so that every process sees the same market.

/// A well-mixed number for the `k`-th draw under `seed` (the finaliser of SplitMix64).
#[must_use]
pub const fn mix(seed: u64, k: u64) -> u64 {
    let mut z = seed.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of a text under `seed`.
#[must_use]
pub fn text(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(mix(seed, bytes.len() as u64), |h, b| mix(h, u64::from(*b)))
}

/// A hash as a number in `[0, 1)`.
#[must_use]
pub const fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// Value noise in `(-1, 1)`: hashed values at the multiples of `period`, straight lines between.
#[must_use]
pub fn noise(key: u64, at: i64, period: i64) -> f64 {
    let lattice = |j: i64| 2.0 * unit(mix(key, j.cast_unsigned())) - 1.0;
    let (j, rest) = (at.div_euclid(period), at.rem_euclid(period));
    let from = lattice(j);
    if rest == 0 { from } else { from + (lattice(j + 1) - from) * rest as f64 / period as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_even_and_depend_on_seed_and_draw() {
        let mean = (0..10_000).map(|k| unit(mix(7, k))).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
        assert_ne!(mix(1, 2), mix(2, 1));
        assert_ne!(text(1, b"rb2701"), text(1, b"rb2702"));
    }

    #[test]
    fn noise_is_bounded_and_has_no_jumps() {
        for at in -500..500 {
            let (a, b) = (noise(3, at, 10), noise(3, at + 1, 10));
            assert!(a.abs() < 1.0 && (a - b).abs() <= 0.2, "{at}: {a} {b}");
        }
    }
}
