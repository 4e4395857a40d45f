//! User-defined names that expansions could use themselves: types, constants, statics, modules, parameters.
#![allow(dead_code, non_camel_case_types, non_upper_case_globals, non_snake_case)]

mod core {}
mod std {}
mod serde_json {}

/// Names from the standard prelude.
mod own {
    #[derive(Clone, Debug, Default, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
    pub struct Given;
    pub type Result = Given;
    pub type Option = Given;
    pub type String = Given;
    pub type Vec = Given;
    pub type Box = Given;
    pub type Future = Given;
    pub type Send = Given;
    pub const Ok: Given = Given;
    pub const Err: Given = Given;
    pub const Some: Given = Given;
    pub const None: Given = Given;
}

/// Entities with the names of type parameters, and values with every name that a local could have.
mod values {
    use super::own::*;
    use ::abide::{Entity, EntityContext, Resource, operations};

    pub static key: i32 = 1;
    pub static saved: i32 = 1;
    pub static f: i32 = 1;
    pub static reference: i32 = 1;
    pub const arguments: i32 = 1;
    pub const turn: i32 = 1;
    pub const operation: i32 = 1;
    pub const context: i32 = 1;
    pub const state: i32 = 1;
    pub const outcome: i32 = 1;
    pub const index: i32 = 1;
    pub const mode: i32 = 1;
    pub const argument_0: i32 = 1;
    pub struct reader;
    pub struct place;
    pub struct json;
    pub struct input;
    pub struct returned(i32);

    #[derive(Clone, Default, Entity, ::serde::Serialize, ::serde::Deserialize)]
    pub struct C {
        c: Given,
    }

    #[operations]
    impl C {
        pub fn c(&mut self, ctx: &mut EntityContext, caller: Given, C: C, self_: i32) -> C {
            let _ = (ctx.key(), caller, self_);
            C
        }

        pub fn read(&self, argument: i32, name: i32, list: Vec) -> Given {
            let _ = (argument, name, list);
            self.c.clone()
        }

        pub async fn start(&mut self, ctx: &mut EntityContext, option: Option, shared: Resource<Given>) -> String {
            let _ = (ctx.now(), option);
            (*shared).clone()
        }

        pub fn find(&self, argument: Option, text: String) -> Box {
            let _ = argument;
            text
        }
    }
}

/// Entities with the names of type parameters, and a renamed reference beside a type that has its default name.
mod letters {
    use ::abide::prelude::*;

    macro_rules! letters {
        ($($name:ident)*) => {$(
            #[derive(Clone, Default, Entity, Serialize, Deserialize)]
            pub struct $name {
                n: u32,
            }

            #[operations]
            impl $name {
                pub fn add(&mut self, other: $name, n: u32) -> $name {
                    self.n += other.n + n;
                    self.clone()
                }
            }
        )*};
    }
    letters!(A B C C_ D E F I K O R S T U Caller Entity Key Client Hub Failure_ Self_ Operation);

    pub struct AccountRef;

    #[derive(Default, Entity, Serialize, Deserialize)]
    #[entity(reference = AccountHandle)]
    pub struct Account;

    #[operations(reference = AccountHandle)]
    impl Account {
        pub fn reference(&mut self, wrap: u32) -> u32 {
            wrap
        }

        pub fn clone(&self) -> u32 {
            7
        }

        pub fn fmt(&self, f: u32) -> u32 {
            f
        }

        pub fn operation(&self, name: String) -> String {
            name
        }

        pub fn first(&self) {}
        pub fn encode(&self) {}
        pub fn decode(&self) {}
        pub fn check(&self) {}
        pub fn parameters(&self) {}
        pub fn write(&mut self) {}
    }
}

/// Names of primitive types. The derives of serde would fail with them, so the impls are written by hand.
mod primitives {
    use super::own::Given;
    use ::abide::{ActivityContext, Entity, OrchestrationContext, Resource, activity, operations, orchestration};

    type str = Given;
    type usize = Given;
    type u8 = Given;
    type bool = Given;

    #[derive(Default, Entity)]
    pub struct Primitive;

    #[operations]
    impl Primitive {
        pub fn given(&self, one: usize, other: &bool) -> u8 {
            let _ = one;
            other.clone()
        }

        pub async fn shared(&mut self, shared: Resource<str>, one: usize) -> bool {
            let _ = one;
            (*shared).clone()
        }
    }

    #[activity(retry_if = |_| true)]
    async fn acts(_ctx: ActivityContext, shared: Resource<u8>, one: usize) -> bool {
        let _ = shared;
        one
    }

    #[orchestration]
    async fn orchestrates(_ctx: OrchestrationContext, one: usize) -> bool {
        one
    }
}

impl ::serde::Serialize for primitives::Primitive {
    fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> ::serde::Deserialize<'de> for primitives::Primitive {
    fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <() as ::serde::Deserialize>::deserialize(deserializer).map(|()| Self)
    }
}

