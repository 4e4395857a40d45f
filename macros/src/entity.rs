//! `#[derive(Entity)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, ExprPath, Ident, LitInt, LitStr};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::{hygiene, names};

/// Maximum number of changes that an entity can keep.
const MOST_AUDITED: usize = 1_000;

/// The settings in the attributes.
#[derive(Default)]
struct Attributes {
    name: Option<LitStr>,
    init: Option<ExprPath>,
    reference: Option<Ident>,
    audit: Option<LitInt>,
    crate_path: CratePath,
}

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let attributes = parse_attributes(&item.attrs, &mut errors);
    refuse_misplaced(&item.data, &mut errors);
    let expansion = can_be_entity(&item, &mut errors).then(|| expand(&item, &attributes));
    errors.beside(expansion)
}

fn parse_attributes(attributes: &[Attribute], errors: &mut Errors) -> Attributes {
    let mut found = Attributes::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("entity"))
    {
        let parsed = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                let name: LitStr = meta.value()?.parse()?;
                names::check_entity(&name)?;
                match found.name.replace(name) {
                    Some(_) => Err(meta.error("`name` is set twice")),
                    None => Ok(()),
                }
            } else if meta.path.is_ident("init") {
                match found.init.replace(meta.value()?.parse()?) {
                    Some(_) => Err(meta.error("`init` is set twice")),
                    None => Ok(()),
                }
            } else if meta.path.is_ident("reference") {
                match found.reference.replace(meta.value()?.parse()?) {
                    Some(_) => Err(meta.error("`reference` is set twice")),
                    None => Ok(()),
                }
            } else if meta.path.is_ident("audit") {
                let count: LitInt = meta.value()?.parse()?;
                match count.base10_parse::<usize>()? {
                    1..=MOST_AUDITED => {}
                    _ => return Err(syn::Error::new(count.span(), format!("`audit` keeps 1 to {MOST_AUDITED} changes"))),
                }
                match found.audit.replace(count) {
                    Some(_) => Err(meta.error("`audit` is set twice")),
                    None => Ok(()),
                }
            } else if meta.path.is_ident("crate") {
                found.crate_path.parse(&meta)
            } else {
                Err(meta.error(
                    "unknown attribute; `#[entity(...)]` takes `name = \"...\"`, `init = path`, `reference = Name`, `audit = 20` and `crate = path`",
                ))
            }
        });
        if let Err(error) = parsed {
            errors.add(error);
        }
    }
    found
}

/// Returns whether the item can be expanded. Errors in attributes do not prevent the expansion.
fn can_be_entity(item: &DeriveInput, errors: &mut Errors) -> bool {
    let errors_before = errors.count();
    if !item.generics.params.is_empty() {
        errors.push(
            &item.generics,
            "an entity cannot be generic: its stored name identifies one type; derive `Entity` for a struct that wraps the concrete type",
        );
    }
    if let Data::Union(data) = &item.data {
        errors.push(
            data.union_token,
            "a union cannot be the state of an entity: use a struct or an enum",
        );
    }
    errors.count() == errors_before
}

/// Rejects `#[entity]` on a field or a variant.
fn refuse_misplaced(data: &Data, errors: &mut Errors) {
    let variants = match data {
        Data::Enum(data) => data.variants.iter().collect(),
        Data::Struct(_) | Data::Union(_) => Vec::new(),
    };
    let fields = match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(data) => data.fields.named.iter().collect::<Vec<_>>(),
    };
    let on_variants = variants.into_iter().flat_map(|variant| &variant.attrs);
    let on_fields = fields.into_iter().flat_map(|field| &field.attrs);
    for attribute in on_variants.chain(on_fields) {
        if attribute.path().is_ident("entity") {
            errors.push(
                attribute,
                "`#[entity(...)]` belongs on the struct or enum; use `#[serde(...)]` to set how a field is stored",
            );
        }
    }
}

fn expand(item: &DeriveInput, attributes: &Attributes) -> TokenStream {
    let krate = &attributes.crate_path;
    let private = quote!(#krate::__private);
    let entity = &item.ident;
    let reference = match &attributes.reference {
        Some(reference) => reference.clone(),
        None => format_ident!("{}Ref", entity.unraw(), span = entity.span()),
    };
    let name = match &attributes.name {
        Some(name) => name.value().to_lowercase(),
        None => entity.unraw().to_string().to_lowercase(),
    };
    let audit = attributes
        .audit
        .as_ref()
        .map(|count| quote!(const AUDIT: ::core::primitive::usize = #count;));
    let caller = hygiene::type_parameter("C", &quote!(#item #reference));
    let key = hygiene::local("key");
    let first = match &attributes.init {
        Some(init) => quote_spanned!(init.span()=> #init(#key)),
        None => {
            let first = quote_spanned!(entity.span()=> <#entity as #private::FirstState>::first);
            quote!({ let _ = #key; #first() })
        }
    };
    let reference_type = expand_reference(item, &reference, &caller, krate);
    quote! {
        #reference_type

        #[automatically_derived]
        impl #krate::Entity for #entity {
            const NAME: &'static ::core::primitive::str = #name;
            #audit
            type Ref<#caller: #krate::entity::Caller> = #reference<#caller>;
        }

        #[automatically_derived]
        impl #private::StateCode for #entity {
            fn first(#key: &::core::primitive::str) -> Self {
                #first
            }

            fn clone_to(&self, __abide_saved: &mut ::core::option::Option<Self>) -> ::core::primitive::bool {
                #[allow(unused_imports)]
                use #private::NotClone as _;
                #private::Cloner(self).__abide_clone_to(__abide_saved)
            }
        }
    }
}

/// Expands the type of the reference.
fn expand_reference(item: &DeriveInput, reference: &Ident, caller: &Ident, krate: &CratePath) -> TokenStream {
    let private = quote!(#krate::__private);
    let (entity, visibility) = (&item.ident, &item.vis);
    let description = format!(
        "A reference to one [`{entity}`] entity, held by `{caller}`: a client, an orchestration or another entity."
    );
    quote! {
        #[doc = #description]
        #[allow(dead_code)]
        #visibility struct #reference<#caller> {
            reference: #private::Reference<#caller>,
        }

        #[automatically_derived]
        impl<#caller: ::core::clone::Clone> ::core::clone::Clone for #reference<#caller> {
            fn clone(&self) -> Self {
                Self { reference: ::core::clone::Clone::clone(&self.reference) }
            }
        }

        #[automatically_derived]
        impl<#caller> ::core::fmt::Debug for #reference<#caller> {
            fn fmt(&self, __abide_f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.reference, __abide_f)
            }
        }

        #[automatically_derived]
        impl<#caller: #krate::entity::Caller> #private::ReferenceCode for #reference<#caller> {
            type Entity = #entity;
            type Caller = #caller;

            fn wrap(__abide_reference: #private::Reference<#caller>) -> Self {
                Self { reference: __abide_reference }
            }

            fn reference(&self) -> &#private::Reference<#caller> {
                &self.reference
            }
        }
    }
}
