//! What a command does to a TPM, as far as its other users notice it.

use crate::{Family, header::CommandHeader, wire::Reader};

/// Registers that a TPM for PCs has.
const REGISTERS: u32 = 24;

/// What a command does to a TPM, as far as its other users notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it looks, or has the TPM test itself.
    Looks,
    /// It makes, uses or removes keys, sessions and the like.
    Uses,
    /// It extends or resets these registers, as bits.
    Registers(u32),
    /// It changes the TPM for all, or what it does is not known here.
    Governs,
}

impl Effect {
    /// Of a command that [`check_command`](crate::header::check_command) has passed.
    #[must_use]
    pub fn of(header: &CommandHeader, command: &[u8]) -> Self {
        let body = Reader::new(command.get(crate::header::HEADER_BYTES..).unwrap_or_default());
        match header.family() {
            Family::Tpm12 => of_12(header.ordinal, body),
            Family::Tpm20 => of_20(header.ordinal, body),
        }
    }
}

/// Part 2 of the TPM main specification, section 17, has the numbers.
fn of_12(ordinal: u32, body: Reader<'_>) -> Effect {
    match ordinal {
        // PCRRead; GetRandom; self-tests and their result; GetCapability; ReadPubek; GetTicks.
        0x15 | 0x46 | 0x50 | 0x53 | 0x54 | 0x65 | 0x7c | 0xf1 => Effect::Looks,
        // Extend and SHA1CompleteExtend name a register, PCR_Reset has a selection.
        0x14 | 0xa3 => one_register(body),
        0xc8 => selection_12(body),
        // Sessions; Quote, Seal, Unseal; UnBind to EvictKey; CertifyKey; Sign, Sealx, Quote2, LoadKey2; StirRandom;
        // CreateEndorsementKeyPair; SHA1Start to SHA1Complete; contexts and FlushSpecific.
        0x0a
        | 0x0b
        | 0x11
        | 0x16..=0x18
        | 0x1e..=0x22
        | 0x32
        | 0x3c..=0x3e
        | 0x41
        | 0x47
        | 0x78
        | 0xa0..=0xa2
        | 0xb8..=0xba => Effect::Uses,
        _ => Effect::Governs,
    }
}

/// Part 2 of the TPM library, section 6.5.2, has the numbers.
fn of_20(code: u32, body: Reader<'_>) -> Effect {
    match code {
        // Self-tests; NV_ReadPublic; ReadPublic; GetCapability, GetRandom, GetTestResult; PCR_Read; ReadClock; TestParms.
        0x142 | 0x143 | 0x169 | 0x173 | 0x17a..=0x17c | 0x17e | 0x181 | 0x18a => Effect::Looks,
        // PCR_Event, PCR_Reset, PCR_Extend, EventSequenceComplete: the register is the first handle.
        0x13c | 0x13d | 0x182 | 0x185 => one_register(body),
        // CreatePrimary; SequenceComplete; StirRandom to NV_Read; ObjectChangeAuth to RSA_Decrypt; HMAC_Start to Unseal;
        // PolicySigned to FlushContext; LoadExternal, MakeCredential; policies; RSA_Encrypt; StartAuthSession to
        // ECC_Parameters; Hash; policies; NV_Certify; sequences and policies; the rest up to EncryptDecrypt2.
        0x131
        | 0x13e
        | 0x146..=0x14e
        | 0x150..=0x159
        | 0x15b..=0x15e
        | 0x160..=0x165
        | 0x167
        | 0x168
        | 0x16a..=0x172
        | 0x174
        | 0x176..=0x178
        | 0x17d
        | 0x17f
        | 0x180
        | 0x184
        | 0x186..=0x189
        | 0x18b..=0x193 => Effect::Uses,
        _ => Effect::Governs,
    }
}

/// The register with the number that comes next. There may be none such: then nobody knows what the TPM makes of it.
fn one_register(mut body: Reader<'_>) -> Effect {
    match body.u32() {
        Ok(register @ ..REGISTERS) => Effect::Registers(1 << register),
        _ => Effect::Governs,
    }
}

