//! `#[orchestration(...)]`.

use proc_macro2::TokenStream;
use syn::LitStr;

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::{names, settings};

/// The settings in the attribute.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<LitStr>,
    pub(super) crate_path: CratePath,
}

pub(super) fn read(arguments: TokenStream, errors: &mut Errors) -> Attributes {
    let mut found = Attributes::default();
    settings::read(arguments, errors, |meta, _| {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match name.as_str() {
            "name" => settings::name(&mut found.name, Kind::Orchestration, meta),
            "version" => {
                let version: LitStr = meta.value()?.parse()?;
                names::check_version(&version)?;
                settings::set(&mut found.version, version, "version", meta)
            }
            "crate" => found.crate_path.parse(meta),
            "retry" => Err(meta.error(
                "the retry policy of an orchestration belongs at its call: `ctx.call_sub_orchestration::<...>(...).retry(...)`",
            )),
            "timeout" => Err(meta.error(
                "an orchestration may run for years; to limit a single step, use `.timeout(...)` on that step",
            )),
            "limit" => Err(meta.error("`limit` belongs on an activity, which is what consumes resources: `#[activity(limit = 8)]`")),
            "blocking" => Err(meta.error(
                "an orchestration must never block its thread: move blocking code into an activity, `#[activity(blocking)]`",
            )),
            "allow" => Err(meta.error(
                "exceptions from the determinism lint belong on the statement: `#[allow(nondeterminism)]`",
            )),
            _ => Err(meta.error(
                "unknown attribute; `#[orchestration(...)]` takes `name = \"...\"`, `version = \"...\"` and `crate = path`",
            )),
        }
    });
    found
}
