//! Instructions that take a privilege.

use cloison_xen::call;
use cloison_xen::shared::VcpuInfo;
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use proptest::prelude::*;

use super::{GO, HANDLER};
use crate::cpu::CR0;
use crate::guest::{Exit, Next};
use crate::machine::Memory;
use crate::testing::fixture::{CODE, READ_ONLY, SCRATCH};
use crate::testing::{Fixture, address};

impl Fixture {
    /// Lets the guest come out with #GP at an instruction; whether it was carried out.
    fn privileged(&mut self, bytes: &[u8]) -> bool {
        self.code(bytes);
        assert_eq!(self.trap(13, 0, 0), GO);
        let is_done = self.registers.rip == address(CODE) + bytes.len() as u64;
        assert!(is_done || self.registers.rip == HANDLER + 13 * 16, "{bytes:x?}");
        is_done
    }

    fn set_msr(&mut self, number: u32, value: u64) -> bool {
        let r = &mut self.registers;
        (r.rcx, r.rax, r.rdx) = (number.into(), value & 0xffff_ffff, value >> 32);
        self.privileged(&[0x0f, 0x30])
    }

    fn msr(&mut self, number: u32) -> Option<u64> {
        (self.registers.rcx, self.registers.rax, self.registers.rdx) = (number.into(), !0, !0);
        let is_done = self.privileged(&[0x0f, 0x32]);
        is_done.then_some(self.registers.rdx << 32 | self.registers.rax)
    }
}

#[test]
fn a_port_reads_as_if_nothing_were_there() {
    for (bytes, value) in [
        (&[0xec][..], 0x1234_5678_9abc_deff_u64),
        (&[0x66, 0xed], 0x1234_5678_9abc_ffff),
        (&[0xed], 0xffff_ffff),
        (&[0x48, 0xed], 0xffff_ffff),
        (&[0xe4, 0x70], 0x1234_5678_9abc_deff),
        (&[0xe5, 0x70], 0xffff_ffff),
        (&[0xe4, 0x42], 0x1234_5678_9abc_de00),
        (&[0xe5, 0x42], 0),
    ] {
        let mut fixture = Fixture::kernel();
        fixture.registers.rax = 0x1234_5678_9abc_def0;
        fixture.registers.rdx = 0xcf8;
        assert!(fixture.privileged(bytes), "{bytes:x?}");
        assert_eq!(fixture.registers.rax, value, "{bytes:x?}");
    }
}

#[test]
fn the_timers_port_reads_as_0_by_register_too() {
    let mut fixture = Fixture::kernel();
    (fixture.registers.rax, fixture.registers.rdx) = (0xff, 0xffff_0042);
    assert!(fixture.privileged(&[0xec]));
    assert_eq!(fixture.registers.rax, 0);
}

#[test]
fn what_has_no_effect_changes_nothing_but_the_place() {
    let silent: &[&[u8]] = &[
        &[0xee],
        &[0xef],
        &[0x66, 0xef],
        &[0xe6, 0x80],
        &[0xe7, 0x80],
        &[0xfa],
        &[0xfb],
        &[0x0f, 0x06],
        &[0x0f, 0x08],
        &[0x0f, 0x09],
        &[0x0f, 0x22, 0xc0],
    ];
    for bytes in silent {
        let mut fixture = Fixture::kernel();
        let before = fixture.registers;
        assert!(fixture.privileged(bytes), "{bytes:x?}");
        let rip = fixture.registers.rip;
        fixture.registers.rip = before.rip;
        assert_eq!((fixture.registers, rip), (before, address(CODE) + bytes.len() as u64));
    }
}

#[test]
fn a_halt_waits_for_an_event() {
    let mut fixture = Fixture::kernel();
    fixture.code(&[0xf4]);
    assert_eq!(fixture.trap(13, 0, 0), Next::Wait { until: None });
    fixture.guest.channels.raise(&mut fixture.host, 2);
    assert_eq!(fixture.exit(Exit::Pause), GO);
}

#[test]
fn a_program_has_none_of_it() {
    for bytes in [&[0xfa][..], &[0xf4], &[0x0f, 0x30], &[0xec], &[0x0f, 0x20, 0xc0], &[0x0f, 0x01, 0xe0]] {
        let mut fixture = Fixture::program();
        assert!(!fixture.privileged(bytes), "{bytes:x?}");
    }
}

#[test]
fn other_instructions_are_the_kernels_affair() {
    // ins, outs, lgdt, ltr, mov to cr3, mov from cr8, mov dr, rdpmc, sysret, invlpg, lmsw, a jump.
    let unknown: &[&[u8]] = &[
        &[0x6c],
        &[0x6e],
        &[0x0f, 0x01, 0x10],
        &[0x0f, 0x00, 0xd8],
        &[0x0f, 0x22, 0xd8],
        &[0x44, 0x0f, 0x20, 0xc0],
        &[0x0f, 0x21, 0xc0],
        &[0x0f, 0x33],
        &[0x48, 0x0f, 0x07],
        &[0x0f, 0x01, 0x38],
        &[0x0f, 0x01, 0xf0],
        &[0xff, 0xe0],
    ];
    for bytes in unknown {
        assert!(!Fixture::kernel().privileged(bytes), "{bytes:x?}");
    }
}

