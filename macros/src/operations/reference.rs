//! The methods of the reference: one for each operation.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Path;
use syn::ext::IdentExt;

use super::model::{Argument, EntityImpl, Operation, Parameter, Passing};
use crate::{hygiene, names};

/// Expands `impl AccountRef`. `user` is the complete code of the user.
pub(super) fn expand(entity: &EntityImpl, user: &TokenStream) -> TokenStream {
    let krate = &entity.crate_path;
    let reference = &entity.reference;
    let cfgs = &entity.cfgs;
    let caller = hygiene::type_parameter("C", user);
    let methods = entity
        .operations
        .iter()
        .map(|operation| method(entity, operation, &caller));
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        #[allow(dead_code, unreachable_pub, deprecated, clippy::all, clippy::pedantic)]
        impl<#caller: #krate::entity::Caller> #reference<#caller> {
            #(#methods)*
        }
    }
}

/// Returns the default path of the reference: `AccountRef` beside `Account`.
pub(super) fn path(self_type: &Path) -> Path {
    let mut path = self_type.clone();
    if let Some(last) = path.segments.last_mut() {
        last.ident = format_ident!("{}Ref", last.ident.unraw(), span = last.ident.span());
    }
    path
}

fn method(entity: &EntityImpl, operation: &Operation, caller: &Ident) -> TokenStream {
    let krate = &entity.crate_path;
    let Operation {
        ident,
        name,
        shown,
        cfgs,
        ..
    } = operation;
    let arguments: Vec<&Argument> = operation
        .parameters
        .iter()
        .filter_map(|parameter| match parameter {
            Parameter::Argument(argument) => Some(argument),
            Parameter::Context(_) | Parameter::ReadContext(_) | Parameter::Resource(_) => None,
        })
        .collect();
    let parameters = arguments.iter().map(|Argument { ident, passing, .. }| match passing {
        Passing::Value(ty) => quote!(#ident: #ty),
        Passing::Reference(ty) | Passing::Text(ty) => quote!(#ident: &#ty),
        Passing::Slice(element) => quote!(#ident: &[#element]),
    });
    let (answer, error) = operation.returns.parts(krate);
    let json = encode(entity, operation, &arguments);
    let table = table(entity, &arguments);
    quote! {
        #(#shown)*
        #(#cfgs)*
        #[track_caller]
        pub fn #ident(&self, #(#parameters),*) -> #krate::entity::Operation<#caller, #answer, #error> {
            #krate::__private::ReferenceCode::reference(self).operation(#name, #table, #json)
        }
    }
}

/// Expands the parameters, with which a replay reads the arguments that an older build sent.
fn table(entity: &EntityImpl, arguments: &[&Argument]) -> TokenStream {
    let krate = &entity.crate_path;
    let private = quote!(#krate::__private);
    if arguments.is_empty() {
        return quote!(&[]);
    }
    let parameters = arguments.iter().map(|Argument { names, passing, .. }| {
        let names = quote!(&[#(#names),*]);
        match passing {
            Passing::Value(ty) | Passing::Reference(ty) => {
                quote!(#private::Parameter::value(#names, #private::argument::<#ty>()))
            }
            Passing::Text(_) => {
                quote!(#private::Parameter::value(#names, #private::argument::<::std::string::String>()))
            }
            Passing::Slice(element) => quote!(#private::Parameter::list(#names, #private::argument::<#element>())),
        }
    });
    quote!(const { &[#(#parameters),*] })
}

/// Expands the code that writes the arguments as a JSON object, directly from the caller's values.
fn encode(entity: &EntityImpl, operation: &Operation, arguments: &[&Argument]) -> TokenStream {
    let krate = &entity.crate_path;
    let private = quote!(#krate::__private);
    let name = &operation.name;
    if arguments.is_empty() {
        return quote!(::core::result::Result::Ok(::std::vec::Vec::new()));
    }
    let fields = arguments.iter().enumerate().map(|(index, argument)| {
        let ident = &argument.ident;
        let opening = if index == 0 { '{' } else { ',' };
        let prefix = format!("{opening}{}:", names::to_json(&argument.names[0]));
        match &argument.passing {
            Passing::Value(ty) => quote!(.value(#prefix, &#ident, #private::argument::<#ty>())),
            Passing::Reference(ty) => quote!(.value(#prefix, #ident, #private::argument::<#ty>())),
            Passing::Text(_) => quote!(.text(#prefix, #ident)),
            Passing::Slice(element) => quote!(.slice(#prefix, #ident, #private::argument::<#element>())),
        }
    });
    quote!(#private::ArgumentWriter::new(#name)#(#fields)*.finish())
}
