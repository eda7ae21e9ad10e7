//! Items as indented text.

use std::fmt::Write;

use keyroom_wire::is_grease;

use super::item::Item;
use crate::time::rfc3339;

/// How much of a byte string is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// The first bytes and the count.
    Short,
    /// All of them.
    Full,
}

/// An item as text that starts with the name of its struct.
pub(crate) fn render(name: &str, item: &Item, bytes: Bytes) -> String {
    let mut page = Page { text: String::new(), bytes };
    page.entry(0, name, item);
    page.text
}

struct Page {
    text: String,
    bytes: Bytes,
}

impl Page {
    /// A line for the label, and lines below it for what does not fit there.
    fn entry(&mut self, depth: usize, label: &str, item: &Item) {
        self.text.push_str(&"  ".repeat(depth));
        self.text.push_str(label);
        if let Some(line) = self.line(item) {
            self.text.push_str(": ");
            self.text.push_str(&line);
        }
        self.text.push('\n');
        match item {
            Item::Record(fields) => {
                for (name, field) in fields {
                    self.entry(depth + 1, name, field);
                }
            }
            Item::List(items) if !is_inline(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.entry(depth + 1, &format!("[{index}]"), item);
                }
            }
            _ => {}
        }
    }

    /// What stands on the label's line; nothing for a struct.
    fn line(&self, item: &Item) -> Option<String> {
        Some(match item {
            Item::Number(number) => number.to_string(),
            Item::Code { value, name: Some(name) } => format!("{name} ({value})"),
            Item::Code { value, name: None } if is_grease(*value) => format!("0x{value:04x} (GREASE)"),
            Item::Code { value, name: None } => format!("0x{value:04x}"),
            Item::Word(word) => (*word).to_owned(),
            Item::Time(seconds) => {
                rfc3339(*seconds).unwrap_or_else(|| format!("{seconds} seconds, beyond the year 9999"))
            }
            Item::Bytes(bytes) => self.hex(bytes),
            Item::Text(bytes) => self.hex_and_text(bytes),
            Item::Absent => "absent".to_owned(),
            Item::List(items) if items.is_empty() => "none".to_owned(),
            Item::List(items) if is_inline(items) => {
                items.iter().filter_map(|item| self.line(item)).collect::<Vec<_>>().join(", ")
            }
            Item::List(items) => counted(items.len(), "item"),
            Item::Record(_) => return None,
        })
    }

    fn hex(&self, bytes: &[u8]) -> String {
        const SHOWN: usize = 16;
        let (head, rest) = bytes.split_at_checked(SHOWN).unwrap_or((bytes, &[]));
        match (self.bytes, bytes) {
            (_, []) => "empty".to_owned(),
            (Bytes::Short, _) if bytes.len() > 2 * SHOWN && !rest.is_empty() => {
                format!("{}… ({})", hex::encode(head), counted(bytes.len(), "byte"))
            }
            _ => hex::encode(bytes),
        }
    }

    /// The text is quoted and escaped, so that a message cannot steer the terminal.
    fn hex_and_text(&self, bytes: &[u8]) -> String {
        const SHOWN: usize = 80;
        let mut line = self.hex(bytes);
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && !text.contains(char::is_control));
        if let Some(text) = text {
            let cut = self.bytes == Bytes::Short && text.chars().count() > SHOWN;
            let shown: String = if cut { text.chars().take(SHOWN).collect() } else { text.to_owned() };
            let _infallible = write!(line, " {shown:?}{}", if cut { "…" } else { "" });
        }
        line
    }
}

/// Numbers and code points stand on one line.
fn is_inline(items: &[Item]) -> bool {
    items.iter().all(|item| matches!(item, Item::Code { .. } | Item::Number(_)))
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
