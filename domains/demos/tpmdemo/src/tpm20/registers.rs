//! The registers of a TPM 2.0, bank by bank.

use cloison_tpm::tpm20::{Bank, GetBanks, PcrRead, Selection, hash_name};

use crate::{
    Log, MOST_REGISTERS,
    session::{Session, Transmit},
    text::{Hex, Runs},
};

/// Shows the registers that there are. `count` is how many the TPM says that a bank can have.
pub(super) fn show<T: Transmit>(session: &mut Session<'_, T>, count: u32) -> Result<(), T::Error> {
    let log = session.log();
    let mut allocated = [0; Bank::ALL.len()];
    match session.run(&GetBanks)? {
        Ok(banks) => {
            for selection in banks.iter() {
                let place = Bank::ALL.into_iter().zip(&mut allocated);
                match place
                    .into_iter()
                    .find(|(bank, _)| Some(*bank) == Bank::of_algorithm(selection.algorithm))
                {
                    Some((bank, allocated)) => *allocated |= take(log, bank, &selection, count),
                    None => name(log, &selection),
                }
            }
            if banks.has_more {
                log(format_args!("PCR banks: the TPM has more than it lists"));
            }
        }
        Err(error) => log(format_args!("PCR banks: not shown: {error}")),
    }
    read(session, allocated)
}

/// Reads what is allocated, as a bit for each register.
fn read<T: Transmit>(
    session: &mut Session<'_, T>,
    allocated: [u32; Bank::ALL.len()],
) -> Result<(), T::Error> {
    let log = session.log();
    for register in 0..MOST_REGISTERS as u8 {
        for (bank, allocated) in Bank::ALL.into_iter().zip(allocated) {
            if allocated >> register & 1 == 0 {
                continue;
            }
            let name = bank.name();
            match session.run(&PcrRead { bank, register })? {
                Ok(digest) => log(format_args!("PCR-{register:02} {name}: {}", Hex(digest))),
                Err(error) => log(format_args!("PCR-{register:02} {name}: not shown: {error}")),
            }
        }
    }
    Ok(())
}

/// The registers of a bank that will be shown; says which if they are not just as many as the TPM states.
fn take(log: Log, bank: Bank, selection: &Selection<'_>, count: u32) -> u32 {
    let (name, bits) = (bank.name(), bits(selection));
    if selection.registers().any(|register| u32::from(register) >= MOST_REGISTERS) {
        log(format_args!("PCR bank {name}: registers from {MOST_REGISTERS} on are not shown"));
    }
    let all = u32::MAX.checked_shr(32_u32.saturating_sub(count)).unwrap_or(0);
    if bits == 0 {
        log(format_args!("PCR bank {name}: no registers are allocated"));
    } else if bits != all {
        log(format_args!("PCR bank {name}: allocated are only the registers {}", Runs(bits)));
    }
    bits
}

/// Names a bank that is not shown, unless it is empty.
fn name(log: Log, selection: &Selection<'_>) {
    let count = selection.registers().count();
    match hash_name(selection.algorithm) {
        _ if count == 0 => {}
        Some(name) => log(format_args!("PCR bank {name}: {count} registers, which are not shown here")),
        None => log(format_args!(
            "PCR bank of algorithm {:#06x}: {count} registers, which are not shown here",
            selection.algorithm
        )),
    }
}

fn bits(selection: &Selection<'_>) -> u32 {
    let shown = selection.registers().filter(|register| u32::from(*register) < MOST_REGISTERS);
    shown.fold(0, |bits, register| bits | 1 << register)
}
