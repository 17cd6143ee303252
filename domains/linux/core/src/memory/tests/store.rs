//! Stores to one word: decoded as by another decoder, carried out as the manual says.

use cloison_abi::guest::GuestRegisters;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register as Name};
use proptest::prelude::*;
use std::vec::Vec;
use std::{panic, vec};
use zerocopy::transmute;

use crate::memory::{Operation, Store};

/// Registers that all differ, at an address that matters to what lies relative to it.
fn registers() -> GuestRegisters {
    let mut words: [u64; 22] = core::array::from_fn(|number| 0x1111_1111_1111_1111 * (number as u64 % 7 + 1));
    words[16] = 0xffff_ffff_8100_0000;
    words[17] = 0x202;
    words[18] = 0x7f00_0000_0000;
    words[19] = 0xffff_8880_0000_0000;
    transmute!(words)
}

/// The forms that Linux uses, as its compiler and its sources write them.
#[test]
fn the_forms_that_linux_uses_are_known() {
    let r = registers();
    let (rip, word) = (r.rip, |at: u64| at);
    let cases: &[(&[u8], u64, u8, Option<Operation>)] = &[
        // xchg %rax,(%rdi)
        (&[0x48, 0x87, 0x07], word(r.rdi), 8, None),
        // xchg %r15,0x10(%rsp,%rcx,8)
        (&[0x4c, 0x87, 0x7c, 0xcc, 0x10], r.rsp.wrapping_add(r.rcx << 3).wrapping_add(16), 8, None),
        // lock andb $0xfd,(%rdi)
        (&[0xf0, 0x80, 0x27, 0xfd], r.rdi, 1, Some(Operation::And(0xffff_ffff_ffff_fffd))),
        // lock btrq $5,(%rbx); lock btsq $6,-8(%rbp)
        (&[0xf0, 0x48, 0x0f, 0xba, 0x33, 0x05], r.rbx, 8, Some(Operation::Reset(5))),
        (&[0xf0, 0x48, 0x0f, 0xba, 0x6d, 0xf8, 0x06], r.rbp.wrapping_sub(8), 8, Some(Operation::Set(6))),
        // lock cmpxchg %rdx,(%rdi)
        (&[0xf0, 0x48, 0x0f, 0xb1, 0x17], r.rdi, 8, Some(Operation::CompareExchange(r.rdx))),
        // mov %rax,(%rdx); movq $-1,(%rdi); mov %eax,4(%rdx)
        (&[0x48, 0x89, 0x02], r.rdx, 8, Some(Operation::Move(r.rax))),
        (&[0x48, 0xc7, 0x07, 0xff, 0xff, 0xff, 0xff], r.rdi, 8, Some(Operation::Move(u64::MAX))),
        (&[0x89, 0x42, 0x04], r.rdx + 4, 4, Some(Operation::Move(r.rax & 0xffff_ffff))),
        // movb $0x7f,%gs:(%rax); mov %ah,(%rdx); orb %sil,(%rdi)
        (&[0x65, 0xc6, 0x00, 0x7f], r.gs_base.wrapping_add(r.rax), 1, Some(Operation::Move(0x7f))),
        (&[0x88, 0x22], r.rdx, 1, Some(Operation::Move(r.rax >> 8 & 0xff))),
        (&[0x40, 0x08, 0x37], r.rdi, 1, Some(Operation::Or(r.rsi & 0xff))),
        // mov %rsi,0x1234(%rip): from the instruction's end
        (&[0x48, 0x89, 0x35, 0x34, 0x12, 0, 0], rip + 7 + 0x1234, 8, Some(Operation::Move(r.rsi))),
        // movl $1,0x10(%rip): the number is before the end
        (&[0xc7, 0x05, 0x10, 0, 0, 0, 1, 0, 0, 0], rip + 10 + 0x10, 4, Some(Operation::Move(1))),
        // and %r8,(%r9); andl $0x12345678,0(%r13); mov %rax,0x1000(,%rcx,4)
        (&[0x4d, 0x21, 0x01], r.r9, 8, Some(Operation::And(r.r8))),
        (&[0x41, 0x81, 0x65, 0, 0x78, 0x56, 0x34, 0x12], r.r13, 4, Some(Operation::And(0x1234_5678))),
        (&[0x48, 0x89, 0x04, 0x8d, 0, 0x10, 0, 0], (r.rcx << 2) + 0x1000, 8, Some(Operation::Move(r.rax))),
    ];
    for (bytes, address, size, operation) in cases {
        let store = Store::decode(bytes, &r).unwrap_or_else(|| panic!("{bytes:02x?}"));
        assert_eq!((store.address, store.size), (*address, *size), "{bytes:02x?}");
        assert_eq!(usize::from(store.length), bytes.len(), "{bytes:02x?}");
        assert!(operation.is_none_or(|operation| store.operation == operation), "{bytes:02x?}: {store:?}");
        assert_eq!(Store::decode(&bytes[..bytes.len() - 1], &r), None, "{bytes:02x?} without its last byte");
    }
}

