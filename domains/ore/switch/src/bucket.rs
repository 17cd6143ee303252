//! A token bucket: a rate that may be exceeded for a moment.

/// Bits behind the point of a price.
const FRACTION_BITS: u32 = 20;

/// What may still be used of something, kept as the time at which what was used is paid for: each unit adds to
/// it what a unit takes at the rate. So nothing is divided, and nothing has to be filled up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Ticks that each unit takes, with a fraction; 0: no limit.
    price: u64,
    /// How many ticks ahead of the time it may be.
    burst: u64,
    /// When all that was used is paid for.
    paid_at: u64,
    /// The fraction of a tick that is to be added.
    fraction: u64,
}

impl Bucket {
    /// A full bucket, for one unit each `ticks / units` ticks, and `burst` units at once.
    pub(crate) fn new((units, ticks): (u64, u64), burst: u64) -> Self {
        let price = (u128::from(ticks) << FRACTION_BITS).checked_div(units.into()).unwrap_or(0);
        let burst = (price * u128::from(burst)) >> FRACTION_BITS;
        let [price, burst] = [price, burst].map(|ticks| u64::try_from(ticks).unwrap_or(u64::MAX));
        Self { price, burst, paid_at: 0, fraction: 0 }
    }

    /// Uses this many units, whether they are there or not. Returns from when on more may be used; if that is
    /// past, at once.
    #[inline]
    pub(crate) fn take(&mut self, units: u64, now: u64) -> u64 {
        if self.price == 0 {
            return 0;
        }
        let cost = units.saturating_mul(self.price).saturating_add(self.fraction);
        self.fraction = cost & ((1 << FRACTION_BITS) - 1);
        self.paid_at = self.paid_at.max(now).saturating_add(cost >> FRACTION_BITS);
        self.paid_at.saturating_sub(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand bytes a second, of a million ticks.
    fn bucket(burst: u64) -> Bucket {
        Bucket::new((1000, 1_000_000), burst)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (mut bucket, mut now, mut count) = (bucket(300), 5_000_000, 0);
        assert!((0..3).all(|_| bucket.take(100, now) <= now), "the burst");
        assert_eq!(bucket.take(100, now), now + 100_000, "one more has to be paid for");
        while now < 6_000_000 {
            now = bucket.take(100, now).max(now);
            count += 1;
        }
        assert_eq!(count, 9);
    }

    #[test]
    fn in_the_long_run_the_rate_holds_for_any_length() {
        let mut bucket = bucket(100);
        assert_eq!(
            [0, 1_400_000, 2_900_000].map(|now| bucket.take(1500, now)),
            [1_400_000, 2_900_000, 4_400_000]
        );
        // At a rate of which a unit takes less than a tick.
        let mut bucket = Bucket::new((125_000_000_000, 3_000_000_000), 0);
        let end = (0..1_000_000).fold(0, |now, _| bucket.take(1000, now));
        assert!((23_990_000..=24_010_000).contains(&end), "{end} ticks for a thousand million bytes");
    }

    #[test]
    fn time_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::new((1, 1), 100);
        assert_eq!(bucket.take(100, 1000), 1000);
        assert_eq!([500, 1000].map(|now| bucket.take(50, now)), [1050, 1100]);
    }

    #[test]
    fn no_rate_is_no_limit_and_no_number_overflows() {
        assert!((0..100).all(|_| Bucket::new((0, 1_000_000), 0).take(u64::MAX, 7) <= 7));
        for (rate, burst) in [((u64::MAX, u64::MAX), u64::MAX), ((1, u64::MAX), 0), ((u64::MAX, 1), 1)] {
            let mut bucket = Bucket::new(rate, burst);
            assert!(bucket.take(u64::MAX, u64::MAX) <= bucket.take(u64::MAX, 0));
        }
    }
}
