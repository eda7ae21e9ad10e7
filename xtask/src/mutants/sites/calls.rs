//! The calls that only judge: what changes nothing and returns nothing but an error.
//!
//! A rule is enforced on several paths by one function that several others call. Taking the error
//! out of that function says nothing about a path that forgets to call it; taking out the call does.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Expr, FnArg, GenericArgument, ImplItemFn, ItemFn, ItemImpl, ItemMod, PathArguments, ReturnType, Signature, Stmt,
};
use syn::{TraitItemFn, Type};

use super::{Site, Way, bytes, removed};
use crate::workspace::{Source, is_test_only};

/// Judges too, but makes its error in place: taking it out is taking out the check.
const IN_PLACE: &str = "ensure";
/// Errors of storage: the call asks for records, it judges nothing.
const OF_STORAGE: [&str; 3] = ["Missing", "MalformedRecord", "Fault"];

/// Every call in `here` of a function of the sources that returns nothing but an error.
pub(in crate::mutants) fn calls(sources: &[Source], here: &str) -> Vec<Site> {
    let ours = |source: &&Source| !source.for_tests && source.path.starts_with("crates/");
    let mut judges = Judges::default();
    sources.iter().filter(ours).for_each(|source| judges.visit_file(&source.syntax));
    let mut sites: Vec<Site> = Vec::new();
    for source in sources.iter().filter(ours).filter(|source| source.path.starts_with(here)) {
        let mut finder = Finder { judges: &judges.names, owner: None, function: None, found: Vec::new() };
        finder.visit_file(&source.syntax);
        for call in finder.found {
            let path = source.path.clone();
            let stem = format!("{path}::{} calls {}", call.function, call.callee);
            let earlier = sites.iter().filter(|site| site.key.starts_with(&format!("{stem} "))).count();
            let key = format!("{stem} {}", earlier + 1);
            sites.push(Site { name: None, path, line: call.line, key, ways: vec![call.way] });
        }
    }
    sites
}

/// The names of the functions that judge.
#[derive(Default)]
struct Judges {
    names: BTreeSet<String>,
}

impl Judges {
    fn add(&mut self, signature: &Signature) {
        let judges = error_alone(signature).is_some_and(|error| !OF_STORAGE.contains(&error.as_str()));
        if judges && !signature.inputs.iter().any(changes) {
            self.names.insert(signature.ident.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Judges {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.add(&item.sig);
    }
}

/// Whether something that is handed over may be changed.
fn changes(input: &FnArg) -> bool {
    match input {
        FnArg::Receiver(receiver) => receiver.mutability.is_some(),
        FnArg::Typed(argument) => matches!(&*argument.ty, Type::Reference(of) if of.mutability.is_some()),
    }
}

/// The error of a function that returns `Result<(), Error>`.
fn error_alone(signature: &Signature) -> Option<String> {
    let ReturnType::Type(_, of) = &signature.output else { return None };
    let Type::Path(of) = &**of else { return None };
    let result = of.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &result.arguments else { return None };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(Type::Tuple(unit))), Some(GenericArgument::Type(Type::Path(error))))
            if unit.elems.is_empty() =>
        {
            Some(error.path.segments.last()?.ident.to_string())
        }
        _ => None,
    }
}

/// An error is as good as none.
const IGNORED: &str = ") { Err(_) if # => Ok(()), outcome => outcome })";

struct Call {
    function: String,
    callee: String,
    line: usize,
    way: Way,
}

struct Finder<'a> {
    judges: &'a BTreeSet<String>,
    owner: Option<String>,
    function: Option<String>,
    found: Vec<Call>,
}

