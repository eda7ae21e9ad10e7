//! Bytes on their way through JSON and through the presentation language.

use keyroom_wire::{Decode, DecodeError, Encode, Limits, Reader};

use crate::NameError;

/// Why a body could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes break the presentation language.
    #[error("{0}")]
    Syntax(#[from] DecodeError),
    /// A name in it is not one.
    #[error("{0}")]
    Name(#[from] NameError),
}

/// A struct that travels in the presentation language of RFC 9420 §2.1, under the media type
/// [`BUNDLE`](crate::BUNDLE).
pub trait Bundle: Sized {
    /// The encoding.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads a value that takes up the whole input. Of the limits, `message` bounds the input.
    ///
    /// # Errors
    /// [`Malformed`] syntax or names; trailing bytes are an error.
    fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed>;
}

/// A field of a bundle: as the traits of `keyroom-wire`, with names among the errors.
pub(crate) trait Field: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Field for $int {
            fn write(&self, out: &mut Vec<u8>) {
                self.encode(out);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self::decode(reader)?)
            }
        }
    )*};
}
integers!(u16, u32, u64);

/// An `opaque<V>`.
impl Field for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        keyroom_wire::write_vector(out, |out| out.extend_from_slice(self));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(reader.opaque()?.to_vec())
    }
}

/// An `optional<T>` of a struct or name.
macro_rules! optional {
    ($($item:ty),* $(,)?) => {$(
        impl Field for Option<$item> {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(u8::from(self.is_some()));
                if let Some(item) = self {
                    item.write(out);
                }
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                match u8::decode(reader)? {
                    0 => Ok(None),
                    1 => <$item>::read(reader).map(Some),
                    value => Err(reader.error(keyroom_wire::DecodeErrorKind::Presence { value }).into()),
                }
            }
        }
    )*};
}
optional!(Vec<u8>, crate::RoomUri, crate::Closure);

macro_rules! names {
    ($($name:ty),*) => {$(
        impl Field for $name {
            fn write(&self, out: &mut Vec<u8>) {
                keyroom_wire::write_vector(out, |out| out.extend_from_slice(self.to_string().as_bytes()));
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                let text = std::str::from_utf8(reader.field()?).map_err(|_| NameError::Character)?;
                Ok(text.parse()?)
            }
        }
    )*};
}
names!(crate::RoomUri, crate::DeviceUri);

/// A vector of structs.
pub(crate) fn write_list<T: Field>(items: &[T], out: &mut Vec<u8>) {
    keyroom_wire::write_vector(out, |out| items.iter().for_each(|item| item.write(out)));
}

pub(crate) fn read_list<T: Field>(reader: &mut Reader<'_>) -> Result<Vec<T>, Malformed> {
    let mut content = reader.vector()?;
    let mut items = Vec::new();
    while !content.is_empty() {
        items.push(T::read(&mut content)?);
    }
    Ok(items)
}

/// A list as a field of its own type, apart from `opaque<V>`.
macro_rules! list {
    ($($item:ty),* $(,)?) => {$(
        impl Field for Vec<$item> {
            fn write(&self, out: &mut Vec<u8>) {
                write_list(self, out);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                read_list(reader)
            }
        }
    )*};
}
list!(
    Vec<u8>,
    crate::DeviceUri,
    crate::WelcomeTo,
    crate::LogEntry,
    crate::MailboxItem,
    crate::DeviceClaim,
    crate::KeyProof,
);

impl<T: Field> Bundle for T {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        if bytes.len() > limits.message {
            let kind = keyroom_wire::DecodeErrorKind::TooLong { length: bytes.len(), limit: limits.message };
            return Err(Reader::new(bytes, *limits).error(kind).into());
        }
        let mut reader = Reader::new(bytes, *limits);
        let value = T::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Declares a bundle whose fields are written in order.
macro_rules! bundle {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl crate::bytes::Field for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $(crate::bytes::Field::write(&self.$field, out);)*
            }

            fn read(reader: &mut keyroom_wire::Reader<'_>) -> Result<Self, crate::Malformed> {
                Ok(Self { $($field: crate::bytes::Field::read(reader)?,)* })
            }
        }
    )*};
}
pub(crate) use bundle;

/// Bytes in JSON: base64 with padding (RFC 4648 §4).
pub(crate) mod base64_bytes {
    pub(crate) mod option {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        use serde::de::Error as _;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
        pub(crate) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
            bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
        }
    }
}