/// Parameters and operations with the names of locals.
mod parameters {
    use ::abide::prelude::*;

    #[derive(Default, Entity, Serialize, Deserialize)]
    pub struct Names(u8);

    #[operations]
    impl Names {
        pub fn read(&self, operation: u8, arguments: u8, turn: u8, index: u8, mode: u8) -> u8 {
            operation + arguments + turn + index + mode + self.0
        }

        pub fn write(&mut self, context: &mut EntityContext, reader: u8, place: &str, argument_0: &[u8], caller: u8) {
            let _ = (context.key(), place, argument_0);
            self.0 += reader + caller;
        }

        pub async fn start(
            &mut self,
            context: &mut EntityContext,
            state: u8,
            outcome: u8,
            resource_0: Resource<u8>,
            self_: u8,
            input: u8,
            json: u8,
        ) -> u8 {
            let _ = context.now();
            self.0 + state + outcome + *resource_0 + self_ + input + json
        }
    }
}

/// A variant with the name of an operation, and an `init` with the name of a local.
mod init {
    use ::abide::prelude::*;

    #[derive(Entity, Serialize, Deserialize)]
    #[entity(init = key)]
    pub enum Switch {
        on,
        off,
    }

    fn key(_: &str) -> Switch {
        Switch::off
    }

    fn arguments() -> u32 {
        3
    }

    #[operations]
    impl Switch {
        pub fn on(&mut self, #[serde(default = "arguments")] times: u32) -> u32 {
            *self = Self::on;
            times
        }
    }
}

/// Raw names.
mod raw {
    use ::abide::prelude::*;

    #[derive(Default, Entity, Serialize, Deserialize)]
    pub struct r#async {
        pub r#type: u32,
    }

    #[operations]
    impl r#async {
        pub fn r#move(&mut self, r#fn: u32, r#match: &str) -> u32 {
            self.r#type += r#fn;
            let _ = r#match;
            self.r#type
        }
    }

    #[activity]
    pub async fn r#loop(r#in: Resource<u32>, r#as: u32) -> u32 {
        *r#in + r#as
    }

    #[orchestration]
    pub async fn r#while(r#ref: OrchestrationContext, r#as: u32) -> Result<u32, Failure> {
        Ok(r#ref.call_activity::<r#loop>(r#as).await?)
    }
}

/// Functions with the names of locals, and a trait in scope that adds methods to every type.
mod functions {
    use ::abide::prelude::*;

    pub trait Everything: Sized {
        const VALUE: bool = true;
        fn clone_to(&self, _: &mut Option<Self>) -> bool {
            true
        }
        fn read(self, _: u8) {}
        fn next_place(self) {}
        fn pass_on(self) {}
        fn into_returned(&self) {}
        fn with_context(self, _: u8) {}
    }
    impl<T> Everything for T {}

    #[derive(Default, Entity, Serialize, Deserialize)]
    pub struct NotClone(u8);

    #[operations]
    impl NotClone {
        pub fn add(&mut self, n: u8) -> u8 {
            self.0 += n;
            self.0
        }
    }

    #[activity]
    pub async fn input(context: ActivityContext, input: u8) -> u8 {
        let _ = context.attempt();
        input
    }

    #[activity(retry_if = |error| error.error_type != "error")]
    pub async fn error(error: Resource<u8>, decide: u8) -> Result<u8, Failure> {
        Ok(*error + decide)
    }

    #[orchestration]
    pub async fn context(input: OrchestrationContext, context: u8) -> Result<u8, Failure> {
        Ok(input.call_activity::<self::input>(context).await?)
    }

    #[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
    pub enum E {
        #[error("{0}")]
        Ok(#[from_call_error] Failure),
        #[error(transparent)]
        Err {
            #[from]
            runtime: CallError,
        },
    }
}

/// Constants with the names that a conversion could use for its locals.
mod conversion {
    use ::abide::prelude::*;

    pub const error: u8 = 1;
    pub const runtime: u8 = 1;
    pub const returned: u8 = 1;
    pub const taken: u8 = 1;

    #[derive(Debug, thiserror::Error, FromCallError)]
    pub enum T {
        #[error(transparent)]
        Runtime(#[from] CallError),
    }
}

fn main() {
    fn is_operated<E: ::abide::Operations>() {}
    is_operated::<values::C>();
    is_operated::<letters::C>();
    is_operated::<primitives::Primitive>();
    is_operated::<parameters::Names>();
    is_operated::<letters::Account>();
    is_operated::<init::Switch>();
    is_operated::<raw::r#async>();
    assert_eq!(<raw::r#loop as ::abide::Activity>::NAME, "loop");
    assert_eq!(<raw::r#async as ::abide::Entity>::NAME, "async");
    let converted = functions::E::from(::abide::Failure::message("x"));
    ::std::assert!(::core::matches!(converted, functions::E::Ok(_)));
}
