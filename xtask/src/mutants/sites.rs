//! The places that make an error, and how each check can be made vacuous.
//!
//! A switch is put around the code: with it off the program is what it was. So all checks can be
//! prepared at once, compiled once, and taken out one at a time when the tests run. A switch is
//! asked only when the check refuses, so that a trace names the tests that can notice.

pub(super) mod calls;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, BinOp, Expr, ExprBinary, ExprCall, ExprIf, ExprMatch, ExprMethodCall, ExprPath, ExprReturn, ExprStruct, Pat,
    Stmt,
};

use crate::index::Index;
use crate::workspace::{Name, Source};

/// An error that the engine turns into any of its errors, for enums that have no simpler variant.
const ANY_ERROR: &str = "crate::error::Rule::WrongGroup";

/// A place where a check can be taken out.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// What the place makes, if it makes an error.
    pub(super) name: Option<Name>,
    pub(super) path: String,
    pub(super) line: usize,
    /// Stays the same when lines move: path, function, variant or call, and which of several.
    pub(super) key: String,
    /// Ways to take the check out, the best one first.
    pub(super) ways: Vec<Way>,
}

/// What is put before and behind a piece of code. `#` stands for the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) kind: Kind,
    pub(super) bytes: Range<usize>,
    pub(super) before: String,
    pub(super) behind: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// The check passes whatever it finds.
    Removed,
    /// Another error is returned, because without one there is nothing to go on with.
    Exchanged,
}

/// Every place that makes one of these variants, directly or by what is reworded as it.
pub(super) fn sites(sources: &[Source], index: &Index, wanted: &BTreeSet<Name>) -> Vec<Site> {
    let mut sites = Vec::new();
    for source in sources {
        let places = wanted.iter().flat_map(|name| index.places(name)).filter(|made| made.path == source.path);
        let mut places: Vec<_> = places.collect();
        places.sort_by_key(|made| made.bytes.start);
        places.dedup_by_key(|made| made.bytes.start);
        if places.is_empty() {
            continue;
        }
        let mut finder = Finder { source, index, within: Vec::new(), found: Vec::new() };
        finder.visit_file(&source.syntax);
        for made in places {
            let ways = finder.found.iter().find(|found| found.start == made.bytes.start);
            let ways = ways.map(|found| found.ways.clone()).unwrap_or_default();
            let (name, path) = (made.name.clone(), made.path.clone());
            let stem = format!("{path}::{} {name}", made.function);
            let earlier = sites.iter().filter(|site: &&Site| site.key.starts_with(&format!("{stem} "))).count();
            sites.push(Site { name: Some(name), path, line: made.line, key: format!("{stem} {}", earlier + 1), ways });
        }
    }
    sites
}

/// What surrounds the expression that makes an error.
#[derive(Clone, Debug)]
enum Within {
    /// `ensure(condition, error)`.
    Ensure { condition: Range<usize> },
    /// `receiver.ok_or(error)` or `receiver.ok_or_else(|| error)`.
    OkOr { receiver: Range<usize>, whole: Range<usize> },
    /// `receiver.map_err(|_| error)`.
    MapErr { receiver: Range<usize> },
    /// `return …`, with the semicolon where there is one.
    Return { whole: Range<usize> },
    /// `Err(…)`.
    Err { whole: Range<usize> },
    /// A branch: what surrounds it serves the other branches as well.
    Branch,
}

struct Found {
    /// Where the path of the variant begins.
    start: usize,
    ways: Vec<Way>,
}

struct Finder<'a> {
    source: &'a Source,
    index: &'a Index,
    within: Vec<Within>,
    found: Vec<Found>,
}

fn bytes(of: &impl Spanned) -> Range<usize> {
    of.span().byte_range()
}

