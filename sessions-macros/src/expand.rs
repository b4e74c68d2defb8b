//! Tokens: one invocation of a macro of the library, which gets the accessors written out. Cannot fail.

use std::collections::HashSet;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Meta, Path, Type};

use crate::accessor::{Accessor, Call, FieldFacts, Parameter, Returns};
use crate::attr::{DefaultValue, EntryMerge, FieldClass, Merge, OnInvalid};
use crate::model::{Field, Name, View};
use crate::types::{self, TypeKind};

mod index;

/// Expands the view.
pub(crate) fn view(view: &View) -> TokenStream {
    let View { vis, ident, handle, krate, .. } = view;
    let docs = handle_docs(view);
    let fields = view.fields.iter().enumerate().map(|(index, field)| self::field(view, index, field));
    let alias_checks = view.fields.iter().filter_map(|field| alias_check(krate, field));
    let key_checks = view.fields.iter().filter_map(|field| key_check(krate, field));
    let clone = clone_bounds(view);
    let index = index::finder(view);
    let accessors = view.fields.iter().enumerate().map(|(index, field)| accessors(view, index, field));
    quote! {
        #krate::__session_view! {
            #vis #ident #handle [#docs] [#(#clone),*]
            { #(#accessors)* }
            #({ #fields })*
        }
        #(#alias_checks)*
        #(#key_checks)*
        #index
    }
}

/// Expands to the handle alone, in place of a view that cannot be understood, so that its uses are not errors too.
pub(crate) fn stub(view: &View) -> TokenStream {
    let View { vis, ident, handle, krate, .. } = view;
    let docs = handle_docs(view);
    quote! {
        #krate::__session_handle! { #vis #ident #handle [#docs] [] }
    }
}