impl Finder<'_> {
    fn inside(&mut self, signature: &Signature, block: &syn::Block, visit: impl FnOnce(&mut Self)) {
        let before = self.function.replace(signature.ident.to_string());
        if error_alone(signature).is_some()
            && let Some(Stmt::Expr(last, None)) = block.stmts.last()
        {
            self.add(last);
        }
        visit(self);
        self.function = before;
    }

    /// Notes a call, if it is one of a function that judges. What else the function does is still
    /// done, so that only those tests can notice in which it refuses.
    fn add(&mut self, call: &Expr) {
        let Some(callee) = callee(call).filter(|callee| callee != IN_PLACE && self.judges.contains(callee)) else {
            return;
        };
        let function = self.function.clone().unwrap_or_default();
        let function = self.owner.iter().cloned().chain([function]).collect::<Vec<_>>().join("::");
        let line = call.span().start().line;
        self.found.push(Call { function, callee, line, way: removed(&bytes(call), "(match (", IGNORED) });
    }
}

/// What is called, also where its error is made another one.
fn callee(call: &Expr) -> Option<String> {
    match call {
        Expr::MethodCall(call) if call.method == "map_err" => callee(&call.receiver),
        Expr::MethodCall(call) => Some(call.method.to_string()),
        Expr::Call(call) => match &*call.func {
            Expr::Path(function) => Some(function.path.segments.last()?.ident.to_string()),
            _ => None,
        },
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = match &*item.self_ty {
            Type::Path(of) => of.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let before = std::mem::replace(&mut self.owner, of);
        visit::visit_item_impl(self, item);
        self.owner = before;
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test_only(&item.attrs) {
            self.inside(&item.sig, &item.block, |finder| visit::visit_item_fn(finder, item));
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test_only(&item.attrs) {
            self.inside(&item.sig, &item.block, |finder| visit::visit_impl_item_fn(finder, item));
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(Expr::Try(inner), Some(_)) = statement {
            self.add(&inner.expr);
        }
        visit::visit_stmt(self, statement);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn found(code: &str) -> Vec<String> {
        let judges = "fn check(a: u8) -> Result<(), Rule> {} fn ask() -> Result<(), Missing> {} fn make() -> Result<u8, Rule> {} fn add(&mut self) -> Result<(), Rule> {}";
        let sources = [Source::of_text("crates/mls/src/a.rs", code), Source::of_text("crates/wire/src/b.rs", judges)];
        let put = |site: Site| {
            let [Way { bytes, before, behind, kind: Kind::Removed }] = &site.ways[..] else { panic!("{site:?}") };
            let (rest, after) = code.split_at(bytes.end);
            let (ahead, call) = rest.split_at(bytes.start);
            let whole = [ahead, before, call, behind, after].concat();
            syn::parse_file(&whole.replace('#', "on()")).unwrap();
            format!("{}: {whole}", site.key)
        };
        calls(&sources, "crates/mls/src/").into_iter().map(put).collect()
    }

    #[test]
    fn the_verdict_of_a_call_that_only_judges_is_ignored() {
        assert_eq!(
            found("impl A { fn f() -> u8 { self.check(1)?; ask()?; self.add()?; let b = make()?; b } }"),
            ["crates/mls/src/a.rs::A::f calls check 1: impl A { fn f() -> u8 { (match (self.check(1)) \
              { Err(_) if # => Ok(()), outcome => outcome })?; ask()?; self.add()?; let b = make()?; b } }"]
        );
    }

    #[test]
    fn calls_of_one_function_are_told_apart() {
        let keys = found("fn f() { check(1)?; for a in b { check(a).map_err(Error::from)?; } }");
        let starts = ["crates/mls/src/a.rs::f calls check 1: ", "crates/mls/src/a.rs::f calls check 2: "];
        assert_eq!(keys.len(), 2);
        assert!(keys.iter().zip(starts).all(|(key, start)| key.starts_with(start)), "{keys:?}");
    }

    #[test]
    fn the_last_call_of_a_function_that_judges_is_taken_out() {
        let last = found("fn f() -> Result<(), Error> { check(1) }");
        assert_eq!(
            last,
            ["crates/mls/src/a.rs::f calls check 1: fn f() -> Result<(), Error> \
                    { (match (check(1)) { Err(_) if # => Ok(()), outcome => outcome }) }"]
        );
        assert!(found("fn f() -> Result<u8, Error> { check(1) }").is_empty());
    }
}
