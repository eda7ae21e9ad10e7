//! Items as JSON: structs are objects with their fields in order, bytes are hex strings, code
//! points and times are objects with the number and, if there is one, the name or RFC 3339 text.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::item::Item;
use crate::failure::Failure;
use crate::time::rfc3339;

/// An item as indented JSON with a line break at the end.
///
/// # Errors
/// None in practice: nothing in an item is beyond JSON.
pub(crate) fn render(item: &Item) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(item).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(text + "\n")
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Code { value, name } => pair(serializer, ("code", value), ("name", name)),
            Self::Word(word) => serializer.serialize_str(word),
            Self::Time(seconds) => pair(serializer, ("seconds", seconds), ("time", &rfc3339(*seconds))),
            Self::Bytes(bytes) | Self::Text(bytes) => serializer.serialize_str(&hex::encode(bytes)),
            Self::Absent => serializer.serialize_none(),
            Self::List(items) => serializer.collect_seq(items),
            Self::Record(fields) => serializer.collect_map(fields.iter().map(|(name, field)| (name, field))),
        }
    }
}

fn pair<S: Serializer>(
    serializer: S,
    first: (&str, &impl Serialize),
    second: (&str, &impl Serialize),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry(first.0, first.1)?;
    map.serialize_entry(second.0, second.1)?;
    map.end()
}