#[test]
fn a_code_says_that_it_is_about_a_selector() {
    let mut fixture = Fixture::kernel();
    fixture.code(&[0xfa]);
    fixture.trap(13, 0x60, 0);
    assert_eq!(fixture.registers.rip, HANDLER + 13 * 16);
}

#[test]
fn control_registers_read_as_they_would() {
    let mut fixture = Fixture::kernel();
    let cr2 = fixture.guest.channels.info(VcpuInfo::CR2);
    fixture.host.store(cr2, 0x1234).unwrap();
    // mov %cr0,%rax; mov %cr2,%rcx; mov %cr3,%r9; mov %cr4,%rsp
    for (bytes, number, value) in [
        (&[0x0f, 0x20, 0xc0][..], 0, CR0),
        (&[0x0f, 0x20, 0xd1], 1, 0x1234),
        (&[0x41, 0x0f, 0x20, 0xd9], 9, 0x1000),
        (&[0x0f, 0x20, 0xe2], 2, 0x4_0620),
    ] {
        assert!(fixture.privileged(bytes));
        let words: [u64; 22] = zerocopy::transmute!(fixture.registers);
        assert_eq!(words[number], value, "{bytes:x?}");
    }
    fixture.registers.rdi = 0x1234_5678;
    assert!(fixture.privileged(&[0x0f, 0x22, 0xe7]));
    assert!(fixture.privileged(&[0x0f, 0x20, 0xe3]));
    assert_eq!(fixture.registers.rbx, 0x1234_5678, "CR4 reads as it was written");
}

#[test]
fn what_the_cpus_tables_are_nobody_learns() {
    let at = SCRATCH * 0x1000;
    // sgdt, sidt, sldt, str and smsw to memory; sldt to a register of two, four and eight bytes; smsw to one.
    for (bytes, length, value) in
        [(&[0x0f, 0x01, 0x07][..], 10, 0), (&[0x0f, 0x01, 0x0f], 10, 0), (&[0x0f, 0x00, 0x07], 2, 0)]
    {
        let mut fixture = Fixture::kernel();
        fixture.host.write(at, &[0xaa; 16]).unwrap();
        fixture.registers.rdi = address(SCRATCH);
        assert!(fixture.privileged(bytes), "{bytes:x?}");
        let stored = fixture.host.ram.bytes(at, 16).unwrap();
        assert!(stored[..length].iter().all(|byte| *byte == value), "{bytes:x?}");
        assert!(stored[length..].iter().all(|byte| *byte == 0xaa), "{bytes:x?}");
    }
    for (bytes, value) in [
        (&[0x0f, 0x00, 0xc0][..], 0_u64),
        (&[0x66, 0x0f, 0x00, 0xc8], 0xffff_ffff_ffff_0000),
        (&[0x48, 0x0f, 0x01, 0xe0], CR0),
        (&[0x66, 0x0f, 0x01, 0xe0], 0xffff_ffff_ffff_0033),
    ] {
        let mut fixture = Fixture::kernel();
        fixture.registers.rax = u64::MAX;
        assert!(fixture.privileged(bytes), "{bytes:x?}");
        assert_eq!(fixture.registers.rax, value, "{bytes:x?}");
    }
    let mut fixture = Fixture::kernel();
    fixture.registers.rdi = address(READ_ONLY);
    assert!(!fixture.privileged(&[0x0f, 0x01, 0x07]));
}

#[test]
fn the_guest_chooses_among_the_states_that_are_saved() {
    for (states, is_done) in [
        (7_u64, true),
        (3, true),
        (1, true),
        (0, false),
        (2, false),
        (4, false),
        (5, false),
        (0xf, false),
        (1 << 63 | 7, false),
    ] {
        let mut fixture = Fixture::kernel();
        let r = &mut fixture.registers;
        (r.rcx, r.rax, r.rdx) = (0, states & 0xffff_ffff, states >> 32);
        assert_eq!(fixture.privileged(&[0x0f, 0x01, 0xd1]), is_done, "{states:#x}");
        assert_eq!(fixture.guest.cpu.xcr0, if is_done { states } else { 7 });
    }
    let mut fixture = Fixture::kernel();
    (fixture.registers.rcx, fixture.registers.rax, fixture.registers.rdx) = (1, 7, 0);
    assert!(!fixture.privileged(&[0x0f, 0x01, 0xd1]));
}

#[test]
fn bases_are_registers_and_have_to_be_addresses() {
    let mut fixture = Fixture::kernel();
    let base = 0xffff_8880_0000_1000;
    for number in 0xc000_0100..=0xc000_0102 {
        assert!(fixture.set_msr(number, base + u64::from(number)));
        assert_eq!(fixture.msr(number), Some(base + u64::from(number)));
    }
    assert_eq!(fixture.registers.gs_base, base + 0xc000_0101);
    assert_eq!(fixture.registers.other_gs_base, base + 0xc000_0102);
    for number in 0xc000_0100..=0xc000_0102 {
        assert!(!fixture.set_msr(number, 1 << 47), "{number:#x}");
        assert_eq!(fixture.msr(number), Some(base + u64::from(number)));
    }
}