/// A bit's number in a register leads away from the operand, backwards if it is negative.
#[test]
fn a_bit_is_looked_for_where_its_number_leads() {
    let btr = [0x48, 0x0f, 0xb3, 0x17];
    for (number, further, bit) in [(5, 0, 5), (64, 8, 0), (130, 16, 2), (-1, -8, 63), (-64, -8, 0)] {
        let mut r = registers();
        r.rdx = number as u64;
        let store = Store::decode(&btr, &r).unwrap();
        let address = r.rdi.wrapping_add_signed(further);
        assert_eq!((store.address, store.operation), (address, Operation::Reset(bit)), "{number}");
    }
}

const CARRY: u64 = 1;
const PARITY: u64 = 4;
const ADJUST: u64 = 0x10;
const ZERO: u64 = 0x40;
const SIGN: u64 = 0x80;
const OVERFLOW: u64 = 0x800;

/// Word before and after, accumulator after, flags after; all flags are set before.
#[test]
fn registers_and_flags_change_as_by_the_cpu() {
    let all = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;
    // Instruction, `rax`, `rdx`, word before, after; `rax` and flags after.
    let cases: &[(&[u8], [u64; 6])] = &[
        // xchg %rax,(%rdi); xchg %eax,(%rdi); xchg %al,(%rdi): flags stay
        (&[0x48, 0x87, 0x07], [0x1122, 0, 0xffff_0000_0000_0001, 0x1122, 0xffff_0000_0000_0001, all]),
        (&[0x87, 0x07], [u64::MAX, 0, 0x8000_0001, 0xffff_ffff, 0x8000_0001, all]),
        (&[0x86, 0x07], [0x1122, 0, 0x99, 0x22, 0x1199, all]),
        // xchg %ah,(%rdi)
        (&[0x86, 0x27], [0x1122, 0, 0x99, 0x11, 0x9922, all]),
        // andb $0xfd,(%rdi): carry and overflow go
        (&[0x80, 0x27, 0xfd], [0, 0, 0x67, 0x65, 0, PARITY | ADJUST]),
        (&[0x80, 0x27, 0xfd], [0, 0, 0x02, 0, 0, PARITY | ADJUST | ZERO]),
        // orq $-128,(%rdi)
        (&[0x48, 0x83, 0x0f, 0x80], [0, 0, 1, 0xffff_ffff_ffff_ff81, 0, PARITY | ADJUST | SIGN]),
        // btrq $5,(%rdi): the carry flag alone
        (&[0x48, 0x0f, 0xba, 0x37, 5], [0, 0, 0x20, 0, 0, all]),
        (&[0x48, 0x0f, 0xba, 0x37, 5], [0, 0, 0x40, 0x40, 0, all & !CARRY]),
        (&[0x48, 0x0f, 0xba, 0x2f, 6], [0, 0, 0, 0x40, 0, all & !CARRY]),
        // cmpxchg %rdx,(%rdi)
        (&[0x48, 0x0f, 0xb1, 0x17], [7, 9, 7, 9, 7, ZERO | PARITY]),
        (&[0x48, 0x0f, 0xb1, 0x17], [7, 9, 8, 8, 8, CARRY | PARITY | SIGN | ADJUST]),
        (&[0x48, 0x0f, 0xb1, 0x17], [1 << 63, 9, 1, 1, 1, OVERFLOW | PARITY | ADJUST]),
        // cmpxchg %edx,(%rdi); cmpxchg %dl,(%rdi)
        (&[0x0f, 0xb1, 0x17], [0xf_0000_0007, 9, 8, 8, 8, CARRY | PARITY | SIGN | ADJUST]),
        (&[0x0f, 0xb0, 0x17], [0x1107, 9, 8, 8, 0x1108, CARRY | PARITY | SIGN | ADJUST]),
    ];
    for (bytes, [rax, rdx, old, new, after, flags]) in cases {
        let mut r = GuestRegisters { rax: *rax, rdx: *rdx, rflags: all | 2, rip: 100, ..Default::default() };
        let store = Store::decode(bytes, &r).unwrap();
        // What is above the word does not matter.
        let above = if store.size == 8 { 0 } else { 0xabcd << 48 };
        assert_eq!(store.carry_out(old | above, &mut r), *new, "{bytes:02x?}");
        assert_eq!((r.rax, r.rflags, r.rip), (*after, flags | 2, 100 + bytes.len() as u64), "{bytes:02x?}");
    }
}

