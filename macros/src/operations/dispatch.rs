//! The table of operations: from a name to an index, and from an index to the method.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{Argument, Default, EntityImpl, Mode, Operation, Parameter, Passing};
use super::resources;
use crate::hygiene;
use crate::returns::Returns;

/// Expands `impl Operations`.
pub(super) fn expand(entity: &EntityImpl) -> TokenStream {
    let krate = &entity.crate_path;
    let self_type = &entity.self_type;
    let cfgs = &entity.cfgs;
    let operations = || entity.operations.iter().enumerate();
    let names = operations().map(|(_, Operation { cfgs, name, .. })| quote!(#(#cfgs)* #name,));
    let finds = operations().map(|(index, operation)| find(entity, index, operation));
    let of_mode = |mode: Mode| {
        let arms = operations().filter(move |(_, operation)| operation.mode == mode);
        arms.map(|(index, operation)| {
            let cfgs = &operation.cfgs;
            let run = run(entity, operation);
            quote!(#(#cfgs)* #index => #run)
        })
    };
    let parameters = operations().map(|(index, operation)| {
        let cfgs = &operation.cfgs;
        let names = arguments(operation).map(|(_, argument)| &argument.names[0]);
        quote!(#(#cfgs)* #index => &[#(#names),*],)
    });
    let checks = operations().map(|(index, operation)| {
        let cfgs = &operation.cfgs;
        let decode = decode(entity, operation);
        quote!(#(#cfgs)* #index => { #decode ::core::result::Result::Ok(::std::vec::Vec::new()) })
    });
    let (reads, writes, starts) = (of_mode(Mode::Read), of_mode(Mode::Write), of_mode(Mode::Async));
    let assertions = operations().map(|(_, operation)| {
        let cfgs = entity.cfgs.iter().chain(&operation.cfgs);
        operation.returns.refuse_hidden_result(krate, cfgs)
    });
    let private = quote!(#krate::__private);
    let resources = resources::list(entity);
    let is_entity = quote_spanned!(self_type.span()=> #krate::__private::is_entity);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        #[allow(deprecated, unused_variables, unused_mut, unreachable_code, clippy::all, clippy::pedantic)]
        impl #krate::Operations for #self_type {
            const NAMES: &'static [&'static ::core::primitive::str] = &[#(#names)*];
            #resources

            fn find(__abide_operation: &::core::primitive::str) -> ::core::option::Option<#private::OperationSpec> {
                let (__abide_index, __abide_mode) = match __abide_operation {
                    #(#finds)*
                    _ => return ::core::option::Option::None,
                };
                ::core::option::Option::Some(#private::OperationSpec { index: __abide_index, mode: __abide_mode })
            }

            fn parameters(__abide_operation: ::core::primitive::usize) -> &'static [&'static ::core::primitive::str] {
                match __abide_operation {
                    #(#parameters)*
                    _ => #private::not_in_table(__abide_operation),
                }
            }

            fn check(
                __abide_operation: ::core::primitive::usize,
                __abide_arguments: &[::core::primitive::u8],
            ) -> #private::OperationOutcome {
                match __abide_operation {
                    #(#checks)*
                    _ => #private::not_in_table(__abide_operation),
                }
            }

            fn read(
                &self,
                __abide_operation: ::core::primitive::usize,
                __abide_arguments: &[::core::primitive::u8],
                __abide_turn: #private::ReadTurn<'_>,
            ) -> #private::OperationOutcome {
                match __abide_operation {
                    #(#reads)*
                    _ => #private::not_in_table(__abide_operation),
                }
            }

            fn write(
                &mut self,
                __abide_operation: ::core::primitive::usize,
                __abide_arguments: &[::core::primitive::u8],
                __abide_turn: #private::Turn<'_>,
            ) -> #private::OperationOutcome {
                match __abide_operation {
                    #(#writes)*
                    _ => #private::not_in_table(__abide_operation),
                }
            }

            fn start(
                self,
                __abide_operation: ::core::primitive::usize,
                __abide_arguments: ::std::vec::Vec<::core::primitive::u8>,
                __abide_context: #krate::EntityContext,
            ) -> #private::Running {
                match __abide_operation {
                    #(#starts)*
                    _ => #private::not_in_table(__abide_operation),
                }
            }
        }

        #(#cfgs)*
        const _: fn() = || {
            #is_entity::<#self_type>();
        };

        #(#assertions)*
    }
}