/// Documents the handle: a line of its own, then the documentation of the struct.
fn handle_docs(view: &View) -> TokenStream {
    let text = format!("The session of a request, seen as `{}`.", view.ident.unraw());
    let docs = &view.docs;
    let blank = is_documented(docs).then(|| quote!(#[doc = ""]));
    quote!(#[doc = #text] #blank #(#docs)*)
}

/// Expands one field: its entry in the table, and its accessors.
fn field(view: &View, index: usize, field: &Field) -> TokenStream {
    let Field { member, ty, .. } = field;
    let index = Literal::usize_unsuffixed(index);
    let value_type = &ty.ty;
    let snapshot = word(if ty.optional { "__field_cloned_option" } else { "__field_cloned" });
    let entry = entry(view, field);
    quote!(#index #member [ #value_type ] #snapshot #entry)
}

/// Expands the accessors of one field.
fn accessors(view: &View, index: usize, field: &Field) -> TokenStream {
    let (index, facts) = (Literal::usize_unsuffixed(index), field.facts());
    Accessor::of(facts).map(|accessor| self::accessor(view, &index, field, facts, accessor)).collect()
}

/// Expands the field's entry in the table: a function of the library, its arguments, and methods on the result.
fn entry(view: &View, field: &Field) -> TokenStream {
    let (krate, ty) = (&view.krate, &field.ty.ty);
    let (stored, aliases) = stored(view, field);
    let mut modifiers = TokenStream::new();
    let default = match field.default.as_ref().map(|default| &default.value) {
        Some(DefaultValue::Expression(expression)) => {
            modifiers.extend(quote!(.or(|| #krate::__private::value::<#ty>(#expression))));
            false
        }
        Some(DefaultValue::Refused) => {
            modifiers.extend(quote!(.or(|| ::core::unimplemented!())));
            false
        }
        Some(DefaultValue::OfType) | None => !field.ty.optional,
    };
    let is_json = field.skip.is_none() && field.with.is_none();
    if default && !is_json {
        modifiers.extend(quote!(.or_default::<#ty>()));
    }
    let keep_last = field.keep_last.as_ref().map_or_else(|| quote!(100), |given| given.value.clone());
    if field.is_flash_list() {
        modifiers.extend(quote!(.flash_list::<#ty>(#keep_last)));
    } else if field.flash.is_some() {
        modifiers.extend(quote!(.flash()));
    }
    if !aliases.is_empty() {
        modifiers.extend(quote!(.aliases(&[#(#aliases),*])));
    }
    match field.merge() {
        Merge::Last => {}
        Merge::First => modifiers.extend(quote!(.merge_first())),
        Merge::Add => modifiers.extend(quote!(.merge_add::<#ty>())),
        Merge::Max => modifiers.extend(quote!(.merge_max::<#ty>())),
        Merge::Min => modifiers.extend(quote!(.merge_min::<#ty>())),
        Merge::Append => modifiers.extend(quote!(.merge_append::<#ty>(#keep_last))),
        Merge::Entries => {
            modifiers.extend(quote!(.merge_entries::<#ty>()));
            match field.entry.as_ref().map(|entry| entry.value) {
                None | Some(EntryMerge::Last) => {}
                Some(EntryMerge::Add) => modifiers.extend(quote!(.entry_add::<#ty>())),
                Some(EntryMerge::Max) => modifiers.extend(quote!(.entry_max::<#ty>())),
                Some(EntryMerge::Min) => modifiers.extend(quote!(.entry_min::<#ty>())),
            }
        }
    }
    match field.class.as_ref().map(|class| class.value) {
        None => {}
        Some(FieldClass::Privilege) => modifiers.extend(quote!(.privilege())),
        Some(FieldClass::Identity) => modifiers.extend(quote!(.identity())),
        Some(FieldClass::KeepOnLogout) => modifiers.extend(quote!(.keep_on_logout())),
        Some(FieldClass::DropOnLogin) => modifiers.extend(quote!(.drop_on_login())),
    }
    if field.index.is_some() {
        modifiers.extend(quote!(.index()));
    }
    match field.merge() {
        _ if field.secret.is_none() => {}
        Merge::Entries => modifiers.extend(quote!(.secret_entries::<#ty>())),
        _ => modifiers.extend(quote!(.secret())),
    }
    match field.on_invalid.as_ref().map(|on_invalid| on_invalid.value) {
        Some(OnInvalid::Reject) => modifiers.extend(quote!(.reject())),
        // the default of secrets is another; rights ignore `reset`
        Some(OnInvalid::Reset) if field.secret.is_some() => modifiers.extend(quote!(.reset())),
        Some(OnInvalid::Reset) | None => {}
    }
    let entry = if field.skip.is_some() {
        quote!(skipped())
    } else if let Some(with) = &field.with {
        let module = &with.value;
        quote_spanned! {Span::call_site().located_at(with.literal)=>
            stored_with(
                #stored,
                |json| #krate::__private::decode_with::<#ty>(json, |json| #module::deserialize(json)),
                |value, json| #krate::__private::encode_with::<#ty>(value, json, |value, json| {
                    #module::serialize(value, json)
                })
            )
        }
    } else if default {
        quote!(plain(#stored))
    } else {
        quote!(stored(#stored))
    };
    modifiers.extend(type_name(field));
    quote!(#entry [#modifiers])
}

/// Names the field's type, for the comparison of views with each other and with earlier versions.
fn type_name(field: &Field) -> Option<TokenStream> {
    if field.skip.is_some() {
        return None;
    }
    if let Some(name) = &field.logical_type {
        let name = &name.value;
        return Some(quote!(.logical_type(#name)));
    }
    let mut name = types::name(&field.ty.ty);
    if let Some(with) = &field.with {
        // the same type has another JSON through another module
        name += " with ";
        name += &with.value.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    }
    Some(quote!(.type_name(#name)))
}

fn stored(view: &View, field: &Field) -> (Literal, Vec<Literal>) {
    let literal = |name: &Name| {
        let mut literal = Literal::string(&view.stored(name));
        literal.set_span(Span::call_site().located_at(name.origin.span()));
        literal
    };
    (literal(&field.name), field.aliases.iter().map(literal).collect())
}

/// Checks that the type of a plain field is no `Option` behind an alias, which would never be absent.
fn alias_check(krate: &Path, field: &Field) -> Option<TokenStream> {
    let ty = &field.ty.ty;
    if field.ty.optional || !matches!(field.ty.kind, TypeKind::Unknown) {
        return None;
    }
    let message = format!(
        "the type of the field `{}` is an `Option` behind an alias; write `Option<…>` itself",
        field.member
    );
    Some(quote_spanned! {Span::call_site().located_at(ty.span())=>
        const _: () = {
            use #krate::__private::NotOption as _;
            ::core::assert!(!#krate::__private::Probe::<#ty>::IS_OPTION, #message)
        };
    })
}

/// Has the library check that its feature `keys` is on.
fn key_check(krate: &Path, field: &Field) -> Option<TokenStream> {
    let at = field.secret.as_ref()?.key;
    // the path gets the span too, so that the error points at the attribute alone
    let krate: TokenStream = krate
        .to_token_stream()
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        })
        .collect();
    Some(quote_spanned! {Span::call_site().located_at(at)=> #krate::__session_needs_keys! {} })
}

/// Returns the types of the fields that may not be `Clone`, each once.
fn clone_bounds(view: &View) -> Vec<&Type> {
    let mut seen = HashSet::new();
    let unknown = view.fields.iter().filter(|field| !field.ty.kind.is_clone()).map(|field| &field.ty.ty);
    unknown.filter(|ty| seen.insert(ty.to_token_stream().to_string())).collect()
}

/// Expands one accessor, which calls a method of the library's handle.
fn accessor(
    view: &View,
    index: &Literal,
    field: &Field,
    facts: FieldFacts,
    accessor: Accessor,
) -> TokenStream {
    let (View { vis, krate, .. }, ty) = (view, &field.ty.ty);
    let signature = accessor.signature(facts.set);
    let item = if let TypeKind::Vec(item) = &field.ty.kind { &**item } else { ty };
    let is_item = matches!(signature.parameter, Parameter::Item);
    let (base, reading) = (&field.base, Reading::of(field));
    // the getter may be raw; the others have a prefix or a suffix, so they are no keywords
    let name = match accessor {
        Accessor::Get => base.ident.clone(),
        _ => Ident::new(&accessor.name(&base.text()), base.ident.span()),
    };
    // the field's own documentation is that of the getter
    let docs = if accessor == Accessor::Get { field.docs.as_slice() } else { &[] };
    let doc = (!is_documented(docs)).then(|| {
        let doc = accessor.doc(&field.member.unraw().to_string(), facts);
        quote!(#[doc = #doc])
    });
    let (must_use, receiver) =
        if signature.is_mut { (None, quote!(&mut self)) } else { (Some(quote!(#[must_use])), quote!(&self)) };
    let (parameter, argument) = match signature.parameter {
        Parameter::None => (None, None),
        Parameter::Value | Parameter::Item => {
            let ty = parameter_type(if is_item { item } else { ty });
            (Some(quote!(, value: #ty)), Some(quote!(, value)))
        }
        Parameter::Difference => (Some(quote!(, by: ::core::primitive::i64)), Some(quote!(, by))),
    };
    let option = |ty: TokenStream| quote!(::core::option::Option<#ty>);
    let returns = match signature.returns {
        Returns::Nothing => None,
        Returns::Bool => Some(quote!(::core::primitive::bool)),
        Returns::View if field.ty.optional => Some(option(reading.of_type(ty))),
        Returns::View => Some(reading.of_type(ty)),
        Returns::Borrow if field.ty.optional => Some(option(quote!(&mut #ty))),
        Returns::Borrow => Some(quote!(&mut #ty)),
        Returns::Taken => Some(option(quote!(#ty))),
        Returns::Value => Some(quote!(#ty)),
        Returns::Sum => {
            Some(quote!(#krate::__private::BoxFuture<'_, ::core::result::Result<#ty, #krate::Error>>))
        }
    };
    let end = returns.is_none().then(|| quote!(;));
    let returns = returns.map(|ty| quote!(-> #ty));
    let optional = if field.ty.optional { "_option" } else { "" };
    let call = match signature.call {
        Call::Read => format_ident!("{}{optional}", reading.call()),
        Call::Borrow(call) => format_ident!("{call}{optional}"),
        Call::Write(call) if is_string(if is_item { item } else { ty }) => format_ident!("{call}_into"),
        Call::Write(call) | Call::Typed(call) | Call::Untyped(call) => word(call),
    };
    let subject = if is_item { item } else { ty };
    let generic = (!matches!(signature.call, Call::Untyped(_))).then(|| quote!(::<#subject>));
    quote! {
        #doc #(#docs)*
        #[inline]
        #must_use
        #vis fn #name(#receiver #parameter) #returns {
            self.__inner.#call #generic (#index #argument) #end
        }
    }
}

/// The way in which a getter shows a value.
enum Reading<'a> {
    Copied,
    Text,
    Slice(&'a Type),
    Reference,
}

impl<'a> Reading<'a> {
    const fn of(field: &'a Field) -> Self {
        match &field.ty.kind {
            TypeKind::Integer | TypeKind::WideInteger | TypeKind::Scalar => Self::Copied,
            _ if field.copy.is_some() => Self::Copied,
            TypeKind::String => Self::Text,
            TypeKind::Vec(item) => Self::Slice(item),
            _ => Self::Reference,
        }
    }

    /// Returns the method of the library's handle that reads the value.
    const fn call(&self) -> &'static str {
        match self {
            Self::Copied => "__field_copied",
            Self::Text => "__field_str",
            Self::Slice(_) => "__field_slice",
            Self::Reference => "__field_get",
        }
    }

    /// Returns the type that the getter shows of a `ty`.
    fn of_type(&self, ty: &Type) -> TokenStream {
        let at = Span::call_site().located_at(ty.span());
        match self {
            Self::Copied => quote!(#ty),
            Self::Text => quote_spanned!(at=> &::core::primitive::str),
            Self::Slice(item) => quote_spanned!(at=> &[#item]),
            Self::Reference => quote_spanned!(at=> &#ty),
        }
    }
}

/// Returns the type of a setter's parameter.
fn parameter_type(ty: &Type) -> TokenStream {
    if is_string(ty) {
        quote_spanned!(Span::call_site().located_at(ty.span())=> impl ::core::convert::Into<#ty>)
    } else {
        quote!(#ty)
    }
}

fn is_string(ty: &Type) -> bool {
    matches!(TypeKind::of(ty), TypeKind::String)
}

/// Returns true if there is text among the attributes, as `#![deny(missing_docs)]` asks for.
fn is_documented(docs: &[Attribute]) -> bool {
    docs.iter().any(|attr| matches!(attr.meta, Meta::NameValue(_)))
}

fn word(word: &str) -> Ident {
    format_ident!("{word}")
}
