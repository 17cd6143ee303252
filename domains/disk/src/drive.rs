//! The disk, as the service sees it.

use cloison_drivers::{
    registers::Registers,
    virtio::block::{Disk, Operation},
};

/// A disk that carries out several requests at a time, each with its data in a place of its own. A test can imitate it.
pub trait Drive {
    /// Whether it takes a flush. One that does not has written what it says it has written.
    fn has_flush(&self) -> bool;

    /// A place for a request, if there is one.
    fn free_place(&self) -> Option<usize>;

    /// Copies bytes into a free place. False if they do not fit.
    fn fill(&self, place: usize, at: usize, bytes: &[u8]) -> bool;

    /// Copies out what was read into a place. False if there is not so much.
    fn read(&self, place: usize, at: usize, to: &mut [u8]) -> bool;

    /// Begins a request in a free place. False if that cannot be.
    fn begin(&mut self, place: usize, operation: Operation, sector: u64, bytes: usize) -> bool;

    /// Shows the disk what has begun.
    fn publish(&mut self);

    /// A request that has ended: its place, and whether it was carried out.
    fn next_done(&mut self) -> Option<(usize, bool)>;

    /// Lets go of the place of a request that has ended.
    fn release(&mut self, place: usize);

    /// Asks for an interrupt when a request ends. False if one has.
    fn prepare_wait(&mut self) -> bool;
}

impl<R: Registers> Drive for Disk<R> {
    fn has_flush(&self) -> bool {
        self.has_flush()
    }

    fn free_place(&self) -> Option<usize> {
        self.free_place()
    }

    fn fill(&self, place: usize, at: usize, bytes: &[u8]) -> bool {
        self.fill(place, at, bytes)
    }

    fn read(&self, place: usize, at: usize, to: &mut [u8]) -> bool {
        self.read(place, at, to)
    }

    fn begin(&mut self, place: usize, operation: Operation, sector: u64, bytes: usize) -> bool {
        self.begin(place, operation, sector, bytes)
    }

    fn publish(&mut self) {
        self.publish();
    }

    fn next_done(&mut self) -> Option<(usize, bool)> {
        self.next_done()
    }

    fn release(&mut self, place: usize) {
        self.release(place);
    }

    fn prepare_wait(&mut self) -> bool {
        self.prepare_wait()
    }
}