fn find(entity: &EntityImpl, index: usize, operation: &Operation) -> TokenStream {
    let krate = &entity.crate_path;
    let Operation { cfgs, name, .. } = operation;
    let mode = match operation.mode {
        Mode::Read => quote!(Read),
        Mode::Write => quote!(Write),
        Mode::Async => quote!(Async),
    };
    quote!(#(#cfgs)* #name => (#index, #krate::__private::OperationMode::#mode),)
}

/// Expands the arm that runs one operation.
fn run(entity: &EntityImpl, operation: &Operation) -> TokenStream {
    let krate = &entity.crate_path;
    let private = quote!(#krate::__private);
    let decode = decode(entity, operation);
    let method = &operation.ident;
    let (mut arguments, mut resources) = (0, 0);
    let parameters: Vec<TokenStream> = operation
        .parameters
        .iter()
        .map(|parameter| {
            let passed = pass(entity, parameter, arguments, resources);
            arguments += usize::from(matches!(parameter, Parameter::Argument(_)));
            resources += usize::from(matches!(parameter, Parameter::Resource(_)));
            passed
        })
        .collect();
    let has_context = operation.parameters.iter().any(Parameter::is_context);
    // Called as a method: `Self::name` would refer to an enum variant with that name.
    match operation.mode {
        Mode::Read => {
            let answer = answer(entity, operation, quote!(self.#method(#(#parameters),*)));
            quote!({ #decode #answer })
        }
        Mode::Write if has_context => {
            let call = quote!(__abide_turn.with_context(|__abide_context| self.#method(#(#parameters),*)));
            let answer = answer(entity, operation, call);
            quote!({ #decode #answer })
        }
        Mode::Write => {
            let answer = answer(entity, operation, quote!(self.#method(#(#parameters),*)));
            quote!({ #decode #answer })
        }
        Mode::Async => {
            let resources = resources::take(krate, operation);
            let answer = answer(entity, operation, quote!(__abide_state.#method(#(#parameters),*).await));
            let body = quote! {
                let __abide_outcome: #private::OperationOutcome = {
                    let (__abide_state, __abide_context) = (&mut __abide_state, &mut __abide_context);
                    async move { #decode #resources #answer }.await
                };
                #private::Finished::new(__abide_state, __abide_context, __abide_outcome)
            };
            // The span is the method's name, so that the compiler reports a future that is not `Send` there.
            let running = quote_spanned!(method.span()=> #private::Running::new(async move { #body }));
            quote! {{
                let mut __abide_state = self;
                let mut __abide_context = __abide_context;
                #running
            }}
        }
    }
}

/// Returns the local name of an argument.
fn local(index: usize) -> Ident {
    hygiene::local(&format!("argument_{index}"))
}

fn arguments(operation: &Operation) -> impl Iterator<Item = (Ident, &Argument)> {
    let arguments = operation.parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Argument(argument) => Some(argument),
        Parameter::Context(_) | Parameter::ReadContext(_) | Parameter::Resource(_) => None,
    });
    arguments.enumerate().map(|(index, argument)| (local(index), argument))
}

/// Expands the code that reads the arguments into locals.
fn decode(entity: &EntityImpl, operation: &Operation) -> TokenStream {
    let krate = &entity.crate_path;
    let private = quote!(#krate::__private);
    if arguments(operation).next().is_none() {
        return quote!(#private::ArgumentReader::new(&__abide_arguments[..], &[]).finish()?;);
    }
    let names = arguments(operation).map(|(_, Argument { names, .. })| quote!(&[#(#names),*]));
    let slots = arguments(operation).map(|(local, argument)| {
        let name = &argument.names[0];
        let slot = match &argument.passing {
            Passing::Value(ty) | Passing::Reference(ty) => quote!(value(#name, #private::argument::<#ty>())),
            Passing::Text(_) => quote!(value(#name, #private::argument::<::std::string::String>())),
            Passing::Slice(element) => quote!(list(#name, #private::argument::<#element>())),
        };
        quote!(let mut #local = #private::Slot::#slot;)
    });
    let reads = arguments(operation)
        .enumerate()
        .map(|(index, (local, _))| quote!(#index => #private::Slot::read(&mut #local, &mut __abide_reader)?,));
    let takes = arguments(operation).map(|(local, argument)| match &argument.default {
        Default::None => quote!(let #local = #local.required()?;),
        Default::Trait => {
            let default = quote_spanned!(argument.ident.span()=> ::core::default::Default::default);
            quote!(let #local = #local.or_else(#default);)
        }
        Default::Path(path) => quote!(let #local = #local.or_else(#path);),
    });
    quote! {
        let mut __abide_reader = #private::ArgumentReader::new(&__abide_arguments[..], &[#(#names),*]);
        #(#slots)*
        while let ::core::option::Option::Some(__abide_place) =
            #private::ArgumentReader::next_place(&mut __abide_reader)?
        {
            match __abide_place {
                #(#reads)*
                _ => {}
            }
        }
        #(#takes)*
    }
}

/// Expands the value of a parameter. `index` counts the arguments before it, and `resource` the resources.
fn pass(entity: &EntityImpl, parameter: &Parameter, index: usize, resource: usize) -> TokenStream {
    let krate = &entity.crate_path;
    match parameter {
        Parameter::Context(ty) => {
            let check = quote_spanned!(ty.span()=> <#ty as #krate::__private::ContextParameter>::from_context);
            quote!(#check(__abide_context))
        }
        Parameter::ReadContext(ty) => {
            let check = quote_spanned!(ty.span()=> <#ty as #krate::__private::ReadContextParameter>::from_context);
            quote!(#check(&__abide_turn.context()))
        }
        Parameter::Resource(_) => {
            let resource = resources::local(resource);
            quote!(#resource)
        }
        Parameter::Argument(argument) => {
            let local = local(index);
            match argument.passing {
                Passing::Value(_) => quote!(#local),
                Passing::Reference(_) | Passing::Text(_) | Passing::Slice(_) => quote!(&#local),
            }
        }
    }
}

/// Expands the serialization of the return value.
fn answer(entity: &EntityImpl, operation: &Operation, call: TokenStream) -> TokenStream {
    let krate = &entity.crate_path;
    let private = quote!(#krate::__private);
    match &operation.returns {
        Returns::Nothing => quote!(#private::answered::<()>(#call)),
        Returns::Value(ty) => quote!(#private::answered::<#ty>(#call)),
        Returns::Result { answer, error } => quote!(#private::returned::<#answer, #error>(#call)),
        Returns::Alias(ty) => {
            // The generics are explicit, so that the compiler reports an invalid error type at the user's tokens.
            let parts = quote_spanned!(ty.span()=> <#ty as #private::ResultType>);
            let (answer, error) = (
                quote_spanned!(ty.span()=> #parts::Answer),
                quote_spanned!(ty.span()=> #parts::Error),
            );
            let into_result = quote_spanned!(ty.span()=> #parts::into_result);
            quote_spanned!(ty.span()=> #private::returned::<#answer, #error>(#into_result(#call)))
        }
    }
}
