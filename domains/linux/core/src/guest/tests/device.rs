//! Instructions that reach for a register of a device.

use cloison_abi::limits::PAGE_BYTES;
use cloison_tpm::TPM_ADDRESS;
use iced_x86::{Decoder, DecoderOptions, Mnemonic, OpKind};
use proptest::prelude::*;

use super::{GO, HANDLER};
use crate::boot::Start;
use crate::machine::Memory;
use crate::memory::code;
use crate::testing::fixture::{CODE, HOLE, ROOT, STACK, USER_ROOT};
use crate::testing::{FakeTpm, Fixture, address};

/// Where the guest's kernel sees the first page of registers.
const AT: u64 = address(HOLE);
/// Entries of the guest's last table: present, accessed, dirty; may be written; is open to programs.
const READABLE: u64 = 0x61;
const WRITABLE: u64 = 2;
const OPEN: u64 = 4;

impl Fixture {
    /// A kernel that has mapped a locality of the TPM.
    fn with_tpm(locality: u64, rights: u64) -> Self {
        let mut fixture = Self::kernel();
        fixture.host.tpm = Some(FakeTpm::default());
        let entry = (TPM_ADDRESS + locality * 0x1000) | READABLE | rights;
        fixture.host.store(4 * 0x1000 + HOLE * 8, entry).unwrap();
        fixture
    }

    /// Lets the guest come out with a page fault at an instruction; whether it was carried out.
    fn reach(&mut self, bytes: &[u8], at: u64, code: u64) -> bool {
        self.code(bytes);
        assert_eq!(self.trap(14, code | code::USER, at), GO);
        let is_done = self.registers.rip == address(CODE) + bytes.len() as u64;
        assert!(is_done || self.registers.rip == HANDLER + 14 * 16, "{bytes:x?}");
        is_done
    }
}

#[test]
fn registers_are_read_with_each_width() {
    for (bytes, after) in [
        // mov (%rbx),%al; %ch; %r9b; %ax; %eax; %rax
        (&[0x8a, 0x03][..], [0x1234_5678_9abc_de14, 0x55, 0x99]),
        (&[0x8a, 0x2b], [0x1234_5678_9abc_def0, 0x1455, 0x99]),
        (&[0x44, 0x8a, 0x0b], [0x1234_5678_9abc_def0, 0x55, 0x14]),
        (&[0x66, 0x8b, 0x03], [0x1234_5678_9abc_1014, 0x55, 0x99]),
        (&[0x8b, 0x03], [0x0001_1014, 0x55, 0x99]),
        (&[0x48, 0x8b, 0x03], [0x0000_0001_0001_1014, 0x55, 0x99]),
        // mov 0xf00(%rdi),%eax; mov 0xf00(%rdi,%rdx,2),%r9d
        (&[0x8b, 0x87, 0, 0x0f, 0, 0], [0x0001_1014, 0x55, 0x99]),
        (&[0x44, 0x8b, 0x8c, 0x57, 0, 0x0f, 0, 0], [0x1234_5678_9abc_def0, 0x55, 0x0001_1014]),
    ] {
        let mut fixture = Fixture::with_tpm(0, WRITABLE);
        let r = &mut fixture.registers;
        (r.rax, r.rcx, r.r9) = (0x1234_5678_9abc_def0, 0x55, 0x99);
        (r.rbx, r.rdi, r.rdx) = (AT + 0xf00, AT, 0);
        assert!(fixture.reach(bytes, AT + 0xf00, 0), "{bytes:x?}");
        let r = fixture.registers;
        assert_eq!([r.rax, r.rcx, r.r9], after, "{bytes:x?}");
    }
}

