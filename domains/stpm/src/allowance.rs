//! What the manifest lets a client do.

use cloison_drivers::tpm::Locality;
use cloison_tpm::{effect::Effect, header::CommandHeader};

/// Where the parts of a client's option lie; see `domain.toml`.
const LOCALITY_BITS: u32 = 3;
const REGISTER_BITS: u32 = 24;

/// What the manifest lets a client do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The locality of its commands.
    pub locality: Locality,
    /// The registers that it may extend and reset, as bits.
    pub registers: u32,
    /// Which commands it may send.
    pub commands: Commands,
}

/// Which commands a client may send beside those that change a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Commands {
    /// Those that look.
    Look,
    /// Those that make and use keys, too.
    Use,
    /// All.
    Govern,
}

impl Allowance {
    /// By the option that the plan states for a client. A locality that there is not is the everyday one, and commands that
    /// there are not are the fewest.
    #[must_use]
    pub fn of_option(option: u32) -> Self {
        let locality = option & ((1 << LOCALITY_BITS) - 1);
        let registers = option >> LOCALITY_BITS & ((1 << REGISTER_BITS) - 1);
        let commands = match option >> (LOCALITY_BITS + REGISTER_BITS) {
            1 => Commands::Use,
            2 => Commands::Govern,
            _ => Commands::Look,
        };
        Self { locality: Locality::new(locality).unwrap_or(Locality::EVERYDAY), registers, commands }
    }

    /// All that there is, at a locality.
    #[cfg(test)]
    pub fn all_at(locality: Locality) -> Self {
        Self { locality, registers: u32::MAX, commands: Commands::Govern }
    }

    /// Whether the client may send a command.
    #[must_use]
    pub fn allows(&self, header: &CommandHeader, command: &[u8]) -> bool {
        match Effect::of(header, command) {
            Effect::Looks => true,
            Effect::Uses => self.commands >= Commands::Use,
            Effect::Registers(registers) => registers & !self.registers == 0,
            Effect::Governs => self.commands == Commands::Govern,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use cloison_tpm::header::check_command;

    use super::*;

    #[test]
    fn an_option_is_read_as_it_is_packed() {
        let all = Allowance::of_option(4 | 0xff_ffff << 3 | 2 << 27);
        assert_eq!((all.locality, all.registers), (Locality::new(4).unwrap(), 0xff_ffff));
        assert_eq!(all.commands, Commands::Govern);
        let usual = Allowance::of_option(0x81_0000 << 3 | 1 << 27);
        assert_eq!((usual.locality, usual.registers), (Locality::EVERYDAY, 0x81_0000));
        assert_eq!(usual.commands, Commands::Use);
        let strange = Allowance::of_option(7 | 3 << 27);
        assert_eq!((strange.locality, strange.commands), (Locality::EVERYDAY, Commands::Look));
    }

    #[test]
    fn each_kind_of_command_needs_its_permission() {
        let command = |code: u16, register: u8| -> Vec<u8> {
            let mut bytes = vec![0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, register];
            bytes[8..10].copy_from_slice(&code.to_be_bytes());
            bytes
        };
        // PCR_Read, Quote, Clear, PCR_Extend of two registers, PCR_Reset.
        let commands = [(0x17e, 0), (0x158, 0), (0x126, 0), (0x182, 13), (0x182, 16), (0x13d, 16)];
        let allowed = |commands_level, registers| {
            let may = Allowance { locality: Locality::EVERYDAY, registers, commands: commands_level };
            commands.map(|(code, register)| {
                let bytes = command(code, register);
                may.allows(&check_command(&bytes, 64).unwrap(), &bytes)
            })
        };
        assert_eq!(allowed(Commands::Look, 0), [true, false, false, false, false, false]);
        assert_eq!(allowed(Commands::Look, 1 << 13), [true, false, false, true, false, false]);
        assert_eq!(allowed(Commands::Use, 1 << 16), [true, true, false, false, true, true]);
        assert_eq!(allowed(Commands::Govern, 0), [true, true, true, false, false, false]);
    }
}
