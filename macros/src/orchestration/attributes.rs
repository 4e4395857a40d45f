//! `#[orchestration(...)]`.

use proc_macro2::TokenStream;
use syn::LitStr;

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::{names, settings};

/// What the attribute says.
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
                "how an orchestration is retried is said where it is called: `ctx.call_sub_orchestration::<...>(...).retry(...)`",
            )),
            "timeout" => Err(meta.error(
                "an orchestration may run for years; where it waits for one thing for a limited time, it gives that step a `.timeout(...)`",
            )),
            "limit" => Err(meta.error("`limit` belongs to an activity, `#[activity(limit = 8)]`: that is what takes resources")),
            "blocking" => Err(meta.error(
                "an orchestration never blocks its thread: what blocks is an activity, `#[activity(blocking)]`",
            )),
            "allow" => Err(meta.error(
                "what the determinism lint lets pass is marked at its statement: `#[allow(nondeterminism)]`",
            )),
            _ => Err(meta.error(
                "unknown attribute; `#[orchestration(...)]` takes `name = \"...\"`, `version = \"...\"` and `crate = path`",
            )),
        }
    });
    found
}