#[test]
fn a_command_goes_through_the_guests_instructions() {
    let mut fixture = Fixture::with_tpm(0, WRITABLE);
    let write = |fixture: &mut Fixture, offset: u64, value: u64| {
        (fixture.registers.rdi, fixture.registers.rsi) = (AT + offset, value);
        // mov %sil,(%rdi)
        assert!(fixture.reach(&[0x40, 0x88, 0x37], AT + offset, code::WRITE));
    };
    write(&mut fixture, 0, 0x02);
    write(&mut fixture, 0x18, 0x40);
    let command = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7e, 5, 6];
    command.iter().for_each(|byte| write(&mut fixture, 0x24, u64::from(*byte) | 0xabcd_ef00));
    write(&mut fixture, 0x18, 0x20);
    fixture.registers.rdi = AT + 0x18;
    // mov (%rdi),%eax
    assert!(fixture.reach(&[0x8b, 0x07], AT + 0x18, 0));
    assert_eq!(fixture.registers.rax, 0x0c90, "the response is there");
    let response: std::vec::Vec<u8> = (0..12)
        .map(|_| {
            fixture.registers.rdi = AT + 0x24;
            assert!(fixture.reach(&[0x8a, 0x07], AT + 0x24, 0));
            fixture.registers.rax as u8
        })
        .collect();
    assert_eq!(response, command);
    assert_eq!(fixture.host.tpm.unwrap().commands, [command.to_vec()]);
}

#[test]
fn a_guest_that_begins_again_leaves_no_command_behind() {
    let mut fixture = Fixture::with_tpm(0, WRITABLE);
    fixture.host.tpm = Some(FakeTpm { delay: 1, ..FakeTpm::default() });
    let mut write = |offset: u64, value: u64| {
        (fixture.registers.rdi, fixture.registers.rsi) = (AT + offset, value);
        assert!(fixture.reach(&[0x40, 0x88, 0x37], AT + offset, code::WRITE));
    };
    write(0, 0x02);
    write(0x18, 0x40);
    [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0x7e].into_iter().for_each(|byte| write(0x24, byte));
    write(0x18, 0x20);
    let start = Start { registers: fixture.registers, root: 1, console: 6, store: 7 };
    fixture.guest.start(&mut fixture.host, &start).unwrap();
    assert_eq!(fixture.host.tpm.as_ref().unwrap().cancels, 1);
    fixture.registers.rdi = AT;
    assert!(fixture.reach(&[0x8a, 0x07], AT, 0));
    assert_eq!(fixture.registers.rax as u8, 0x81, "the locality is free");
}

#[test]
fn a_write_of_four_bytes_is_four() {
    let mut fixture = Fixture::with_tpm(0, WRITABLE);
    (fixture.registers.rdi, fixture.registers.rsi) = (AT, 0xffff_ff02);
    // mov %esi,(%rdi); mov (%rdi),%al
    assert!(fixture.reach(&[0x89, 0x37], AT, code::WRITE));
    assert!(fixture.reach(&[0x8a, 0x07], AT, 0));
    assert_eq!(fixture.registers.rax as u8, 0xa1);
}

#[test]
fn what_is_no_move_is_the_kernels_affair() {
    let unknown: &[(&[u8], u64)] = &[
        // add %al,(%rdi); or; xchg; movzbl; movb $1; test; rep movsb; stosb
        (&[0x00, 0x07], code::WRITE),
        (&[0x08, 0x07], code::WRITE),
        (&[0x86, 0x07], code::WRITE),
        (&[0x0f, 0xb6, 0x07], 0),
        (&[0xc6, 0x07, 1], code::WRITE),
        (&[0x84, 0x07], 0),
        (&[0xf3, 0xa4], 0),
        (&[0xaa], code::WRITE),
        // A move from elsewhere, one in the other direction than what has failed, one between registers.
        (&[0x8a, 0x47, 1], 0),
        (&[0x8a, 0x07], code::WRITE),
        (&[0x88, 0x07], 0),
        (&[0x8a, 0xc7], 0),
    ];
    for (bytes, code) in unknown {
        let mut fixture = Fixture::with_tpm(0, WRITABLE);
        fixture.registers.rdi = AT;
        assert!(!fixture.reach(bytes, AT, *code), "{bytes:x?}");
        assert_eq!(fixture.read::<u64>(fixture.registers.rsp + 16), code | code::PRESENT | code::RESERVED);
    }
}

#[test]
fn a_move_that_leaves_the_page_is_the_kernels_affair() {
    for (bytes, at) in
        [(&[0x8b, 0x07][..], 0xffd), (&[0x48, 0x8b, 0x07], 0xff9), (&[0x66, 0x89, 0x07], 0xfff)]
    {
        let code = if bytes.contains(&0x89) { code::WRITE } else { 0 };
        let mut fixture = Fixture::with_tpm(0, WRITABLE);
        fixture.registers.rdi = AT + at;
        assert!(!fixture.reach(bytes, AT + at, code), "{at:#x}");
        fixture.registers.rdi = AT + at - 1;
        assert!(fixture.reach(bytes, AT + at - 1, code), "{at:#x}");
    }
}

