//! `#[operations]`.

mod attributes;
mod awaits;
mod dispatch;
mod method;
mod model;
mod parameter;
mod reference;
mod resources;
mod strip;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{ImplItem, Item, ItemImpl, Path, Type};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::types;
use model::{EntityImpl, Operation};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let user = quote!(#arguments #item);
    let settings = parse_arguments(arguments, &mut errors);
    let item = match syn::parse2(item.clone()) {
        Ok(Item::Impl(item)) => item,
        Ok(other) => {
            errors.push(
                &other,
                "`#[operations]` belongs on the inherent `impl` of an entity: its `pub fn`s are the operations",
            );
            return errors.beside(item);
        }
        Err(error) => {
            errors.add(error);
            return errors.beside(item);
        }
    };
    let Some(entity) = read_impl(&item, settings, &mut errors) else {
        return errors.beside(strip::helpers(item));
    };
    let operations = dispatch::expand(&entity);
    let reference = reference::expand(&entity, &user);
    let item = strip::helpers(item);
    errors.beside(quote!(#item #operations #reference))
}

/// The settings in the attribute.
#[derive(Default)]
struct Settings {
    crate_path: CratePath,
    reference: Option<Path>,
}

fn parse_arguments(arguments: TokenStream, errors: &mut Errors) -> Settings {
    let mut settings = Settings::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            settings.crate_path.parse(&meta)
        } else if meta.path.is_ident("reference") {
            match settings.reference.replace(meta.value()?.parse()?) {
                Some(_) => Err(meta.error("`reference` is set twice")),
                None => Ok(()),
            }
        } else {
            Err(meta.error("unknown attribute; `#[operations(...)]` takes `reference = Name` and `crate = path`"))
        }
    });
    if let Err(error) = parser.parse2(arguments) {
        errors.add(error);
    }
    settings
}

/// Reads the impl into the model. Returns `None` if it cannot be the impl of an entity.
fn read_impl(item: &ItemImpl, settings: Settings, errors: &mut Errors) -> Option<EntityImpl> {
    if let Some((path, _)) = &item.trait_ {
        errors.push(
            path,
            "operations must be in an inherent impl: remove the trait, or put `#[operations]` on another impl",
        );
        return None;
    }
    if !item.generics.params.is_empty() {
        errors.push(
            &item.generics,
            "an entity cannot be generic: its stored name identifies one type",
        );
        return None;
    }
    let self_type = match types::ungrouped(&item.self_ty) {
        Type::Path(path) if path.qself.is_none() => path.path.clone(),
        other => {
            errors.push(
                other,
                "`#[operations]` belongs on the `impl` of a struct or an enum with `#[derive(Entity)]`",
            );
            return None;
        }
    };
    if let Some(last) = self_type.segments.last().filter(|last| !last.arguments.is_none()) {
        errors.push(
            &last.arguments,
            "an entity cannot be generic: its stored name identifies one type",
        );
        return None;
    }
    let mut operations: Vec<Operation> = Vec::new();
    for item in &item.items {
        match item {
            ImplItem::Fn(method) => operations.extend(method::read(method, &self_type, errors)),
            ImplItem::Const(item) => attributes::refuse_misplaced(&item.attrs, errors),
            ImplItem::Type(item) => attributes::refuse_misplaced(&item.attrs, errors),
            ImplItem::Macro(item) => attributes::refuse_misplaced(&item.attrs, errors),
            _ => {}
        }
    }
    refuse_duplicates(&operations, errors);
    Some(EntityImpl {
        crate_path: settings.crate_path,
        reference: settings.reference.unwrap_or_else(|| reference::path(&self_type)),
        self_type,
        cfgs: item
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .cloned()
            .collect(),
        operations,
    })
}

/// Rejects two operations with one stored name. Two with a `cfg` may exclude each other, so the compiler decides about
/// them.
fn refuse_duplicates(operations: &[Operation], errors: &mut Errors) {
    for (at, operation) in operations.iter().enumerate() {
        let clash = operations[..at]
            .iter()
            .any(|earlier| earlier.name == operation.name && (earlier.cfgs.is_empty() || operation.cfgs.is_empty()));
        if clash {
            errors.push(
                &operation.ident,
                format!(
                    "duplicate stored name `{}`: names identify operations, so rename one of them",
                    operation.name
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    /// An invalid item is emitted unchanged, followed by every error.
    #[test]
    fn the_item_comes_out_beside_errors() {
        for (item, errors) in [
            (quote!(impl Account { pub fn id(&self) {} pub fn take(self) {} }), 2),
            (
                quote!(
                    impl<T> Account<T> {
                        pub fn get(&self) {}
                    }
                ),
                1,
            ),
            (quote!(impl Clone for Account { fn clone(&self) -> Self { Self } }), 1),
            (
                quote!(
                    struct Account;
                ),
                1,
            ),
            (quote!(fn broken), 1),
        ] {
            let text = expand(TokenStream::new(), item.clone()).to_string();
            assert!(text.contains(&item.to_string()), "{text}");
            assert_eq!(text.matches("compile_error").count(), errors, "{text}");
        }
    }

    /// Only the macro's own attributes are removed.
    #[test]
    fn only_helper_attributes_are_removed() {
        let item = quote! {
            impl Account {
                #[operation(name = "put")]
                #[inline]
                pub fn add(&mut self, #[serde(default)] #[allow(unused)] cents: i64) {}
            }
        };
        let text = expand(TokenStream::new(), item).to_string();
        let method = quote!(
            #[inline]
            pub fn add(&mut self, #[allow(unused)] cents: i64) {}
        )
        .to_string();
        assert!(text.contains(&method), "{text}");
        assert!(!text.contains("serde (") && !text.contains("# [operation"), "{text}");
    }
}