#[test]
fn registers_that_linux_reads_hold_what_it_expects() {
    let mut fixture = Fixture::kernel();
    fixture.host.ticks = 0x1_2345_6789;
    for (number, value) in [
        (0x10, 0x1_2345_6789),
        (0x1b, 0xfee0_0900),
        (0x8b, 0),
        (0x179, 0),
        (0x401, 0),
        (0x277, 0x0000_0501_0007_0406),
        (0xc000_0080, 0xd01),
        (0xc000_0103, 0),
    ] {
        assert_eq!(fixture.msr(number), Some(value), "{number:#x}");
        if number != 0x1b {
            assert!(fixture.set_msr(number, 0xffff_ffff_ffff_ffff), "{number:#x}");
        }
    }
    for number in [0x34, 0x3a, 0x10a, 0xc001_1029, 0xc000_0082, 0x174, 0x480] {
        assert_eq!(fixture.msr(number), None, "{number:#x}");
        assert!(!fixture.set_msr(number, 0), "{number:#x}");
    }
}

#[test]
fn before_there_are_handlers_unknown_registers_are_0() {
    let mut fixture = Fixture::new();
    fixture.code(&[0x0f, 0x30]);
    (fixture.registers.rcx, fixture.registers.rax) = (0xc000_0082, 5);
    assert_eq!(fixture.trap(13, 0, 0), GO);
    fixture.code(&[0x0f, 0x32]);
    assert_eq!(fixture.trap(13, 0, 0), GO);
    assert_eq!((fixture.registers.rax, fixture.registers.rip), (0, address(CODE) + 2));
}

#[test]
fn a_marked_cpuid_is_answered_in_kernel_and_program() {
    for mut fixture in [Fixture::kernel(), Fixture::program()] {
        fixture.code(b"\x0f\x0bxen\x0f\xa2");
        fixture.registers.rax = 0xffff_ffff_4000_0000;
        assert_eq!(fixture.trap(6, 0, 0), GO);
        let r = fixture.registers;
        assert_eq!([r.rax, r.rbx, r.rcx, r.rdx], [0x4000_0002, 0x566e_6558, 0x6558_4d4d, 0x4d4d_566e]);
        assert_eq!(r.rip, address(CODE) + 7);
    }
    for bytes in [&b"\x0f\x0bxen\x0f\xa3"[..], b"\x0f\x0bxeN\x0f\xa2", b"\x0f\x0b"] {
        let mut fixture = Fixture::kernel();
        fixture.code(bytes);
        fixture.trap(6, 0, 0);
        assert_eq!(fixture.registers.rip, HANDLER + 6 * 16);
    }
    assert_eq!(Fixture::kernel().call(call::FPU_TASKSWITCH, &[0]), 0);
}

proptest! {
    /// Whatever is carried out is what another decoder takes it for, and as long.
    #[test]
    fn what_is_carried_out_is_what_it_is_taken_for(
        prefixes in prop::collection::vec(prop_oneof![
            Just(0x66), Just(0x67), Just(0xf2), Just(0xf3), Just(0x2e), Just(0x65), 0x40_u8..0x50,
        ], 0..4),
        is_long in any::<bool>(),
        opcode in any::<u8>(),
        rest in any::<[u8; 8]>(),
    ) {
        let mut bytes = prefixes;
        if is_long {
            bytes.push(0x0f);
        }
        bytes.push(opcode);
        bytes.extend_from_slice(&rest);
        let mut fixture = Fixture::kernel();
        let r = &mut fixture.registers;
        (r.rax, r.rbx, r.rcx) = (1, address(SCRATCH), 0);
        (r.rdx, r.rsi, r.rdi) = (0, address(SCRATCH), address(SCRATCH));
        fixture.code(&bytes);
        fixture.trap(13, 0, 0);
        let length = fixture.registers.rip.wrapping_sub(address(CODE)) as usize;
        if length <= 15 {
            let other = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
            if other.mnemonic() == Mnemonic::INVALID {
                // Such an instruction raises another exception.
                return Ok(());
            }
            prop_assert_eq!(length, other.len(), "{:x?} is {:?}", bytes, other.mnemonic());
            prop_assert!(matches!(
                other.mnemonic(),
                Mnemonic::In | Mnemonic::Out | Mnemonic::Cli | Mnemonic::Sti | Mnemonic::Hlt | Mnemonic::Clts
                    | Mnemonic::Invd | Mnemonic::Wbinvd | Mnemonic::Mov | Mnemonic::Rdmsr | Mnemonic::Wrmsr
                    | Mnemonic::Cpuid | Mnemonic::Xsetbv | Mnemonic::Sgdt | Mnemonic::Sidt | Mnemonic::Sldt
                    | Mnemonic::Str | Mnemonic::Smsw | Mnemonic::Wbnoinvd
            ), "{:x?} is {:?}", bytes, other.mnemonic());
        }
    }
}
