//! Memory of the domain's heap, which may have no more of it.

use alloc::vec::Vec;

use crate::Error;

/// Zeroed memory, if the heap has it.
pub(crate) fn zeroed(bytes: usize) -> Result<Vec<u8>, Error> {
    filled(bytes, 0)
}

/// Memory of `count` values, if the heap has it.
pub(crate) fn filled<T: Clone>(count: usize, value: T) -> Result<Vec<T>, Error> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(count).map_err(|_| Error::OutOfHeap)?;
    memory.resize(count, value);
    Ok(memory)
}
