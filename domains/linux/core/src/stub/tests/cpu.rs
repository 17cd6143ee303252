//! As much of a CPU as the stub needs.

use crate::machine::Memory;
use crate::stub::{self, CODE_BYTES, START};
use crate::testing::Fixture;

/// Flags that its jumps ask for.
#[derive(Default)]
struct Flags {
    zero: bool,
    carry: bool,
}

impl Flags {
    fn result(&mut self, value: u64) {
        *self = Self { zero: value == 0, carry: false };
    }

    fn compare(&mut self, one: u64, other: u64) {
        *self = Self { zero: one == other, carry: one < other };
    }
}

impl Fixture {
    /// Carries one instruction of the stub out. Says whether it was a call.
    fn step_stub(&mut self, flags: &mut Flags) -> bool {
        let at = (self.registers.rip - START) as usize;
        let mut code = [0; 8];
        let rest = &CODE_BYTES[at..];
        let length = rest.len().min(8);
        code[..length].copy_from_slice(&rest[..length]);
        if code[..2] == [0x0f, 0x05] {
            self.registers.rip += 2;
            self.registers.rcx = self.registers.rip;
            return true;
        }
        let next = self
            .step_jump(code, flags)
            .or_else(|| self.step_call(code, flags))
            .or_else(|| self.step_frame(code, flags));
        self.registers.rip = next.unwrap_or_else(|| panic!("{code:x?} at {at:#x}"));
        false
    }

    /// Where an instruction leads that jumps.
    fn step_jump(&self, code: [u8; 8], flags: &Flags) -> Option<u64> {
        let rip = self.registers.rip;
        let near = |if_so: bool, by: u8| rip + 2 + if if_so { u64::from(by) } else { 0 };
        Some(match code {
            [0x74, by, ..] => near(flags.zero, by),
            [0x75, by, ..] => near(!flags.zero, by),
            [0x73, by, ..] => near(!flags.carry, by),
            [0xeb, by, ..] => near(true, by),
            [0x0f, 0x84, ..] if !flags.zero => rip + 6,
            [0x0f, 0x84, ..] => self.behind(code, 2, 6),
            [0xff, 0x25, ..] => self.at(self.behind(code, 2, 6)),
            _ => return None,
        })
    }

    /// An address, told by how far it is behind an instruction of some length.
    fn behind(&self, code: [u8; 8], at: usize, length: u64) -> u64 {
        (self.registers.rip + length).wrapping_add_signed(i64::from(number(code, at)))
    }

    /// Instructions that make a call of the guest's kernel. Returns where it goes on.
    fn step_call(&mut self, code: [u8; 8], flags: &mut Flags) -> Option<u64> {
        let r = self.registers;
        let length = match code {
            [0x83, 0xf8, value, ..] => {
                flags.compare(r.rax as u32 as u64, value.into());
                3
            }
            [0x48, 0x89, 0xf1, ..] => {
                self.registers.rcx = r.rsi;
                3
            }
            [0x48, 0xc1, 0xf9, bits, ..] => {
                self.registers.rcx = ((r.rcx as i64) >> bits) as u64;
                4
            }
            [0x48, 0xff, 0xc1, ..] => {
                self.registers.rcx = r.rcx.wrapping_add(1);
                flags.zero = self.registers.rcx == 0;
                3
            }
            [0x48, 0x83, 0xe1, value, ..] => {
                self.registers.rcx &= i64::from(value as i8) as u64;
                4
            }
            [0x48, 0xff, 0x05, ..] => {
                let place = self.behind(code, 3, 7);
                self.put_at(place, self.at(place) + 1);
                7
            }
            [0x48, 0x83, 0xfe, value, ..] => {
                flags.compare(r.rsi, value.into());
                4
            }
            [0x48, 0x85, 0xd2, ..] => {
                flags.result(r.rdx);
                3
            }
            [0x41, 0x81, 0xfa, ..] => {
                flags.compare(r.r10 as u32 as u64, number(code, 3) as u64);
                7
            }
            [0x48, 0x8b, 0x0f, ..] => {
                self.registers.rcx = self.at(r.rdi);
                3
            }
            [0xf6, 0xc1, mask, ..] => {
                flags.result(r.rcx & u64::from(mask));
                3
            }
            [0x48, 0x3b, 0x0d, ..] => {
                flags.compare(r.rcx, self.at(self.behind(code, 3, 7)));
                7
            }
            [0x4c, 0x8b, 0x5f, 8, ..] => {
                self.registers.r11 = self.at(r.rdi + 8);
                4
            }
            [0x49, 0xc1, 0xe3, bits, ..] => {
                self.registers.r11 = r.r11 << bits;
                4
            }
            [0x49, 0xc1, 0xeb, bits, ..] => {
                self.registers.r11 = r.r11 >> bits;
                4
            }
            [0x4c, 0x3b, 0x1d, ..] => {
                flags.compare(r.r11, self.at(self.behind(code, 3, 7)));
                7
            }
            [0x48, 0x03, 0x0d, ..] => {
                self.registers.rcx = r.rcx.wrapping_add(self.at(self.behind(code, 3, 7)));
                7
            }
            [0xf6, 0x01, mask, ..] => {
                flags.result(self.at(r.rcx) & u64::from(mask));
                3
            }
            [0x4c, 0x89, 0x19, ..] => {
                assert!(r.rcx >= stub::MEMORY, "a table is written where the stub sees it");
                self.put_at(r.rcx, r.r11);
                3
            }
            [0x31, 0xc0, ..] => {
                self.registers.rax = 0;
                2
            }
            [0x0d, ..] => {
                self.registers.rax = u64::from(r.rax as u32 | number(code, 1) as u32);
                5
            }
            _ => return None,
        };
        Some(r.rip + length)
    }