#[test]
fn each_locality_has_its_page_and_there_are_no_more() {
    for (page, vendor) in [(0, 0x0001_1014), (1, 0xffff_ffff), (4, 0xffff_ffff)] {
        let mut fixture = Fixture::with_tpm(page, WRITABLE);
        fixture.registers.rdi = AT + 0xf00;
        assert!(fixture.reach(&[0x8b, 0x07], AT + 0xf00, 0), "{page}");
        assert_eq!(fixture.registers.rax, vendor, "{page}");
    }
    for page in [5, 0x100] {
        let mut fixture = Fixture::with_tpm(page, WRITABLE);
        fixture.registers.rdi = AT;
        assert!(!fixture.reach(&[0x8b, 0x07], AT, 0), "{page}");
    }
}

#[test]
fn what_the_guests_tables_forbid_is_not_done() {
    let mut fixture = Fixture::with_tpm(0, 0);
    (fixture.registers.rdi, fixture.registers.rax) = (AT, 2);
    assert!(!fixture.reach(&[0x88, 0x07], AT, code::WRITE), "to write to what is read only");
    let mut fixture = Fixture::with_tpm(0, WRITABLE | OPEN);
    // Its tables show the page too, or it would be stopped before anything asks for its rights.
    let slot = (AT >> 39 & 511) * 8;
    let link = fixture.host.load(ROOT * PAGE_BYTES + slot).unwrap();
    fixture.host.store(USER_ROOT * PAGE_BYTES + slot, link).unwrap();
    fixture.enter_user();
    fixture.registers.rdi = AT;
    assert!(!fixture.reach(&[0x8a, 0x07], AT, 0), "a program");
    assert!(fixture.host.tpm.unwrap().commands.is_empty());
}

#[test]
fn a_guest_without_a_tpm_reads_ones() {
    let mut fixture = Fixture::with_tpm(0, WRITABLE);
    fixture.host.tpm = None;
    (fixture.registers.rdi, fixture.registers.rax) = (AT, 2);
    assert!(fixture.reach(&[0x88, 0x07], AT, code::WRITE));
    assert!(fixture.reach(&[0x8b, 0x07], AT, 0));
    assert_eq!(fixture.registers.rax, 0xffff_ffff);
}

proptest! {
    /// Whatever is carried out is what another decoder takes it for: a move between a register and memory, as long.
    #[test]
    fn another_decoder_takes_it_for_a_move(
        prefixes in prop::collection::vec(prop_oneof![
            Just(0x66), Just(0x67), Just(0xf2), Just(0xf3), Just(0x2e), Just(0x65), 0x40_u8..0x50,
        ], 0..4),
        opcode in prop_oneof![0x88_u8..0x8c, any::<u8>()],
        base in prop_oneof![Just(0x07_u8), any::<u8>()],
        rest in any::<[u8; 8]>(),
        is_store in any::<bool>(),
    ) {
        let bytes = [&prefixes[..], &[opcode, base], &rest].concat();
        let mut fixture = Fixture::with_tpm(0, WRITABLE);
        let words: &mut [u64; 22] = zerocopy::transmute_mut!(&mut fixture.registers);
        words[..16].fill(AT);
        (fixture.registers.rsp, fixture.registers.gs_base) = (address(STACK + 2), 0);
        fixture.code(&bytes);
        fixture.trap(14, code::USER | if is_store { code::WRITE } else { 0 }, AT);
        let length = fixture.registers.rip.wrapping_sub(address(CODE)) as usize;
        if length <= 15 {
            let other = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
            prop_assert_eq!(length, other.len(), "{:x?} is {:?}", bytes, other.mnemonic());
            prop_assert_eq!(other.mnemonic(), Mnemonic::Mov, "{:x?}", bytes);
            let memory = if is_store { 0 } else { 1 };
            prop_assert_eq!(other.op_kind(memory), OpKind::Memory, "{:x?}", bytes);
            prop_assert_eq!(other.op_kind(1 - memory), OpKind::Register, "{:x?}", bytes);
        }
    }
}
