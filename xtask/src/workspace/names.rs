//! What code names: variants, functions, attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, File, Item, Meta, Token, UseTree};

/// A variant or a method: the last two segments of its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) owner: String,
    pub(crate) item: String,
}

impl Name {
    pub(crate) fn new(owner: impl Into<String>, item: impl Into<String>) -> Self {
        Self { owner: owner.into(), item: item.into() }
    }

    /// Reads `Rule::WrongGroup`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (owner, item) = text.split_once("::")?;
        let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
        (word(owner) && word(item)).then(|| Self::new(owner, item))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.owner, self.item)
    }
}

/// The names that `use … as …` gives in a file, with what they stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aliases(BTreeMap<String, String>);

impl Aliases {
    pub(crate) fn of_file(file: &File) -> Self {
        let mut aliases = Self::default();
        aliases.read_items(&file.items);
        aliases
    }

    fn read_items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Use(item) => self.read_tree(&item.tree),
                Item::Mod(module) => {
                    if let Some((_, items)) = &module.content {
                        self.read_items(items);
                    }
                }
                _ => {}
            }
        }
    }

    fn read_tree(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.read_tree(&path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.read_tree(tree)),
            UseTree::Rename(rename) => {
                self.0.insert(rename.rename.to_string(), rename.ident.to_string());
            }
            UseTree::Name(_) | UseTree::Glob(_) => {}
        }
    }

    /// What a name stands for; itself where nothing renames it.
    pub(crate) fn resolve(&self, name: String) -> String {
        self.0.get(&name).cloned().unwrap_or(name)
    }
}

/// What a piece of code names, arguments of macros included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mentions {
    /// Every `Owner::item`.
    pub(crate) names: BTreeSet<Name>,
    /// What may be a function that is called or handed over, or a constant.
    pub(crate) uses: BTreeSet<String>,
    /// Every word: fields and types too.
    pub(crate) words: BTreeSet<String>,
}

impl Mentions {
    pub(crate) fn read(&mut self, tokens: TokenStream, aliases: &Aliases) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let punct = |at: Option<usize>, wanted: char| {
            at.and_then(|at| tokens.get(at)).is_some_and(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == wanted))
        };
        let present = |at: Option<usize>| at.is_some_and(|at| tokens.get(at).is_some());
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.read(group.stream(), aliases),
                TokenTree::Ident(ident) => {
                    let before = |n: usize| at.checked_sub(n);
                    let word = ident.to_string();
                    if punct(before(1), ':')
                        && punct(before(2), ':')
                        && let Some(TokenTree::Ident(owner)) = before(3).and_then(|at| tokens.get(at))
                    {
                        self.names.insert(Name::new(aliases.resolve(owner.to_string()), word.clone()));
                    }
                    let next = tokens.get(at + 1);
                    let called =
                        matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                    let alone = (!present(before(1)) || punct(before(1), ',') || punct(before(1), '&'))
                        && (next.is_none() || punct(Some(at + 1), ','));
                    let constant = word.chars().all(|c| c.is_uppercase() || c.is_numeric() || c == '_');
                    if called || alone || constant {
                        self.uses.insert(word.clone());
                    }
                    self.words.insert(word);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

/// Whether the attributes compile an item for tests only.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
    })
}

/// Whether the attributes compile an item only where something holds that `cargo test` does not see
/// to: any condition but `test`.
pub(crate) fn is_conditional(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = || attribute.parse_args::<Meta>();
        attribute.path().is_ident("cfg") && !condition().is_ok_and(|meta| meta.path().is_ident("test"))
    })
}

/// Whether a test is ignored, be it only where some condition holds.
pub(crate) fn is_ignored(attributes: &[Attribute]) -> bool {
    let by_condition = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            list.tokens.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(word) if word == "ignore"))
        }
        _ => false,
    };
    attributes_say(attributes, "ignore") || attributes.iter().any(by_condition)
}

fn needs_test(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|inner| inner.iter().any(needs_test)),
        _ => false,
    }
}

/// Whether one of the attributes is this one; for `test`, also `tokio::test` and the like.
pub(crate) fn attributes_say(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(code: &str) -> Mentions {
        let file = syn::parse_file("use a::{DecodeErrorKind as Kind, b::C as D};").unwrap();
        let mut mentions = Mentions::default();
        mentions.read(code.parse().unwrap(), &Aliases::of_file(&file));
        mentions
    }

    #[test]
    fn names_are_found_in_macros_and_through_renames() {
        let found =
            mentions("assert_eq!(f(x), Err(crate::error::Rule::A)); Kind::B { n: D::C }; // Rule::No\n\"Rule::No\"");
        let names: Vec<String> = found.names.iter().map(Name::to_string).collect();
        assert_eq!(names, ["C::C", "DecodeErrorKind::B", "Rule::A", "crate::error", "error::Rule"]);
    }

    #[test]
    fn calls_functions_handed_over_and_constants_are_uses_and_variables_are_not() {
        let found = mentions("let local = 1; cases.map(handed); called(local + 1).field.method(); for c in TABLE {}");
        for used in ["handed", "called", "method", "TABLE"] {
            assert!(found.uses.contains(used), "{used}");
        }
        assert!(!found.uses.contains("field") && !found.uses.contains("cases"));
    }

    #[test]
    fn an_item_is_for_tests_only_where_the_condition_needs_it() {
        for (attribute, expected) in [
            ("#[cfg(test)]", true),
            ("#[cfg(all(feature = \"x\", test))]", true),
            ("#[cfg(not(test))]", false),
            ("#[cfg(any(test, feature = \"x\"))]", false),
        ] {
            let item: syn::ItemMod = syn::parse_str(&format!("{attribute} mod m {{}}")).unwrap();
            assert_eq!(is_test_only(&item.attrs), expected, "{attribute}");
        }
    }

    #[test]
    fn any_condition_but_that_of_tests_is_one() {
        for (attribute, expected) in [
            ("#[cfg(test)]", false),
            ("#[test]", false),
            ("#[cfg(feature = \"x\")]", true),
            ("#[cfg(all(test, unix))]", true),
            ("#[cfg(any(test, unix))]", true),
            ("#[cfg(not(test))]", true),
        ] {
            let item: syn::ItemMod = syn::parse_str(&format!("{attribute} mod m {{}}")).unwrap();
            assert_eq!(is_conditional(&item.attrs), expected, "{attribute}");
        }
    }

    #[test]
    fn a_test_that_is_ignored_somewhere_is_ignored() {
        for (attribute, expected) in [
            ("#[ignore]", true),
            ("#[ignore = \"slow\"]", true),
            ("#[cfg_attr(unix, ignore)]", true),
            ("#[cfg_attr(unix, inline)]", false),
            ("#[doc = \"ignore\"]", false),
        ] {
            let item: syn::ItemFn = syn::parse_str(&format!("{attribute} fn f() {{}}")).unwrap();
            assert_eq!(is_ignored(&item.attrs), expected, "{attribute}");
        }
    }
}
