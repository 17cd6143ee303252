//! What a thread that is held goes on with, in parts of four words, as [`DomainCapture`](crate::CallNumber::DomainCapture)
//! tells it and [`DomainRestore`](crate::CallNumber::DomainRestore) takes it.
//!
//! | part | words |
//! |---|---|
//! | 0 to 3 | `rax`, `rcx`, `rdx`, `rbx`; `rsp`, `rbp`, `rsi`, `rdi`; `r8` to `r11`; `r12` to `r15` |
//! | [`CAPTURE_LAST`] | `rip`; flags; [`CAPTURE_INTERRUPTED`] and [`CAPTURE_RECEIVES`] or [`CAPTURE_WAITS`]; events that have arrived |
//! | from [`CAPTURE_VECTORS`] on, below [`CAPTURE_PARTS`] | vector and floating point registers, as XSAVE writes them |

/// The part that is restored last: with it, the thread goes on.
pub const CAPTURE_LAST: u64 = 4;
/// The first part of the vector registers.
pub const CAPTURE_VECTORS: u64 = 6;
/// The end of the parts.
pub const CAPTURE_PARTS: u64 = 32;

/// It was interrupted: its vector registers are those that were captured. Else it makes a call, and they are as after each.
pub const CAPTURE_INTERRUPTED: u64 = 1 << 0;
/// It has made a call and waits for messages. What it waits for is in its registers: it does so again when it makes that call
/// again.
pub const CAPTURE_RECEIVES: u64 = 1 << 1;
/// The same, for events.
pub const CAPTURE_WAITS: u64 = 1 << 2;

/// The parts that there are, in the order in which they are restored.
pub fn capture_parts() -> impl Iterator<Item = u64> {
    (0..CAPTURE_LAST).chain(CAPTURE_VECTORS..CAPTURE_PARTS).chain([CAPTURE_LAST])
}

#[cfg(test)]
mod tests {
    extern crate std;

    #[test]
    fn each_part_comes_once_and_what_lets_it_go_on_comes_last() {
        let parts: std::vec::Vec<u64> = super::capture_parts().collect();
        assert_eq!((parts.len(), parts.last()), (31, Some(&super::CAPTURE_LAST)));
        assert!((0..5).chain(6..32).all(|part| parts.contains(&part)));
    }
}