/// What the other decoder says of bytes, if it is a form that should be known.
fn expected(bytes: &[u8], r: &GuestRegisters) -> Option<(u64, u8, usize)> {
    let mut decoder = Decoder::with_ip(64, bytes, r.rip, DecoderOptions::NO_INVALID_CHECK);
    let instruction = decoder.decode();
    let known = matches!(
        instruction.mnemonic(),
        Mnemonic::Mov
            | Mnemonic::Xchg
            | Mnemonic::And
            | Mnemonic::Or
            | Mnemonic::Btr
            | Mnemonic::Bts
            | Mnemonic::Cmpxchg
    );
    let size = instruction.memory_size().size() as u8;
    let plain = matches!(size, 1 | 4 | 8) && is_64_bit(&instruction) && !is_left_out(bytes);
    if !known || instruction.op0_kind() != OpKind::Memory || !plain {
        return None;
    }
    let mut address = instruction.virtual_address(0, 0, |name, _, _| Some(value(r, name)))?;
    if instruction.op1_kind() == OpKind::Register
        && matches!(instruction.mnemonic(), Mnemonic::Btr | Mnemonic::Bts)
    {
        let number = value(r, instruction.op1_register());
        let signed = if size == 8 { number as i64 } else { i64::from(number as i32) };
        address = address.wrapping_add((signed.div_euclid(8 * i64::from(size)) * i64::from(size)) as u64);
    }
    Some((address, size, instruction.len()))
}

/// Whether the address is made of whole registers.
fn is_64_bit(instruction: &Instruction) -> bool {
    let registers = [instruction.memory_base(), instruction.memory_index()];
    registers.iter().all(|name| matches!(name.size(), 0 | 8))
}

/// Not known here: `mov` between the accumulator and an address in the instruction, segment registers, addresses of four
/// bytes.
fn is_left_out(bytes: &[u8]) -> bool {
    let is_prefix = |byte: &&u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    let prefixes = bytes.iter().take_while(is_prefix).count();
    bytes[..prefixes].contains(&0x67) || matches!(bytes.get(prefixes), Some(0xa0..=0xa3 | 0x8c))
}

fn value(r: &GuestRegisters, name: Name) -> u64 {
    let words: [u64; 22] = transmute!(*r);
    match name {
        Name::FS => r.fs_base,
        Name::GS => r.gs_base,
        Name::RIP => 0,
        name if name.is_segment_register() => 0,
        name => words[name.full_register().number()],
    }
}

/// Bytes in which a known opcode is likely.
fn likely() -> impl Strategy<Value = Vec<u8>> {
    let prefix = prop::sample::select(vec![0xf0u8, 0x48, 0x41, 0x4f, 0x40, 0x65, 0x64, 0x66, 0x2e, 0xf3]);
    let opcode = prop::sample::select(vec![
        vec![0x88u8],
        vec![0x89],
        vec![0x86],
        vec![0x87],
        vec![0x20],
        vec![0x21],
        vec![0x08],
        vec![0x09],
        vec![0xc6],
        vec![0xc7],
        vec![0x80],
        vec![0x81],
        vec![0x83],
        vec![0x0f, 0xb3],
        vec![0x0f, 0xab],
        vec![0x0f, 0xba],
        vec![0x0f, 0xb0],
        vec![0x0f, 0xb1],
    ]);
    (prop::collection::vec(prefix, 0..3), opcode, any::<[u8; 11]>())
        .prop_map(|(prefixes, opcode, rest)| [prefixes, opcode, rest.to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    /// Whatever the bytes: known here are the forms that another decoder calls so, with its length and its address.
    #[test]
    fn another_decoder_agrees(bytes in prop_oneof![likely(), prop::collection::vec(any::<u8>(), 15)]) {
        let r = registers();
        let here = Store::decode(&bytes, &r).map(|store| (store.address, store.size, store.length.into()));
        prop_assert_eq!(here, expected(&bytes, &r), "{:02x?}", bytes);
    }
}
