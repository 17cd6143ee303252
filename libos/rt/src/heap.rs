//! The heap: memory that the plan set aside for this domain, and no more.
#![allow(unsafe_code, reason = "the plan's heap becomes the allocator's memory")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::{self, NonNull},
};

use cloison_sys::info::Info;
use linked_list_allocator::Heap;

/// An allocator for a program with one thread: no lock, because there is nobody to lock out.
struct DomainHeap(UnsafeCell<Heap>);

// SAFETY: a domain has one thread and no signal handlers, so two accesses never overlap.
unsafe impl Sync for DomainHeap {}

#[cfg_attr(cloison_target, global_allocator)]
static HEAP: DomainHeap = DomainHeap(UnsafeCell::new(Heap::empty()));

/// Bytes of the heap that nobody has now. Not all of them can be had in one piece.
#[must_use]
pub fn free() -> usize {
    // SAFETY: one thread, and `Heap` calls nothing that comes back here.
    unsafe { (*HEAP.0.get()).free() }
}

/// Hands the plan's heap to the allocator. Called once, before main.
pub(crate) fn init(info: Info) {
    let (address, bytes) = info.heap();
    if bytes == 0 {
        return;
    }
    // SAFETY: the plan maps this range, readable and writable, for nothing but the heap and for as long as
    // the domain lives; this runs once, before anything allocates.
    unsafe { (*HEAP.0.get()).init(address as *mut u8, bytes as usize) };
}

// SAFETY: `Heap` hands out blocks of its own range that do not overlap, and is used by one thread only.
unsafe impl GlobalAlloc for DomainHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and `Heap` calls nothing that allocates.
        let heap = unsafe { &mut *self.0.get() };
        heap.allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        // SAFETY: one thread; the caller vouches that `block` came from `alloc` with this layout.
        unsafe { (*self.0.get()).deallocate(block, layout) }
    }
}