impl Finder<'_> {
    fn inside(&mut self, within: Within, visit: impl FnOnce(&mut Self)) {
        self.within.push(within);
        visit(self);
        self.within.pop();
    }

    /// The expression `whole` makes the variant that `path` names.
    fn make(&mut self, path: &syn::Path, whole: Range<usize>) {
        let (mut ways, mut last) = (Vec::new(), None);
        let mut outward = self.within.iter().rev();
        match outward.next() {
            Some(Within::Ensure { condition }) => {
                ways.push(removed(condition, "(match ", " { false if # => true, holds => holds })"))
            }
            Some(Within::OkOr { receiver, whole }) => {
                let behind = ").or_else(|| if # { Some(Default::default()) } else { None })";
                ways.push(removed(receiver, "(", behind));
                // The argument is evaluated also where nothing is absent.
                ways.extend(self.other(path).map(|other| {
                    let behind = format!(").map_err(|error| if # {{ {other} }} else {{ error }})");
                    Way { kind: Kind::Exchanged, bytes: whole.clone(), before: "(".to_owned(), behind }
                }));
            }
            Some(Within::MapErr { receiver }) => {
                let behind = ").or_else(|error| if # { Ok(Default::default()) } else { Err(error) })";
                ways.push(removed(receiver, "(", behind));
            }
            Some(Within::Return { whole }) => ways.extend(without_return(whole)),
            Some(Within::Err { whole }) => {
                if let Some(Within::Return { whole }) = outward.next() {
                    ways.extend(without_return(whole));
                }
                ways.push(removed(whole, "(if # { Ok(Default::default()) } else { ", " })"));
                last = Some(exchanged(whole, &format!("Err({ANY_ERROR}.into())")));
            }
            Some(Within::Branch) | None => {}
        }
        ways.extend(self.other(path).map(|other| exchanged(&whole, &other)));
        ways.extend(last);
        self.found.push(Found { start: bytes(path).start, ways });
    }

    /// Another variant of the same error, with the path written as it is there.
    fn other(&self, path: &syn::Path) -> Option<String> {
        let text = self.source.text.get(bytes(path))?;
        let (prefix, item) = text.rsplit_once("::")?;
        let other = self.index.other_unit_variant(&self.owner_of(prefix), item)?;
        Some(format!("{prefix}::{other}"))
    }

    /// The enum that the start of a path names.
    fn owner_of(&self, prefix: &str) -> String {
        let last = prefix.rsplit("::").next().unwrap_or(prefix).to_owned();
        crate::workspace::Aliases::of_file(&self.source.syntax).resolve(last)
    }
}

fn removed(bytes: &Range<usize>, before: &str, behind: &str) -> Way {
    Way { kind: Kind::Removed, bytes: bytes.clone(), before: before.to_owned(), behind: behind.to_owned() }
}

fn exchanged(bytes: &Range<usize>, other: &str) -> Way {
    let before = format!("(if # {{ {other} }} else {{ ");
    Way { kind: Kind::Exchanged, bytes: bytes.clone(), before, behind: " })".to_owned() }
}

/// A `return` that is not taken: as a statement, or as an expression that is worth something.
fn without_return(whole: &Range<usize>) -> [Way; 2] {
    [removed(whole, "if !# { ", " }"), removed(whole, "(if # { Default::default() } else { ", " })")]
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        match statement {
            Stmt::Expr(Expr::Return(inner), Some(_)) => {
                let whole = bytes(statement);
                self.inside(Within::Return { whole }, |finder| visit::visit_expr_return(finder, inner));
            }
            _ => visit::visit_stmt(self, statement),
        }
    }

    fn visit_expr_return(&mut self, expression: &'ast ExprReturn) {
        let whole = bytes(expression);
        self.inside(Within::Return { whole }, |finder| visit::visit_expr_return(finder, expression));
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let Expr::Path(function) = &*call.func else { return visit::visit_expr_call(self, call) };
        let name = function.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        match name.as_str() {
            "Err" => {
                let whole = bytes(call);
                self.inside(Within::Err { whole }, |finder| visit::visit_expr_call(finder, call));
            }
            "ensure" if call.args.len() == 2 => {
                let Some(condition) = call.args.first().map(bytes) else { return };
                self.inside(Within::Ensure { condition }, |finder| visit::visit_expr_call(finder, call));
            }
            _ if function.path.segments.len() > 1 => {
                self.make(&function.path, bytes(call));
                call.args.iter().for_each(|argument| self.visit_expr(argument));
            }
            _ => visit::visit_expr_call(self, call),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let receiver = bytes(&call.receiver);
        self.visit_expr(&call.receiver);
        let within = match call.method.to_string().as_str() {
            "ok_or" | "ok_or_else" => Some(Within::OkOr { receiver, whole: bytes(call) }),
            "map_err" => Some(Within::MapErr { receiver }),
            _ => None,
        };
        let arguments = |finder: &mut Self| call.args.iter().for_each(|argument| finder.visit_expr(argument));
        match within {
            Some(within) => self.inside(within, arguments),
            None => arguments(self),
        }
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.make(&path.path, bytes(path));
    }

    fn visit_expr_struct(&mut self, item: &'ast ExprStruct) {
        self.make(&item.path, bytes(item));
        visit::visit_expr_struct(self, item);
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if !matches!(binary.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            visit::visit_expr_binary(self, binary);
        }
    }

    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        self.inside(Within::Branch, |finder| visit::visit_expr_if(finder, branch));
    }

    fn visit_expr_match(&mut self, branch: &'ast ExprMatch) {
        self.inside(Within::Branch, |finder| visit::visit_expr_match(finder, branch));
    }

    // A pattern makes nothing.
    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.visit_expr(&arm.body);
    }
}

#[cfg(test)]
mod tests;
