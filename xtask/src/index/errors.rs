//! The variants of errors and the places that make them.
//!
//! A variant is made where an expression names it. Patterns, comparisons, `Display` and `Debug` do
//! not make it. A `From` that turns a variant of one error into another is a rewording: the other
//! is made where the first one is.

use std::ops::Range;

use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, BinOp, Expr, ExprBinary, ExprCall, ExprPath, ExprStruct, File, Ident, ImplItemFn, Item, ItemEnum,
    ItemFn, ItemImpl, ItemMacro, ItemMod, LitStr, Local, Macro, Pat, Path, Stmt, Token, TraitItemFn,
};

use super::items::type_name;
use crate::workspace::{Aliases, Name, Source, attributes_say, is_test_only};

/// The crates whose errors the rows are about. Others have enums of the same names.
const PROTOCOL: [&str; 3] = ["crates/wire/src/", "crates/crypto/src/", "crates/mls/src/"];
/// Those that make errors of the crates above besides.
const PROVIDERS: [&str; 2] = ["crates/rustcrypto/src/", "crates/awslc/src/"];

/// A place that makes a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) name: Name,
    pub(crate) path: String,
    /// `function` or `Type::method`.
    pub(crate) function: String,
    /// Where in the text of the file.
    pub(crate) bytes: Range<usize>,
    pub(crate) line: usize,
}

/// A `From` that turns one variant into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rewording {
    pub(crate) from: Name,
    pub(crate) to: Name,
}

/// Whether a file declares errors that the rows are about.
pub(super) fn declares(source: &Source) -> bool {
    !source.for_tests && PROTOCOL.iter().any(|folder| source.path.starts_with(folder))
}

/// Whether a file makes errors that the rows are about.
pub(super) fn makes(source: &Source) -> bool {
    declares(source) || (!source.for_tests && PROVIDERS.iter().any(|folder| source.path.starts_with(folder)))
}

/// A variant of an enum.
pub(super) struct Variant {
    pub(super) name: Name,
    /// Whether it has no fields.
    pub(super) is_unit: bool,
}

/// The variants of every enum that a file declares, also of `rules!`.
pub(super) fn variants_in(file: &File) -> Vec<Variant> {
    let mut variants = Vec::new();
    for item in &file.items {
        match item {
            Item::Enum(item) => variants.extend(of_enum(item)),
            Item::Macro(item) if item.ident.is_none() && item.mac.path.is_ident("rules") => {
                variants.extend(of_rules(item));
            }
            _ => {}
        }
    }
    variants
}

fn of_enum(item: &ItemEnum) -> impl Iterator<Item = Variant> {
    item.variants.iter().map(|variant| Variant {
        name: Name::new(item.ident.to_string(), variant.ident.to_string()),
        is_unit: variant.fields.is_empty(),
    })
}

fn of_rules(item: &ItemMacro) -> Vec<Variant> {
    let rules = Punctuated::<RuleLine, Token![;]>::parse_terminated.parse2(item.mac.tokens.clone());
    let variant = |rule: RuleLine| Variant { name: Name::new("Rule", rule.0.to_string()), is_unit: true };
    rules.into_iter().flatten().map(variant).collect()
}

/// `Name = "code", "section"`, as `rules!` takes it.
struct RuleLine(Ident);

impl Parse for RuleLine {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.call(Attribute::parse_outer)?;
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        input.parse::<LitStr>()?;
        input.parse::<Token![,]>()?;
        input.parse::<LitStr>()?;
        Ok(Self(name))
    }
}

/// The places of a file that make variants, of whatever enum, and its rewordings.
pub(super) fn made_in(source: &Source, aliases: &Aliases) -> (Vec<Made>, Vec<Rewording>) {
    let mut maker = Maker::new(source, aliases);
    maker.visit_file(&source.syntax);
    (maker.made, maker.rewordings)
}

struct Maker<'a> {
    source: &'a Source,
    aliases: &'a Aliases,
    owner: Option<String>,
    function: Option<String>,
    in_from: bool,
    arm: Vec<Name>,
    made: Vec<Made>,
    rewordings: Vec<Rewording>,
}

