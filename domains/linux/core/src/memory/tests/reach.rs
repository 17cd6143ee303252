//! How the shim reads and writes at the guest kernel's addresses.

use super::model::{A, D, Guest, HIGH, NX, P, SHARED, SHARED_FRAME, U, W};
use crate::machine::Memory;
use crate::memory::{Entry, Unreachable, code};

#[test]
fn values_lie_across_pages() {
    let mut guest = Guest::new();
    let frames: [u32; 3] = core::array::from_fn(|page| guest.map(1, HIGH + page as u64 * 0x1000, P | W));
    let bytes: [u8; 0x1010] = core::array::from_fn(|at| at as u8 ^ 0x5a);
    guest.paging.write_virtual(&mut guest.model, HIGH + 0xff8, &bytes).unwrap();
    let (paging, model) = (&guest.paging, &mut guest.model);
    let mut back = [0; 0x1010];
    paging.read_virtual(model, HIGH + 0xff8, &mut back).unwrap();
    assert_eq!(back, bytes);
    for (frame, at, range) in [(0, 0xff8, 0..8), (1, 0, 8..0x1008), (2, 0, 0x1008..0x1010)] {
        let physical = u64::from(frames[frame]) * 0x1000 + at;
        assert_eq!(model.ram.bytes(physical, range.len()).unwrap(), &bytes[range]);
    }
    assert_eq!(guest.entry(1, HIGH).0 & (A | D), A | D, "marked as by the guest itself");
    guest.paging.write_value(&mut guest.model, HIGH + 0xffc, &0x1122_3344_5566_7788_u64).unwrap();
    assert_eq!(guest.paging.read_value(&mut guest.model, HIGH + 0xffc), Ok(0x1122_3344_5566_7788_u64));
}

#[test]
fn a_write_is_whole_or_not_at_all() {
    for second in [Entry(0), Entry::new(30, P), Entry::new(1 << 30, P | W)] {
        let mut guest = Guest::new();
        let first = guest.map(1, HIGH, P | W);
        guest.set(1, HIGH + 0x1000, second);
        let address = HIGH + 0x1000;
        let code = match second.0 & (P | W) {
            0 => code::WRITE,
            P => code::WRITE | code::PRESENT,
            _ => code::WRITE | code::PRESENT | code::RESERVED,
        };
        let refused = guest.paging.write_virtual(&mut guest.model, HIGH + 0xff8, &[7; 16]);
        assert_eq!(refused, Err(Unreachable { address, code }), "{second:?}");
        assert_eq!(guest.model.load(u64::from(first) * 0x1000 + 0xff8), Some(0));
    }
}

#[test]
fn what_the_guest_cannot_reach_the_shim_does_not_reach_for_it() {
    let mut guest = Guest::new();
    guest.set(1, HIGH, Entry::new(1 << 30, P));
    guest.set(1, HIGH + 0x1000, Entry::new(SHARED_FRAME + SHARED as u64 - 1, P | W));
    guest.set(1, HIGH + 0x2000, Entry::new(SHARED_FRAME + SHARED as u64, P | W));
    let mut read = |address| guest.paging.read_value::<u64>(&mut guest.model, address);
    assert_eq!(read(HIGH), Err(Unreachable { address: HIGH, code: code::PRESENT | code::RESERVED }));
    assert_eq!(read(HIGH + 0x1ff8), Ok(0), "what is shared is the guest's");
    assert!(read(HIGH + 0x1ffc).is_err());
    assert!(read(HIGH + 0x2000).is_err());
    assert_eq!(read(u64::MAX - 3).map_err(|refused| refused.code), Err(0), "around the end");
    assert_eq!(read(1 << 47), Err(Unreachable { address: 1 << 47, code: 0 }));
    assert!(guest.paging.read_virtual(&mut guest.model, 0, &mut []).is_ok());
}

/// The kernel's root counts, whatever runs.
#[test]
fn arguments_are_the_kernels() {
    let mut guest = Guest::new();
    guest.map(1, HIGH, P | W);
    let root = guest.user_root(1);
    guest
        .paging
        .mmuext(&mut guest.model, cloison_xen::memory::mmuext::NEW_USER_BASEPTR, root.into(), 0)
        .unwrap();
    guest.paging.enter_user(&mut guest.model).unwrap();
    assert!(guest.paging.write_value(&mut guest.model, HIGH, &1_u64).is_ok());
}

#[test]
fn instructions_end_where_nothing_can_be_executed() {
    let mut guest = Guest::new();
    let frame = guest.map(1, HIGH, P | U);
    let bytes: [u8; 15] = core::array::from_fn(|at| at as u8 + 1);
    guest.model.write(u64::from(frame) * 0x1000 + 0xff1, &bytes).unwrap();
    let fetch = |guest: &mut Guest, at| guest.paging.fetch(&mut guest.model, HIGH + at).bytes().len();
    assert_eq!(fetch(&mut guest, 0xff1), 15);
    assert_eq!(guest.paging.fetch(&mut guest.model, HIGH + 0xff1).bytes(), bytes);
    for bits in [0, P | NX] {
        guest.set(1, HIGH + 0x1000, Entry::new(20, bits));
        assert_eq!(fetch(&mut guest, 0xffd), 3);
        assert_eq!(fetch(&mut guest, 0x1000), 0);
    }
    guest.set(1, HIGH + 0x1000, Entry::new(20, P));
    assert_eq!(fetch(&mut guest, 0xffd), 15);
}
