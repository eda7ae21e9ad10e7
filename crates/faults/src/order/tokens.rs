//! Finds many short strings at once.

use std::collections::HashMap;

/// How much of a token is looked up at once.
const HEAD: usize = 8;

/// Tokens, by what they begin with.
pub(super) struct Tokens<'a> {
    tokens: &'a [&'a [u8]],
    heads: HashMap<&'a [u8], Vec<usize>>,
    /// Which first two bytes occur at all.
    begins: Vec<bool>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(tokens: &'a [&'a [u8]]) -> Self {
        let mut heads: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut begins = vec![false; 1 << 16];
        for (number, token) in tokens.iter().enumerate() {
            heads.entry(&token[..HEAD]).or_default().push(number);
            begins[pair(token)] = true;
        }
        Self { tokens, heads, begins }
    }

    /// Which of them stand in these bytes, and where.
    pub(super) fn find(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        for (at, window) in bytes.windows(HEAD).enumerate() {
            if !self.begins[pair(window)] {
                continue;
            }
            for number in self.heads.get(window).into_iter().flatten() {
                if bytes[at..].starts_with(self.tokens[*number]) {
                    found(*number, at);
                }
            }
        }
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}