impl<'a> Maker<'a> {
    fn new(source: &'a Source, aliases: &'a Aliases) -> Self {
        let (made, rewordings, arm) = (Vec::new(), Vec::new(), Vec::new());
        Self { source, aliases, owner: None, function: None, in_from: false, arm, made, rewordings }
    }

    /// The last two segments of a path, with `Self` and renames resolved.
    fn name(&self, path: &Path) -> Option<Name> {
        let mut segments = path.segments.iter().rev();
        let (item, owner) = (segments.next()?.ident.to_string(), segments.next()?.ident.to_string());
        let owner = if owner == "Self" { self.owner.clone()? } else { self.aliases.resolve(owner) };
        Some(Name { owner, item })
    }

    fn make(&mut self, path: &Path) {
        let Some(to) = self.name(path) else { return };
        if self.in_from && !self.arm.is_empty() {
            self.rewordings.extend(self.arm.iter().map(|from| Rewording { from: from.clone(), to: to.clone() }));
            return;
        }
        let (owner, function) = (self.owner.as_deref(), self.function.as_deref());
        let function = match (owner, function) {
            (Some(owner), Some(function)) => format!("{owner}::{function}"),
            (_, function) => function.unwrap_or_default().to_owned(),
        };
        let (bytes, line) = (path.span().byte_range(), path.span().start().line);
        self.made.push(Made { name: to, path: self.source.path.clone(), function, bytes, line });
    }

    fn inside(&mut self, name: &Ident, visit: impl FnOnce(&mut Self)) {
        let before = self.function.replace(name.to_string());
        visit(self);
        self.function = before;
    }
}

/// Whether an expression is a variant and nothing else.
fn is_bare(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) | Expr::Struct(_) => true,
        Expr::Paren(inner) => is_bare(&inner.expr),
        Expr::Reference(inner) => is_bare(&inner.expr),
        Expr::Call(call) => matches!(&*call.func, Expr::Path(path) if path.path.segments.len() > 1),
        _ => false,
    }
}

/// The variants that a pattern names.
struct Patterns<'a, 'b> {
    maker: &'a Maker<'b>,
    names: Vec<Name>,
}

impl<'ast> Visit<'ast> for Patterns<'_, '_> {
    fn visit_path(&mut self, path: &'ast Path) {
        self.names.extend(self.maker.name(path));
    }
}

