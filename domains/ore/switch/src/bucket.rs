//! A token bucket: a rate that may be exceeded for a moment.

/// What a port may still send. All amounts are bytes times the clock's frequency, so that nothing is divided:
/// each tick adds the rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Bytes a second; 0: no limit.
    rate: u64,
    /// Ticks a second.
    hertz: u64,
    /// Most that it holds.
    depth: u64,
    level: u64,
    /// When the level was right.
    as_of: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate_bytes: u64, burst_bytes: u64, hertz: u64) -> Self {
        let depth = burst_bytes.saturating_mul(hertz);
        Self { rate: rate_bytes, hertz, depth, level: depth, as_of: 0 }
    }

    /// Takes out a frame of `bytes` bytes, if there is so much. A frame longer than the bucket is deep needs a
    /// full one.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize, now: u64) -> bool {
        self.rate == 0 || self.take_limited(bytes, now)
    }

    fn take_limited(&mut self, bytes: usize, now: u64) -> bool {
        let gained = now.saturating_sub(self.as_of).saturating_mul(self.rate);
        self.level = self.level.saturating_add(gained).min(self.depth);
        self.as_of = self.as_of.max(now);
        let cost = (bytes as u64).saturating_mul(self.hertz).min(self.depth);
        let enough = cost <= self.level;
        if enough {
            self.level -= cost;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::new(1000, 300, 1_000_000);
        let sent = (0..10).filter(|_| bucket.take(100, 0)).count();
        assert_eq!(sent, 3, "the burst");
        let sent = (0..1_000_000).filter(|now| bucket.take(100, *now)).count();
        assert_eq!(sent, 9, "1000 bytes a second, 100 at a time, the last one at the end");
        assert!(!bucket.take(100, 500_000), "time that goes back gives nothing");
    }

    #[test]
    fn a_frame_longer_than_the_burst_passes_after_a_rest() {
        let mut bucket = Bucket::new(1000, 100, 1_000_000);
        assert!(bucket.take(1500, 0));
        assert!(!bucket.take(1500, 50_000));
        assert!(bucket.take(1500, 150_000));
    }

    #[test]
    fn no_rate_is_no_limit_and_no_number_overflows() {
        assert!((0..100).all(|_| Bucket::new(0, 0, 1_000_000).take(usize::MAX, 0)));
        let mut bucket = Bucket::new(u64::MAX, u64::MAX, u64::MAX);
        assert!(bucket.take(usize::MAX, u64::MAX) && bucket.take(1, u64::MAX) == bucket.take(1, u64::MAX));
    }
}
