//! What is read of an object of JSON: single values. All else is passed over as it comes, since a few bytes of text
//! can stand for much memory.

use core::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Flag(bool),
    /// A number that is not negative. It may have been written like a real one.
    Count(u64),
    Other,
}

impl Scalar {
    /// iperf3 takes a flag that is there for one that is set.
    pub(crate) fn is_set(self) -> bool {
        self != Self::Flag(false)
    }

    /// The number, if it is one.
    pub(crate) fn count(self) -> Option<u64> {
        if let Self::Count(count) = self { Some(count) } else { None }
    }

    /// The number, or the one that counts if there is none. `None`: it is something else.
    pub(crate) fn count_or<T: TryFrom<u64>>(self, default: T, most: T) -> Option<T> {
        match self {
            Self::Null => Some(default),
            _ => self.count().map(|count| T::try_from(count).unwrap_or(most)),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Scalar;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Count(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(u64::try_from(number).map_or(Scalar::Other, Scalar::Count))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(if number >= 0.0 { Scalar::Count(number as u64) } else { Scalar::Other })
    }

    fn visit_str<E>(self, _: &str) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Scalar, A::Error> {
        while let Some(IgnoredAny) = values.next_element()? {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar, A::Error> {
        while let Some((IgnoredAny, IgnoredAny)) = entries.next_entry()? {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_read_for_what_it_is() {
        for (text, value) in [
            ("null", Scalar::Null),
            ("false", Scalar::Flag(false)),
            ("7", Scalar::Count(7)),
            ("7.9", Scalar::Count(7)),
            ("-0", Scalar::Count(0)),
            ("1e+15", Scalar::Count(1_000_000_000_000_000)),
            ("18446744073709551615", Scalar::Count(u64::MAX)),
            ("1e300", Scalar::Count(u64::MAX)),
            ("-1", Scalar::Other),
            ("-1e300", Scalar::Other),
            ("\"7\"", Scalar::Other),
            ("[7,[8,{}]]", Scalar::Other),
            ("{\"a\":{\"b\":[]}}", Scalar::Other),
        ] {
            assert_eq!(serde_json::from_str::<Scalar>(text).unwrap(), value, "{text}");
        }
        for text in ["", "[7", "{\"a\"}", "1e400", "nul", "7 8"] {
            assert!(serde_json::from_str::<Scalar>(text).is_err(), "{text}");
        }
    }
}
