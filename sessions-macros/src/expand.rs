//! Tokens: one invocation of a macro of the library. Cannot fail.

use std::collections::HashSet;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Meta, Path, Type, Visibility};

use crate::attr::{DefaultValue, Merge, OnInvalid, Standing};
use crate::model::{Field, Name, Shape, View};
use crate::names;
use crate::types::Kind;

/// The view.
pub(crate) fn view(view: &View) -> TokenStream {
    let View { vis, ident, handle, krate, .. } = view;
    let fields = view.fields.iter().enumerate().map(|(index, field)| self::field(view, index, field));
    let alias_checks = view.fields.iter().filter_map(|field| alias_check(krate, field));
    let key_checks = view.fields.iter().filter_map(|field| key_check(krate, field));
    let clone = clone_bounds(view);
    quote! {
        #krate::__session_view! {
            #vis #ident #handle [#(#clone),*]
            #({ #fields })*
        }
        #(#alias_checks)*
        #(#key_checks)*
    }
}

/// What stands in for a view that cannot be understood, so that its uses are not errors too.
pub(crate) fn stub(krate: &Path, vis: &Visibility, ident: &Ident, handle: &Ident) -> TokenStream {
    quote! {
        #krate::__session_handle! { #vis #ident #handle [] }
    }
}

