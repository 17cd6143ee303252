//! The one waker: it notes that the tasks have to be polled again.
#![allow(unsafe_code, reason = "without an allocation a waker is made of a table of functions")]

use core::{
    ptr,
    sync::atomic::Ordering,
    task::{RawWaker, RawWakerVTable, Waker},
};

use super::AGAIN;

static FUNCTIONS: RawWakerVTable = RawWakerVTable::new(|_| raw(), |_| wake(), |_| wake(), |_| ());

/// Makes the waker.
pub(super) fn new() -> Waker {
    // SAFETY: the functions keep a waker's contract whatever the data pointer is: none of them looks at it,
    // there is nothing to release, and the flag that they set may be set from anywhere.
    unsafe { Waker::from_raw(raw()) }
}

const fn raw() -> RawWaker {
    RawWaker::new(ptr::null(), &FUNCTIONS)
}

fn wake() {
    AGAIN.store(true, Ordering::Relaxed);
}