impl<'ast> Visit<'ast> for Maker<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last()).map(|last| last.ident.to_string());
        if matches!(of.as_deref(), Some("Display" | "Debug")) || is_test_only(&item.attrs) {
            return;
        }
        let owner = std::mem::replace(&mut self.owner, type_name(&item.self_ty));
        let in_from = std::mem::replace(&mut self.in_from, of.as_deref() == Some("From"));
        visit::visit_item_impl(self, item);
        (self.owner, self.in_from) = (owner, in_from);
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if is_test_only(&item.attrs) || attributes_say(&item.attrs, "test") {
            return;
        }
        self.inside(&item.sig.ident, |maker| visit::visit_item_fn(maker, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test_only(&item.attrs) {
            self.inside(&item.sig.ident, |maker| visit::visit_impl_item_fn(maker, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.inside(&item.sig.ident, |maker| visit::visit_trait_item_fn(maker, item));
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        let mut patterns = Patterns { maker: self, names: Vec::new() };
        patterns.visit_pat(&arm.pat);
        let outer = self.arm.len();
        let names = patterns.names;
        self.arm.extend(names);
        visit::visit_arm(self, arm);
        self.arm.truncate(outer);
    }

    // A pattern makes nothing.
    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if !matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            visit::visit_expr_binary(self, binary);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.make(&path.path);
    }

    fn visit_expr_struct(&mut self, item: &'ast ExprStruct) {
        self.make(&item.path);
        visit::visit_expr_struct(self, item);
    }

    // What is thrown away is returned by nobody.
    fn visit_local(&mut self, local: &'ast Local) {
        let thrown = matches!(local.pat, Pat::Wild(_)) && local.init.as_ref().is_some_and(|init| is_bare(&init.expr));
        if !thrown {
            visit::visit_local(self, local);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        match statement {
            Stmt::Expr(expr, Some(_)) if is_bare(expr) => {}
            _ => visit::visit_stmt(self, statement),
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let dropped = matches!(&*call.func, Expr::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "drop"));
        if !dropped {
            visit::visit_expr_call(self, call);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        // Both arguments of `matches!` compare.
        if call.path.is_ident("matches") {
            return;
        }
        let arguments = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(call.tokens.clone());
        for argument in arguments.into_iter().flatten() {
            Visit::visit_expr(self, &argument);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let source = Source::of_text("crates/mls/src/a.rs", text);
        let (made, rewordings) = made_in(&source, &Aliases::of_file(&source.syntax));
        let made = made.iter().map(|made| format!("{} in {}", made.name, made.function)).collect();
        (made, rewordings.iter().map(|it| format!("{} as {}", it.from, it.to)).collect())
    }

    #[test]
    fn what_an_expression_names_is_made() {
        let (made, _) = read(
            "fn f() -> R { ensure(a, Rule::A)?; x.ok_or(crate::error::Rule::B)?; return Err(Rule::C.into()); }
             impl T { fn m() { let _ = vec![Rule::D]; Err(NotYet::E { epoch }) } }",
        );
        assert_eq!(made, ["Rule::A in f", "Rule::B in f", "Rule::C in f", "Rule::D in T::m", "NotYet::E in T::m"]);
    }

    #[test]
    fn patterns_comparisons_texts_and_tests_make_nothing() {
        let (made, _) = read(
            "fn f() { match e { Rule::A => 1, Rule::B | Rule::C => 2 }; if let Rule::D = e {} if e == Rule::E {}
                      matches!(e, Rule::F); /* Rule::G */ \"Rule::H\"; }
             impl fmt::Display for Rule { fn fmt(&self) { Self::I } }
             #[cfg(test)] mod tests { fn f() { Rule::J } }
             #[test] fn t() { Rule::K }
             macro_rules! m { () => { Rule::L } }",
        );
        assert!(made.is_empty(), "{made:?}");
    }

    #[test]
    fn what_is_thrown_away_is_not_made() {
        let (made, _) = read(
            "fn f() -> R { let _ = Rule::A; Rule::B; let _ = &(NotYet::C { epoch }); drop(Rule::D); mem::drop(Rule::E);
                           NotYet::F(1); let kept = Rule::G; let _ = check(Rule::H); Rule::I }",
        );
        assert_eq!(made, ["Rule::G in f", "Rule::H in f", "Rule::I in f"]);
    }

    #[test]
    fn a_from_is_a_rewording_and_not_a_place() {
        let (made, rewordings) = read(
            "impl From<TreeError> for Error { fn from(error: TreeError) -> Self { match error {
                 TreeError::Out | TreeError::Blank(_) => Self::Rule(Rule::A), TreeError::Other => g(),
             } } }
             fn g() { Err(TreeError::Out) }",
        );
        assert!(rewordings.contains(&"TreeError::Out as Rule::A".to_owned()), "{rewordings:?}");
        assert!(rewordings.contains(&"TreeError::Blank as Rule::A".to_owned()));
        assert_eq!(made, ["TreeError::Out in g"]);
    }

    #[test]
    fn self_and_renames_are_resolved() {
        let (made, _) = read("use e::DecodeErrorKind as Kind; fn f() { Kind::A } impl Rule { fn g() { Self::B } }");
        assert_eq!(made, ["DecodeErrorKind::A in f", "Rule::B in Rule::g"]);
    }

    #[test]
    fn the_variants_of_rules_and_of_enums_are_read() {
        let file =
            syn::parse_file("enum Usage { A, B { x: u8 } } rules! { /// Doc.\nC = \"c\", \"6\"; D = \"d\", \"7\"; }");
        let names: Vec<String> = variants_in(&file.unwrap()).iter().map(|it| it.name.to_string()).collect();
        assert_eq!(names, ["Usage::A", "Usage::B", "Rule::C", "Rule::D"]);
    }
}