/// One field: what it is in the table, and its accessors.
fn field(view: &View, index: usize, field: &Field) -> TokenStream {
    let Field { member, docs, ty, .. } = field;
    let index = Literal::usize_unsuffixed(index);
    let value_type = &ty.ty;
    let snapshot = word(if ty.optional { "__field_cloned_option" } else { "__field_cloned" });
    let entry = entry(view, field);
    let generated_doc = generated_doc(field);
    let accessors = accessors(field);
    quote! {
        #index #member [ #value_type ] #snapshot
        #entry
        get [ #generated_doc #(#docs)* ] #accessors
    }
}

/// The field's entry in the table: a function of the library, its arguments, and methods on the result.
fn entry(view: &View, field: &Field) -> TokenStream {
    let (krate, ty) = (&view.krate, &field.ty.ty);
    let (stored, aliases) = stored(view, field);
    let mut modifiers = TokenStream::new();
    let default = match field.default.as_ref().map(|default| &default.value) {
        Some(DefaultValue::Expression(expression)) => {
            modifiers.extend(quote!(.or(|| #krate::__private::value::<#ty>(#expression))));
            false
        }
        Some(DefaultValue::OfType) | None => !field.ty.optional,
    };
    let is_json = field.skip.is_none() && field.with.is_none();
    if default && !is_json {
        modifiers.extend(quote!(.or_default::<#ty>()));
    }
    if field.flash.is_some() {
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
    }
    match field.standing.as_ref().map(|standing| standing.value) {
        None => {}
        Some(Standing::Privilege) => modifiers.extend(quote!(.privilege())),
        Some(Standing::Identity) => modifiers.extend(quote!(.identity())),
        Some(Standing::KeepOnLogout) => modifiers.extend(quote!(.keep_on_logout())),
        Some(Standing::DropOnLogin) => modifiers.extend(quote!(.drop_on_login())),
    }
    if field.secret.is_some() {
        modifiers.extend(quote!(.secret()));
    }
    match field.on_invalid.as_ref().map(|on_invalid| on_invalid.value) {
        Some(OnInvalid::Reject) => modifiers.extend(quote!(.reject())),
        // Rights and secrets have another default.
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
    quote!(#entry [#modifiers])
}

fn stored(view: &View, field: &Field) -> (Literal, Vec<Literal>) {
    let literal = |name: &Name| {
        let mut literal = Literal::string(&view.stored(name));
        literal.set_span(Span::call_site().located_at(name.origin.span()));
        literal
    };
    (literal(&field.name), field.aliases.iter().map(literal).collect())
}

/// A plain field whose type turns out to be an `Option` would never be absent.
fn alias_check(krate: &Path, field: &Field) -> Option<TokenStream> {
    let ty = &field.ty.ty;
    if field.ty.optional || !matches!(field.ty.kind, Kind::Unknown) {
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

/// Whether there are keys is for the library to say: a feature of it brings them.
fn key_check(krate: &Path, field: &Field) -> Option<TokenStream> {
    let at = field.secret.as_ref()?.key;
    // the path too, so that the error stands at the attribute alone
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

/// The types of the fields that may not be `Clone`, each once.
fn clone_bounds(view: &View) -> Vec<&Type> {
    let mut seen = HashSet::new();
    let unknown = view.fields.iter().filter(|field| !field.ty.kind.is_clone()).map(|field| &field.ty.ty);
    unknown.filter(|ty| seen.insert(ty.to_token_stream().to_string())).collect()
}

/// How a value is read and what its getter returns; then, how it is set and from what.
struct Access {
    read: &'static str,
    returns: TokenStream,
    store: &'static str,
    takes: TokenStream,
}

fn access(field: &Field) -> Access {
    let ty = &field.ty.ty;
    let at = Span::call_site().located_at(ty.span());
    let (read, returns) = match &field.ty.kind {
        Kind::Integer | Kind::WideInteger | Kind::Scalar => ("__field_copied", quote!(#ty)),
        _ if field.copy.is_some() => ("__field_copied", quote!(#ty)),
        Kind::String => ("__field_str", quote_spanned!(at=> &::core::primitive::str)),
        Kind::Vec(item) => ("__field_slice", quote_spanned!(at=> &[#item])),
        _ => ("__field_get", quote_spanned!(at=> &#ty)),
    };
    let (store, takes) = match &field.ty.kind {
        Kind::String => ("_into", quote_spanned!(at=> impl ::core::convert::Into<#ty>)),
        _ => ("", quote!(#ty)),
    };
    Access { read, returns, store, takes }
}

/// The accessors, in the order of the library's macro.
fn accessors(field: &Field) -> TokenStream {
    let ty = &field.ty.ty;
    let getter = &field.accessor.ident;
    let mut names = names::accessors(field.shape(), &field.accessor.base()).into_iter();
    // the first is the getter, which may be raw; the others have a prefix or a suffix, so they are no keywords
    names.next();
    let mut name = || names.next().map(|name| Ident::new(&name, getter.span()));
    let Access { read, returns, store, takes } = access(field);
    let optional = field.ty.optional;
    let read = if optional { format_ident!("{read}_option") } else { word(read) };
    let returns = if optional { quote!(::core::option::Option<#returns>) } else { returns };
    let (set, flash, now) = (
        format_ident!("__field_set{store}"),
        format_ident!("__field_flash{store}"),
        format_ident!("__field_flash_now{store}"),
    );
    let others = match field.shape() {
        Shape::Plain | Shape::SkipPlain => {
            let [setter, editor, reset] = [name(), name(), name()];
            let [add, fetch_add] = [name(), name()];
            let add = (field.merge() == Merge::Add).then(|| quote!(add #add #fetch_add));
            quote!(set #setter #set [#takes] edit #editor __field_edit [&mut #ty] reset #reset #add)
        }
        Shape::Option | Shape::SkipOption => {
            let [has, setter, editor, take, remove] = [name(), name(), name(), name(), name()];
            // another user is another session's worth of consequences, which begin with the call
            let edit = (!field.is_identity())
                .then(|| quote!(edit #editor __field_edit_option [::core::option::Option<&mut #ty>]));
            quote!(has #has set #setter #set [#takes] #edit take #take remove #remove)
        }
        Shape::Flash => {
            let [has, for_next, for_now] = [name(), name(), name()];
            let [take, keep, discard] = [name(), name(), name()];
            quote!(has #has flash #for_next #flash #for_now #now [#takes] #take #keep #discard)
        }
    };
    quote!(#getter #read [#returns] #others)
}

/// Documentation for a field that has none, so that `#![deny(missing_docs)]` holds.
fn generated_doc(field: &Field) -> Option<TokenStream> {
    let documented = field.docs.iter().any(|attr| matches!(attr.meta, Meta::NameValue(_)));
    let text = format!("The `{}` field.", field.member.unraw());
    (!documented).then(|| quote!(#[doc = #text]))
}

fn word(word: &str) -> Ident {
    format_ident!("{word}")
}
