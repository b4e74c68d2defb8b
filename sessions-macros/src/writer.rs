//! Tokens of the writer: one more invocation of a macro of the library, for a view that asks for it. Cannot fail.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use crate::accessor::{Accessor, AccessorSet};
use crate::attr::{FieldClass, Merge};
use crate::expand::parameter_type;
use crate::model::{Field, View};
use crate::types::TypeKind;

/// Expands the writer, if the view has one.
pub(crate) fn writer(view: &View) -> Option<TokenStream> {
    view.writer.as_ref()?;
    let View { vis, ident, krate, .. } = view;
    let name = Ident::new(&format!("{}Writer", ident.unraw()), Span::call_site().located_at(ident.span()));
    let doc = format!("The session of a request, written as `{}` without being read.", ident.unraw());
    let fields = view.fields.iter().enumerate();
    let methods = fields.flat_map(|(index, field)| {
        setters(field).iter().map(move |accessor| method(view, index, field, *accessor))
    });
    Some(quote! {
        #krate::__session_writer! { #vis #ident #name #doc { #(#methods)* } }
    })
}

/// Returns the accessors of a field that need nothing of what is stored.
fn setters(field: &Field) -> &'static [Accessor] {
    let is_right = field
        .class
        .as_ref()
        .is_some_and(|class| matches!(class.value, FieldClass::Privilege | FieldClass::Identity));
    // the value under an older name would count, too
    let counts_older = !field.aliases.is_empty() && field.merge() != Merge::Last;
    let is_blind = matches!(field.merge(), Merge::Last | Merge::First | Merge::Add | Merge::Max | Merge::Min);
    let needs_record = is_right || field.is_indexed() || field.group.is_some();
    if needs_record || counts_older || !is_blind || field.skip.is_some() {
        return &[];
    }
    match (field.facts().set, field.merge()) {
        (AccessorSet::Flash, _) => &[Accessor::Flash],
        (AccessorSet::Once, _) => &[Accessor::Set],
        (AccessorSet::FlashList, _) => &[],
        (AccessorSet::Plain, Merge::Add) => &[Accessor::Set, Accessor::Add, Accessor::Reset],
        (AccessorSet::Plain, _) => &[Accessor::Set, Accessor::Reset],
        (AccessorSet::Optional, _) => &[Accessor::Set, Accessor::Remove],
    }
}

/// Expands one method, which calls one of the library's writer.
fn method(view: &View, index: usize, field: &Field, accessor: Accessor) -> TokenStream {
    let (vis, ty, index) = (&view.vis, &field.ty.ty, Literal::usize_unsuffixed(index));
    let name = Ident::new(&accessor.name(&field.base.text()), field.base.ident.span());
    let doc = accessor.doc(&field.member.unraw().to_string(), field.facts());
    let (parameter, call) = match accessor {
        Accessor::Set | Accessor::Flash => {
            let parameter = parameter_type(ty);
            let is_text = matches!(field.ty.kind, TypeKind::String);
            let call = format_ident!("{}", if is_text { "__write_set_into" } else { "__write_set" });
            (Some(quote!(, value: #parameter)), quote!(#call::<#ty>(#index, value)))
        }
        Accessor::Add => (Some(quote!(, by: ::core::primitive::i64)), quote!(__write_add(#index, by))),
        _ => (None, quote!(__write_remove(#index))),
    };
    quote! {
        #[doc = #doc]
        #[inline]
        #vis fn #name(&mut self #parameter) {
            self.__inner.#call;
        }
    }
}