    /// Instructions that make a frame, or return to what one says. Returns where it goes on.
    fn step_frame(&mut self, code: [u8; 8], flags: &mut Flags) -> Option<u64> {
        let (rip, rcx, rsp) = (self.registers.rip, self.registers.rcx, self.registers.rsp);
        let length = match code {
            [0x48, 0x8b, 0x0d, ..] => {
                self.registers.rcx = self.at(self.behind(code, 3, 7));
                7
            }
            [0x48, 0x8b, 0x25, ..] => {
                self.registers.rsp = self.at(self.behind(code, 3, 7));
                7
            }
            [0x48, 0x89, 0x0d, ..] => {
                self.put_at(self.behind(code, 3, 7), rcx);
                7
            }
            [0xff, 0x35, ..] => {
                self.push_word(self.at(self.behind(code, 2, 6)));
                6
            }
            [0xc6, 0x41, offset, value, ..] => {
                let place = self.find(rcx + u64::from(offset));
                self.host.write(place, &[value]).unwrap();
                4
            }
            [0x80, 0x39, value, ..] => {
                let byte: u8 = self.host.get(self.find(rcx)).unwrap();
                flags.compare(byte.into(), value.into());
                3
            }
            [0x83, 0x3d, _, _, _, _, value, ..] => {
                flags.compare(self.at(self.behind(code, 2, 7)) as u32 as u64, value.into());
                7
            }
            [0x48, 0x89, 0xe1, ..] => {
                self.registers.rcx = rsp;
                3
            }
            [0x6a, value, ..] => {
                self.push_word(value.into());
                2
            }
            [0x51, ..] => {
                self.push_word(rcx);
                1
            }
            [0x0f, 0xb7, 0x4c, 0x24, offset, ..] => {
                self.registers.rcx = self.at(rsp + u64::from(offset)) & 0xffff;
                5
            }
            [0x48, 0x8b, 0x4c, 0x24, offset, ..] => {
                self.registers.rcx = self.at(rsp + u64::from(offset));
                5
            }
            [0x48, 0x8b, 0x04, 0x24, ..] => {
                self.registers.rax = self.at(rsp);
                4
            }
            [0x83, 0xf9, value, ..] => {
                flags.compare(rcx, value.into());
                3
            }
            [0x81, 0xf9, ..] => {
                flags.compare(rcx, number(code, 2) as u64);
                6
            }
            [0x83, 0xc9, value, ..] => {
                self.registers.rcx = rcx | u64::from(value);
                3
            }
            [0xf7, 0xc1, ..] => {
                flags.result(u64::from(rcx as u32 & number(code, 2) as u32));
                6
            }
            [0x48, 0xc1, 0xe9, bits, ..] => {
                self.registers.rcx = rcx >> bits;
                flags.result(rcx >> bits);
                4
            }
            [0xb8, ..] => {
                self.registers.rax = u64::from(number(code, 1) as u32);
                5
            }
            _ => return None,
        };
        Some(rip + length)
    }

    /// Carries out `count` instructions, or all until a call or the way out. Says whether it got to either.
    pub(super) fn run_stub(&mut self, count: usize) -> bool {
        let mut flags = Flags::default();
        (0..count).any(|_| self.step_stub(&mut flags) || stub::way(self.registers.rip).is_none())
    }
}

/// A number in an instruction.
fn number(code: [u8; 8], at: usize) -> i32 {
    i32::from_le_bytes([code[at], code[at + 1], code[at + 2], code[at + 3]])
}
