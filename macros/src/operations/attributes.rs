//! The helper attributes in an impl: `#[operation(...)]` on a method, `#[serde(...)]` on a parameter.

use syn::ext::IdentExt;
use syn::{Attribute, ExprPath, Ident, LitStr, Token};

use super::model::Default;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::names;

/// Reads `#[operation(name = "...")]`. The stored name defaults to the name of the method.
pub(super) fn operation_name(ident: &Ident, attributes: &[Attribute], errors: &mut Errors) -> String {
    let mut found: Option<LitStr> = None;
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("operation"))
    {
        let parsed = attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown attribute; `#[operation(...)]` takes `name = \"...\"`"));
            }
            let name: LitStr = meta.value()?.parse()?;
            names::check(&name, Kind::Operation)?;
            match found.replace(name) {
                Some(_) => Err(meta.error("`name` is set twice")),
                None => Ok(()),
            }
        });
        if let Err(error) = parsed {
            errors.add(error);
        }
    }
    found.map_or_else(|| ident.unraw().to_string(), |name| name.value())
}

/// Rejects `#[operation]` on anything but an operation.
pub(super) fn refuse_misplaced(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in attributes {
        if attribute.path().is_ident("operation") {
            errors.push(
                attribute,
                "`#[operation(...)]` belongs on an operation: a `pub fn` that takes `&self` or `&mut self`",
            );
        }
    }
}

/// The settings in the attributes of a parameter.
pub(super) struct ParameterAttributes {
    pub(super) names: Vec<String>,
    pub(super) default: Default,
}

/// Reads `#[serde(...)]` on a parameter.
pub(super) fn parameter(ident: &Ident, attributes: &[Attribute], errors: &mut Errors) -> ParameterAttributes {
    let mut name = ident.unraw().to_string();
    let mut aliases = Vec::new();
    let mut default = Default::None;
    for attribute in attributes {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            errors.push(
                attribute,
                "a parameter of an operation cannot be conditional: put the `cfg` on the whole operation",
            );
        }
        if !attribute.path().is_ident("serde") {
            continue;
        }
        let parsed = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("default") {
                default = if meta.input.peek(Token![=]) {
                    let path: LitStr = meta.value()?.parse()?;
                    Default::Path(path.parse::<ExprPath>()?)
                } else {
                    Default::Trait
                };
            } else if meta.path.is_ident("rename") {
                name = meta.value()?.parse::<LitStr>()?.value();
            } else if meta.path.is_ident("alias") {
                aliases.push(meta.value()?.parse::<LitStr>()?.value());
            } else {
                return Err(meta.error(
                    "a parameter supports `#[serde(default)]`, `default = \"path\"`, `rename = \"...\"` and `alias = \"...\"`; for other attributes, use a separate type with its own serde attributes",
                ));
            }
            Ok(())
        });
        if let Err(error) = parsed {
            errors.add(error);
        }
    }
    aliases.insert(0, name);
    ParameterAttributes {
        names: aliases,
        default,
    }
}
