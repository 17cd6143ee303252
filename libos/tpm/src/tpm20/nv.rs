//! What a TPM keeps for its maker: the certificate of its endorsement key (part 3, section 31; TCG *EK Credential Profile*,
//! section 2.2).

use super::{code, command, key::without_password, response};
use crate::{
    Command, Error,
    header::TAG_20_SESSIONS,
    wire::{Reader, Writer},
};

/// Where makers keep the certificate of the RSA endorsement key, and that of the one of P-256.
pub const RSA_CERTIFICATE: u32 = 0x01c0_0002;
/// See [`RSA_CERTIFICATE`].
pub const CURVE_CERTIFICATE: u32 = 0x01c0_000a;
/// The most bytes that every TPM gives at a time.
pub const MAX_READ_BYTES: u16 = 512;

/// Asks how much is kept under a number.
#[derive(Clone, Copy, Debug)]
pub struct KeptBytes {
    /// The number.
    pub index: u32,
}

impl Command for KeptBytes {
    type Response<'a> = u16;

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        command(buffer, code::NV_READ_PUBLIC).u32(self.index).finish()
    }

    fn parse(&self, bytes: &[u8]) -> Result<u16, Error> {
        let mut public = Reader::new(response(bytes)?.sized16()?);
        public.expect_u32("number of what is kept", self.index)?;
        let (_hash, _attributes, _policy) = (public.u16()?, public.u32()?, public.sized16()?);
        public.u16()
    }
}

/// Reads a part of what is kept under a number, without a password.
#[derive(Clone, Copy, Debug)]
pub struct ReadKept {
    /// The number.
    pub index: u32,
    /// Where the part begins.
    pub offset: u16,
    /// Its length, up to [`MAX_READ_BYTES`].
    pub bytes: u16,
}

impl Command for ReadKept {
    type Response<'a> = &'a [u8];

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let writer = Writer::command(buffer, TAG_20_SESSIONS, code::NV_READ).u32(self.index).u32(self.index);
        without_password(writer).u16(self.bytes).u16(self.offset).finish()
    }

    fn parse<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let mut reader = Reader::response(bytes, &[TAG_20_SESSIONS])?;
        let mut parameters = Reader::new(reader.sized32()?);
        let part = parameters.sized16()?;
        parameters.end()?;
        if part.len() == usize::from(self.bytes) {
            Ok(part)
        } else {
            Err(Error::Unexpected { field: "length of what is kept", value: part.len() as u32 })
        }
    }
}
