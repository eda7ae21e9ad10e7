//! What a struct says, apart from how it is printed.

/// A value of a wire struct, ready to be printed as text or JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A number.
    Number(u64),
    /// A registered code point, with its name if it has one.
    Code {
        /// The number on the wire.
        value: u16,
        /// Its registered name.
        name: Option<&'static str>,
    },
    /// The name of a value of a closed enum.
    Word(&'static str),
    /// Seconds since 1970-01-01T00:00Z.
    Time(u64),
    /// Bytes without structure.
    Bytes(Vec<u8>),
    /// Bytes that people often fill with text.
    Text(Vec<u8>),
    /// An optional value that is absent.
    Absent,
    /// A list.
    List(Vec<Item>),
    /// A struct: its fields in order.
    Record(Vec<(&'static str, Item)>),
}
