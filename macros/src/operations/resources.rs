//! The resources of `async` operations.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::model::{EntityImpl, Operation, Parameter};
use crate::crate_path::CratePath;
use crate::hygiene;

/// Expands the list of required resources, which is checked when the hub opens. Returns `None` if there are none.
pub(super) fn list(entity: &EntityImpl) -> Option<TokenStream> {
    let private = {
        let krate = &entity.crate_path;
        quote!(#krate::__private)
    };
    let mut needs = entity.operations.iter().flat_map(|operation| {
        let Operation { cfgs, name, .. } = operation;
        let private = &private;
        types(operation).map(move |ty| {
            let need = quote_spanned!(ty.span()=> <#ty as #private::ResourceParameter>::NEED);
            quote!(#(#cfgs)* (#name, #need),)
        })
    });
    let first = needs.next()?;
    Some(quote! {
        const RESOURCES: &'static [(&'static ::core::primitive::str, #private::ResourceNeed)] = &[#first #(#needs)*];
    })
}

/// Expands the code that takes the resources of one operation into locals, before anything else borrows the context.
pub(super) fn take(krate: &CratePath, operation: &Operation) -> TokenStream {
    let takes = types(operation).enumerate().map(|(index, ty)| {
        let local = local(index);
        let take = quote_spanned!(ty.span()=> <#ty as #krate::__private::ResourceParameter>::take);
        quote!(let #local = #take(#krate::__private::operation_resources(__abide_context));)
    });
    takes.collect()
}

/// Returns the local name of a resource.
pub(super) fn local(index: usize) -> Ident {
    hygiene::local(&format!("resource_{index}"))
}

fn types(operation: &Operation) -> impl Iterator<Item = &Type> {
    operation.parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Resource(ty) => Some(ty),
        Parameter::Context(_) | Parameter::ReadContext(_) | Parameter::Argument(_) => None,
    })
}
