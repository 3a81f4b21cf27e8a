//! Bytes of fixed length as lower-case hexadecimal digits, in files that any tool reads.
//!
//! Upper case is refused: what is hashed and signed has one spelling.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::vector::Digest;

/// A value that is nothing but a fixed number of bytes.
pub trait Octets: Sized {
    /// The bytes.
    fn octets(&self) -> &[u8];
    /// The value, if the number of bytes is right.
    fn from_octets(bytes: &[u8]) -> Option<Self>;
}

impl Octets for Digest {
    fn octets(&self) -> &[u8] {
        self.as_bytes()
    }

    fn from_octets(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Digest::from_bytes)
    }
}

/// The digits of some bytes.
pub fn encode(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The value that some digits spell, if they are as many as it needs.
pub fn decode<T: Octets>(text: &str) -> Option<T> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect();
    T::from_octets(&bytes?)
}

/// For `#[serde(with)]`: digits in text, bytes elsewhere.
pub fn serialize<T: Octets, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&encode(value.octets()))
    } else {
        serializer.serialize_bytes(value.octets())
    }
}

/// For `#[serde(with)]`.
pub fn deserialize<'de, T: Octets, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let read = if deserializer.is_human_readable() {
        decode(&String::deserialize(deserializer)?)
    } else {
        T::from_octets(&Vec::<u8>::deserialize(deserializer)?)
    };
    read.ok_or_else(|| D::Error::custom("not the lower-case hexadecimal digits of such a value"))
}

/// The same for a value that may be missing.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Octets;

    #[derive(Deserialize)]
    struct Read<T: Octets>(#[serde(with = "super")] T);

    struct Written<'a, T: Octets>(&'a T);

    impl<T: Octets> Serialize for Written<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::serialize(self.0, serializer)
        }
    }

    /// For `#[serde(with)]`.
    pub fn serialize<T: Octets, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Written).serialize(serializer)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, T: Octets, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Read<T>>::deserialize(deserializer)?.map(|read| read.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_one_spelling() {
        let digest = Digest::of_bytes(b"x");
        let text = encode(digest.as_bytes());
        assert_eq!(text, digest.to_string());
        assert_eq!(decode(&text), Some(digest));
        assert_eq!(decode::<Digest>(&text.to_uppercase()), None);
        assert_eq!(decode::<Digest>(&text[2..]), None);
        assert_eq!(decode::<Digest>(&text[1..]), None);
        assert_eq!(decode::<Digest>(&format!("{text}00")), None);
    }
}
