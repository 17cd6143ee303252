//! Random numbers that follow from one that is used for nothing else.

use std::convert::Infallible;

use p256::SecretKey;
use rsa::rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

/// Numbers that nobody can guess who does not know the first: digests of it and of a count.
#[derive(Clone)]
pub(crate) struct Once {
    first: [u8; 32],
    count: u64,
}

impl Once {
    pub(crate) fn new(once: &SecretKey) -> Self {
        Self { first: once.to_bytes().into(), count: 0 }
    }

    pub(crate) fn next(&mut self) -> [u8; 32] {
        self.count += 1;
        let hash = Sha256::new().chain_update(b"once").chain_update(self.first);
        hash.chain_update(self.count.to_be_bytes()).finalize().into()
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        let next = self.next();
        core::array::from_fn(|at| next[at])
    }
}

impl TryRng for Once {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.number()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.number()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(32) {
            part.copy_from_slice(&self.next()[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Once {}
