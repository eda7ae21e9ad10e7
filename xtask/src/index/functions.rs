//! The functions and constants of a file, and what each names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemConst, ItemFn, ItemMacro, ItemMod, ItemStatic, StmtMacro, TraitItemFn};

use crate::workspace::{Aliases, Mentions, Source, Target, attributes_say, is_conditional, is_ignored};

/// A function, a method, or a constant (which a test may name to name what it holds).
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) path: String,
    pub(crate) target: Target,
    pub(crate) name: String,
    pub(crate) is_test: bool,
    pub(crate) is_ignored: bool,
    /// Compiled only where some condition holds, apart from that of tests.
    pub(crate) is_conditional: bool,
    /// Whether it is no part of what is published: a test, or what helps tests.
    pub(crate) for_tests: bool,
    pub(crate) mentions: Mentions,
}

pub(super) fn of_file(source: &Source, aliases: &Aliases) -> Vec<Function> {
    let mut finder = Finder { source, aliases, conditional: source.conditional, found: Vec::new() };
    finder.visit_file(&source.syntax);
    finder.found
}

struct Finder<'a> {
    source: &'a Source,
    aliases: &'a Aliases,
    /// Of the modules that are being read.
    conditional: bool,
    found: Vec<Function>,
}

impl Finder<'_> {
    fn add(&mut self, name: &syn::Ident, attributes: &[Attribute], body: TokenStream) {
        let (is_test, is_ignored) = (attributes_say(attributes, "test"), is_ignored(attributes));
        let before = self.conditional;
        self.conditional |= is_conditional(attributes);
        self.push(name.to_string(), is_test, is_ignored, body);
        self.conditional = before;
    }

    fn push(&mut self, name: String, is_test: bool, is_ignored: bool, body: TokenStream) {
        let mut mentions = Mentions::default();
        mentions.read(body, self.aliases);
        let (path, target) = (self.source.path.clone(), self.source.target.clone());
        let (is_conditional, for_tests) = (self.conditional, self.source.for_tests || is_support(&path));
        self.found.push(Function { path, target, name, is_test, is_ignored, is_conditional, for_tests, mentions });
    }

    /// Tests that stand as `fn row_017_…` in the arguments of a macro.
    fn read_arguments(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut attributes = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                    attributes.push(group.stream().to_string());
                }
                TokenTree::Group(group) => {
                    self.read_arguments(group.stream());
                    attributes.clear();
                }
                TokenTree::Ident(word) if word == "fn" => {
                    let name = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
                    if name.starts_with("row_") {
                        let ignored = attributes.iter().any(|attribute| attribute.starts_with("ignore"));
                        let before = self.conditional;
                        self.conditional |= attributes.iter().any(|attribute| attribute.starts_with("cfg"));
                        self.push(name, true, ignored, body_after(tokens.get(at + 2..).unwrap_or_default()));
                        self.conditional = before;
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => attributes.clear(),
                _ => {}
            }
        }
    }
}

/// Whether a file belongs to a crate that only tests use.
fn is_support(path: &str) -> bool {
    ["crates/insider/", "crates/vectors/", "crates/memcheck/"].iter().any(|folder| path.starts_with(folder))
}

/// What follows the name of a function in the arguments of a macro, up to its end.
fn body_after(tokens: &[TokenTree]) -> TokenStream {
    let mut body = Vec::new();
    for token in tokens {
        body.push(token.clone());
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            TokenTree::Punct(punct) if punct.as_char() == ';' => break,
            _ => {}
        }
    }
    body.into_iter().collect()
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let before = self.conditional;
        self.conditional |= is_conditional(&item.attrs);
        visit::visit_item_mod(self, item);
        self.conditional = before;
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig.ident, &item.attrs, item.block.to_token_stream());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig.ident, &item.attrs, item.block.to_token_stream());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.add(&item.sig.ident, &item.attrs, item.default.to_token_stream());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.add(&item.ident, &item.attrs, item.expr.to_token_stream());
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        self.add(&item.ident, &item.attrs, item.expr.to_token_stream());
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        // The text of a `macro_rules!` is no function until somebody calls it.
        if item.ident.is_none() {
            self.read_arguments(item.mac.tokens.clone());
        }
    }

    fn visit_stmt_macro(&mut self, _inside_a_function: &'ast StmtMacro) {}
}
