//! A guest's state as bytes: what is written down when it is saved, and read when it goes on from there.
//!
//! Each type lists its fields once, for both ways, so what was written is what is read. A field that is forgotten does not
//! compile. What is read was written by this program: it is not looked at whether it is a guest's state.

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use heapless::{Deque, Vec};
use zerocopy::IntoBytes;

/// Bytes that the state of any guest fits into.
pub const STATE_BYTES: usize = 192 << 10;

/// What writes bytes down, or reads them.
pub trait Carrier {
    /// Writes the bytes, or puts those in their place that were written.
    ///
    /// # Errors
    /// [`CutShort`].
    fn carry(&mut self, bytes: &mut [u8]) -> Result<(), CutShort>;
}

/// There is no room for more, or nothing more to read, or something that nobody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutShort;

/// What can be written down and read.
pub(crate) trait Carried {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort>;
}

/// Lists the fields of a type that are carried, and behind `leaves` those that are not.
macro_rules! carried {
    ($type:ty { $($field:ident),* $(,)? } $(leaves { $($left:ident),* })?) => {
        impl $crate::saved::Carried for $type {
            fn carry(
                &mut self,
                carrier: &mut impl $crate::saved::Carrier,
            ) -> Result<(), $crate::saved::CutShort> {
                let Self { $($field,)* $($($left: _),*)? } = self;
                $($crate::saved::Carried::carry($field, carrier)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use carried;

macro_rules! carried_as_bytes {
    ($($type:ty),*) => {$(
        impl Carried for $type {
            fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
                carrier.carry(self.as_mut_bytes())
            }
        }
    )*};
}
carried_as_bytes!(u8, u16, u32, u64, GuestRegisters, cloison_xen::ring::block::Request);

impl Carried for usize {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut number = *self as u64;
        number.carry(carrier)?;
        *self = usize::try_from(number).or(Err(CutShort))?;
        Ok(())
    }
}

impl Carried for bool {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut byte = u8::from(*self);
        byte.carry(carrier)?;
        *self = byte != 0;
        Ok(())
    }
}

impl Carried for GuestHalf {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut number = *self as u64;
        number.carry(carrier)?;
        *self = Self::from_number(number).ok_or(CutShort)?;
        Ok(())
    }
}

impl<T: Carried + Default> Carried for Option<T> {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut is_there = self.is_some();
        is_there.carry(carrier)?;
        if !is_there {
            *self = None;
            return Ok(());
        }
        self.get_or_insert_default().carry(carrier)
    }
}

impl<T: Carried, const N: usize> Carried for [T; N] {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        self.iter_mut().try_for_each(|item| item.carry(carrier))
    }
}

impl<T: Carried + Default + Clone, const N: usize> Carried for Vec<T, N> {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut length = self.len();
        length.carry(carrier)?;
        self.resize_default(length).or(Err(CutShort))?;
        self.iter_mut().try_for_each(|item| item.carry(carrier))
    }
}

impl<T: Carried + Default, const N: usize> Carried for Deque<T, N> {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut length = self.len();
        length.carry(carrier)?;
        while self.len() > length {
            self.pop_back();
        }
        while self.len() < length {
            self.push_back(T::default()).or(Err(CutShort))?;
        }
        self.iter_mut().try_for_each(|item| item.carry(carrier))
    }
}
