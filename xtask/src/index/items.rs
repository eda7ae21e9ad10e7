//! What a file declares, as a row names it: `function`, `Type`, `Type::method`, `Type::FIELD`.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{
    Fields, File, Ident, ImplItem, ItemConst, ItemEnum, ItemFn, ItemImpl, ItemMacro, ItemStatic, ItemStruct, ItemTrait,
    TraitItem, Type,
};

pub(super) fn of_file(file: &File) -> BTreeSet<String> {
    let mut items = Items::default();
    items.visit_file(file);
    items.0
}

#[derive(Default)]
struct Items(BTreeSet<String>);

impl Items {
    fn own(&mut self, owner: &str, items: impl IntoIterator<Item = Ident>) {
        self.0.extend(items.into_iter().map(|item| format!("{owner}::{item}")));
        self.0.insert(owner.to_owned());
    }
}

/// The last segment of the type that an `impl` is for.
pub(super) fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

fn field_names(fields: &Fields) -> Vec<Ident> {
    fields.iter().filter_map(|field| field.ident.clone()).collect()
}

impl<'ast> Visit<'ast> for Items {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.0.insert(item.sig.ident.to_string());
        visit::visit_item_fn(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.0.insert(item.ident.to_string());
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        self.0.insert(item.ident.to_string());
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        self.0.extend(item.ident.iter().map(ToString::to_string));
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.own(&item.ident.to_string(), field_names(&item.fields));
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.own(&item.ident.to_string(), item.variants.iter().map(|variant| variant.ident.clone()));
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let named = item.items.iter().filter_map(|item| match item {
            TraitItem::Fn(function) => Some(function.sig.ident.clone()),
            TraitItem::Const(constant) => Some(constant.ident.clone()),
            _ => None,
        });
        self.own(&item.ident.to_string(), named);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let named = item.items.iter().filter_map(|item| match item {
            ImplItem::Fn(function) => Some(function.sig.ident.clone()),
            ImplItem::Const(constant) => Some(constant.ident.clone()),
            _ => None,
        });
        if let Some(owner) = type_name(&item.self_ty) {
            self.own(&owner, named);
        }
        visit::visit_item_impl(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_methods_fields_and_variants_are_items() {
        let file = syn::parse_file(
            "fn f() { fn inner() {} } const C: u8 = 1; struct S { field: u8 } impl<T> S { fn m() {} const K: u8 = 1; }
             enum E { V } trait T { fn asked(&self); } mod m { fn deep() {} } impl Default for S { fn default() {} }",
        )
        .unwrap();
        let items = of_file(&file);
        for item in ["f", "inner", "C", "S", "S::field", "S::m", "S::K", "E::V", "T::asked", "deep", "S::default"] {
            assert!(items.contains(item), "{item}");
        }
        assert!(!items.contains("m"));
    }
}