/// A `TPM_PCR_SELECTION`: bytes with a 16-bit length in front.
fn selection_12(mut body: Reader<'_>) -> Effect {
    match body.sized16() {
        Ok(bytes) if bytes.len() <= 3 => {
            let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0)) << (8 * at);
            Effect::Registers(byte(0) | byte(1) | byte(2))
        }
        _ => Effect::Governs,
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::header::check_command;

    fn effect(tag: u16, code: u32, body: &[u8]) -> Effect {
        let length = (10 + body.len()) as u32;
        let bytes: Vec<u8> =
            [&tag.to_be_bytes()[..], &length.to_be_bytes(), &code.to_be_bytes(), body].concat();
        Effect::of(&check_command(&bytes, 4096).unwrap(), &bytes)
    }

    #[test]
    fn a_register_is_told_by_the_command() {
        for code in [0x13c, 0x13d, 0x182, 0x185] {
            assert_eq!(effect(0x8001, code, &[0, 0, 0, 13]), Effect::Registers(1 << 13), "{code:#x}");
            for body in [&[0, 0, 0, 24][..], &[0x40, 0, 0, 7], &[0, 0, 0]] {
                assert_eq!(effect(0x8001, code, body), Effect::Governs, "{code:#x} {body:?}");
            }
        }
        for ordinal in [0x14, 0xa3] {
            assert_eq!(effect(0xc1, ordinal, &[0, 0, 0, 9, 7]), Effect::Registers(1 << 9), "{ordinal:#x}");
        }
        assert_eq!(effect(0xc1, 0xc8, &[0, 3, 1, 0, 0x80]), Effect::Registers(1 | 1 << 23));
        assert_eq!(effect(0xc1, 0xc8, &[0, 1, 2]), Effect::Registers(2));
        assert_eq!(effect(0xc1, 0xc8, &[0, 4, 0, 0, 0, 1]), Effect::Governs);
        assert_eq!(effect(0xc1, 0xc8, &[0, 3, 1]), Effect::Governs);
    }

    #[test]
    fn what_changes_a_tpm_for_all_is_told_from_what_uses_it() {
        // Startup, Shutdown, Clear, HierarchyControl, HierarchyChangeAuth, PCR_Allocate, NV_DefineSpace, NV_Write,
        // ClockSet, DictionaryAttackLockReset, EvictControl, FieldUpgradeStart; one that is not there; one of a vendor's.
        for code in [
            0x144,
            0x145,
            0x126,
            0x121,
            0x129,
            0x12b,
            0x12a,
            0x137,
            0x128,
            0x139,
            0x120,
            0x12f,
            0x1ff,
            0x2000_0131,
        ] {
            assert_eq!(effect(0x8001, code, &[]), Effect::Governs, "{code:#x}");
        }
        for code in [0x131, 0x158, 0x15d, 0x165, 0x16f, 0x176] {
            assert_eq!(effect(0x8001, code, &[]), Effect::Uses, "{code:#x}");
        }
        for code in [0x173, 0x17a, 0x17b, 0x17e, 0x143] {
            assert_eq!(effect(0x8001, code, &[]), Effect::Looks, "{code:#x}");
        }
        // TakeOwnership, OwnerClear, ForceClear, MakeIdentity, ActivateIdentity, Startup, a connection's ordinal; sessions,
        // Quote, CreateWrapKey, Sign, LoadKey2, FlushSpecific; PCRRead.
        for (ordinal, what) in [
            (0x0d, Effect::Governs),
            (0x5b, Effect::Governs),
            (0x5d, Effect::Governs),
            (0x79, Effect::Governs),
            (0x7a, Effect::Governs),
            (0x99, Effect::Governs),
            (0x4000_000a, Effect::Governs),
            (0x0a, Effect::Uses),
            (0x0b, Effect::Uses),
            (0x16, Effect::Uses),
            (0x1f, Effect::Uses),
            (0x3c, Effect::Uses),
            (0x41, Effect::Uses),
            (0xba, Effect::Uses),
            (0x15, Effect::Looks),
        ] {
            assert_eq!(effect(0xc1, ordinal, &[]), what, "{ordinal:#x}");
        }
    }
}
