//! From the root of a target to its files, as `mod` names them.

use std::path::{Path, PathBuf};

use syn::{Expr, ExprLit, Item, ItemMod, Lit, Meta};

use super::{Source, Target, is_conditional, is_test_only, read};

/// A module whose file is to be read.
struct Waiting {
    file: PathBuf,
    /// Where its own modules lie.
    folder: PathBuf,
    for_tests: bool,
    conditional: bool,
}

pub(super) fn of_root(root: &Path, file: &Path, target: &Target) -> Result<Vec<Source>, String> {
    let for_tests = matches!(target.kind.as_str(), "test" | "bench" | "example");
    let folder = file.parent().unwrap_or(root).to_owned();
    let mut waiting = vec![Waiting { file: file.to_owned(), folder, for_tests, conditional: false }];
    let mut sources = Vec::new();
    while let Some(next) = waiting.pop() {
        let text = read(&next.file)?;
        let syntax = syn::parse_file(&text).map_err(|error| format!("{}: {error}\n", next.file.display()))?;
        let next = Waiting { conditional: next.conditional || is_conditional(&syntax.attrs), ..next };
        waiting.extend(named_in(&syntax.items, &next)?);
        let path = next.file.strip_prefix(root).unwrap_or(&next.file);
        let path = path.to_string_lossy().replace('\\', "/");
        let (target, for_tests, conditional) = (target.clone(), next.for_tests, next.conditional);
        sources.push(Source { path, target, for_tests, conditional, text, syntax });
    }
    Ok(sources)
}

/// The modules that a list of items names and that lie in other files.
fn named_in(items: &[Item], within: &Waiting) -> Result<Vec<Waiting>, String> {
    let mut found = Vec::new();
    for item in items {
        let Item::Mod(module) = item else { continue };
        let for_tests = within.for_tests || is_test_only(&module.attrs);
        let conditional = within.conditional || is_conditional(&module.attrs);
        let folder = within.folder.join(module.ident.to_string());
        if let Some((_, items)) = &module.content {
            found.extend(named_in(items, &Waiting { file: within.file.clone(), folder, for_tests, conditional })?);
        } else {
            found.push(Waiting { conditional, ..file_of(module, within, folder, for_tests)? });
        }
    }
    Ok(found)
}

fn file_of(module: &ItemMod, within: &Waiting, folder: PathBuf, for_tests: bool) -> Result<Waiting, String> {
    if let Some(path) = path_attribute(module) {
        let file = within.file.parent().unwrap_or(&within.folder).join(path);
        let folder = file.parent().unwrap_or(&within.folder).to_owned();
        return Ok(Waiting { file, folder, for_tests, conditional: false });
    }
    let beside = within.folder.join(format!("{}.rs", module.ident));
    let inside = folder.join("mod.rs");
    let file = [beside, inside].into_iter().find(|file| file.exists());
    let file = file.ok_or_else(|| format!("{}: no file for mod {}\n", within.file.display(), module.ident))?;
    Ok(Waiting { file, folder, for_tests, conditional: false })
}

fn path_attribute(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}
