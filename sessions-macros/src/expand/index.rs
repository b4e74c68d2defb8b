//! The methods that find sessions by an indexed field, for a view that has one.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;

use crate::model::{Field, View};
use crate::types::TypeKind;

/// Expands to the type with a method for each indexed field; to nothing if there is none.
///
/// It stands in a block of its own, so that it takes no name from the user's module.
pub(super) fn finder(view: &View) -> Option<TokenStream> {
    let View { vis, ident, handle, krate, .. } = view;
    let indexed = view.fields.iter().enumerate().filter(|(_, field)| field.is_indexed());
    let methods: Vec<_> = indexed.map(|(index, field)| method(view, index, field)).collect();
    if methods.is_empty() {
        return None;
    }
    let members = view.fields.iter().enumerate().map(|(index, field)| {
        let (member, ty, index) = (&field.member, &field.ty.ty, Literal::usize_unsuffixed(index));
        let read: Ident = if field.ty.optional {
            format_ident!("__field_cloned_option")
        } else {
            format_ident!("__field_cloned")
        };
        quote!(#member: fields.#read::<#ty>(#index))
    });
    let doc = format!("Finds sessions by the indexed fields of `{}`.", ident.unraw());
    Some(quote! {
        const _: () = {
            #[doc = #doc]
            #vis struct __Sessions {
                __inner: #krate::__private::SessionFinder,
            }

            #[allow(dead_code)]
            impl __Sessions {
                #(#methods)*
            }

            #[automatically_derived]
            impl ::core::fmt::Debug for __Sessions {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(&self.__inner, f)
                }
            }

            #[automatically_derived]
            impl #krate::IndexedView for #ident {
                type Sessions = __Sessions;

                fn __sessions(__inner: #krate::__private::SessionFinder) -> __Sessions {
                    __Sessions { __inner }
                }

                fn __read(fields: &#krate::__private::RecordReader) -> Self {
                    Self { #(#members),* }
                }
            }

            #[allow(dead_code)]
            impl #handle {
                /// Finds sessions by an indexed field, this one among them.
                #[must_use]
                #vis fn sessions(&self) -> __Sessions {
                    __Sessions { __inner: self.__inner.__finder() }
                }
            }
        };
    })
}

fn method(view: &View, index: usize, field: &Field) -> TokenStream {
    let View { vis, ident, krate, .. } = view;
    let (ty, index) = (&field.ty.ty, Literal::usize_unsuffixed(index));
    let name = Ident::new(&format!("by_{}", field.base.text()), field.base.ident.span());
    let doc = format!("Returns the sessions whose `{}` is this value.", field.member.unraw());
    let at = Span::call_site().located_at(field.base.ident.span());
    // a text is given as it is at hand
    let (parameter, value) = if matches!(field.ty.kind, TypeKind::String) {
        (
            quote_spanned!(at=> &::core::primitive::str),
            quote!(&<#ty as ::core::convert::From<_>>::from(value)),
        )
    } else {
        (quote!(&#ty), quote!(value))
    };
    quote! {
        #[doc = #doc]
        #vis fn #name(&self, value: #parameter) -> #krate::FoundSessions<#ident> {
            self.__inner.__by::<#ident, #ty>(#index, #value)
        }
    }
}
