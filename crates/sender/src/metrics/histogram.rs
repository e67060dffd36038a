//! Counts by size, with a relative error of at most 1/16.

/// Half-octave resolution is too coarse for a p99; sixteen steps per doubling cost 8 KiB.
const STEPS: usize = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// How often which value was seen. Values are rounded up by at most a sixteenth.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Grown to what is needed; by doubling and step within it.
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        let at = bucket(value);
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exactly.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean, exactly; 0 without values.
    #[must_use]
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// The value that `per_mille` of a thousand values do not exceed: 500 is the median, 999 the p99.9. 0 without values.
    #[must_use]
    pub fn quantile(&self, per_mille: u32) -> u64 {
        let per_mille = u64::from(per_mille.min(1000));
        let rank = (self.count.saturating_mul(per_mille)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (at, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return upper(at).min(self.max);
            }
        }
        self.max
    }
}

/// Values below `2 * STEPS` have a bucket each; above, each doubling has `STEPS`.
fn bucket(value: u64) -> usize {
    let log = value.max(1).ilog2();
    if log <= STEP_BITS {
        return usize::try_from(value).expect("below 32");
    }
    let shift = log - STEP_BITS;
    let step = usize::try_from(value >> shift).expect("below 32");
    shift as usize * STEPS + step
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < 2 * STEPS {
        return bucket as u64;
    }
    let shift = bucket / STEPS - 1;
    let step = (bucket % STEPS + STEPS) as u64;
    // Wraps at the very top only, where all bits set is right.
    ((step + 1) << shift).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_at_or_below_its_buckets_bound_and_near_it() {
        for value in (0..64).chain((6..64).flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1])).chain([u64::MAX])
        {
            let bound = upper(bucket(value));
            assert!(bound >= value, "{value} above {bound}");
            assert!(bound - value <= value / 16, "{value} far from {bound}");
            assert!(bucket(value) == 0 || upper(bucket(value) - 1) < value, "{value} belongs lower");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(990), histogram.mean()), (0, 0));
        for value in 1..=1000 {
            histogram.record(value);
        }
        assert_eq!((histogram.count(), histogram.max(), histogram.mean()), (1000, 1000, 500));
        assert!((500..=532).contains(&histogram.quantile(500)), "{}", histogram.quantile(500));
        assert!((990..=1000).contains(&histogram.quantile(990)));
        assert_eq!(histogram.quantile(1000), 1000);
    }
}
