//! What the audience sees. Colours only on a terminal that wants them.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use crate::output;

/// The colour of each name, as SGR parameters.
const COLOURS: [(&str, &str); 4] = [("alice", "36"), ("bob", "33"), ("charlie", "35"), ("dana", "32")];

/// Where it is shown.
#[derive(Debug)]
pub(super) struct Screen {
    colours: bool,
    tree: String,
}

impl Screen {
    /// Standard output.
    pub(super) fn new() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colours, tree: String::new() }
    }

    /// A new act.
    pub(super) fn act(&self, title: &str) -> Result<(), String> {
        show(&format!("\n{}\n", self.paint("1", title)))
    }

    /// What somebody says, and in which epoch.
    pub(super) fn say(&self, epoch: u64, who: &str, text: &str) -> Result<(), String> {
        show(&format!("  epoch {epoch}  {}  {text}\n", self.name(who)))
    }

    /// What somebody does.
    pub(super) fn note(&self, epoch: u64, who: &str, text: &str) -> Result<(), String> {
        let text = self.paint("2", &format!("* {text}"));
        show(&format!("  epoch {epoch}  {}  {text}\n", self.name(who)))
    }

    /// Something without a place in time.
    pub(super) fn aside(&self, text: &str) -> Result<(), String> {
        show(&format!("           {}\n", self.paint("2", text)))
    }

    /// The ratchet tree, if it is not what was shown last.
    pub(super) fn tree(&mut self, epoch: u64, tree: &str) -> Result<(), String> {
        if self.tree == tree {
            return Ok(());
        }
        self.tree = tree.to_owned();
        let mut text = format!("           ratchet tree of epoch {epoch}\n");
        for line in tree.lines() {
            let _ = writeln!(text, "             {line}");
        }
        show(&self.paint("2", &text))
    }

    /// The end.
    pub(super) fn summary(&self, lines: &[(&str, String)]) -> Result<(), String> {
        let mut text = format!("\n{}\n", self.paint("1", "Summary"));
        for (what, value) in lines {
            let _ = writeln!(text, "  {what:<26}{value}");
        }
        show(&text)
    }

    fn name(&self, who: &str) -> String {
        let padded = format!("{who:<8}");
        let colour = COLOURS.iter().find(|(name, _)| *name == who);
        colour.map_or(padded.clone(), |(_, colour)| self.paint(colour, &padded))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn show(text: &str) -> Result<(), String> {
    output::write(text).map_err(|failure| format!("{failure:?}"))
}
