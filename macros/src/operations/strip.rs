//! Removal of the macro's own attributes from the user's impl.

use syn::{FnArg, ImplItem, ItemImpl, parse_quote};

/// Removes `#[operation]` on methods and `#[serde]` on their parameters, which the compiler does not know. The rest is
/// unchanged, except that the lint `unreachable_pub` is allowed: here `pub` marks a method as an operation.
pub(super) fn helpers(mut item: ItemImpl) -> ItemImpl {
    for item in &mut item.items {
        let attributes = match item {
            ImplItem::Fn(method) => {
                for input in &mut method.sig.inputs {
                    let attributes = match input {
                        FnArg::Receiver(receiver) => &mut receiver.attrs,
                        FnArg::Typed(parameter) => &mut parameter.attrs,
                    };
                    attributes.retain(|attribute| !attribute.path().is_ident("serde"));
                }
                &mut method.attrs
            }
            ImplItem::Const(item) => &mut item.attrs,
            ImplItem::Type(item) => &mut item.attrs,
            ImplItem::Macro(item) => &mut item.attrs,
            _ => continue,
        };
        attributes.retain(|attribute| !attribute.path().is_ident("operation"));
    }
    item.attrs.push(parse_quote!(#[allow(unreachable_pub)]));
    item
}
