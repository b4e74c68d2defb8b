//! Tokens: one invocation of a macro of the library. Cannot fail.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Meta, Path, Visibility};

use crate::attr::DefaultValue;
use crate::model::{Field, Name, Shape, View};
use crate::names;
use crate::types::Kind;

/// The view.
pub(crate) fn view(view: &View) -> TokenStream {
    let View { vis, ident, handle, krate, .. } = view;
    let fields = view.fields.iter().enumerate().map(|(index, field)| self::field(view, index, field));
    quote! {
        #krate::__session_view! {
            [#vis] #ident #handle
            #({ #fields })*
        }
    }
}

/// What stands in for a view that cannot be understood, so that its uses are not errors too.
pub(crate) fn stub(krate: &Path, vis: &Visibility, ident: &Ident, handle: &Ident) -> TokenStream {
    quote! {
        #krate::__session_stub! { [#vis] #ident #handle }
    }
}

fn field(view: &View, index: usize, field: &Field) -> TokenStream {
    let Field { member, docs, ty, .. } = field;
    let index = Literal::usize_unsuffixed(index);
    let value_type = &ty.ty;
    let (stored, aliases) = stored(view, field);
    let shape = word(match field.shape() {
        Shape::Plain => "plain",
        Shape::Option => "option",
        Shape::Flash => "flash",
        Shape::SkipPlain => "skip_plain",
        Shape::SkipOption => "skip_option",
    });
    let merge = word(field.merge().name());
    let on_invalid = word(field.on_invalid().name());
    let codec = field.with.as_ref().map(|with| &with.value);
    let codec = codec.map_or_else(|| quote!(json), |module| quote!(with #module));
    let default = match field.default.as_ref().map(|default| &default.value) {
        Some(DefaultValue::Expression(expression)) => expression.clone(),
        Some(DefaultValue::OfType) | None => TokenStream::new(),
    };
    let alias_check =
        word(if matches!(ty.kind, Kind::Unknown) && !ty.optional { "unchecked" } else { "checked" });
    let (getter, target) = getter(field);
    let setter = word(if matches!(ty.kind, Kind::String) { "into_string" } else { "value" });
    let generated_doc = generated_doc(field);
    let accessors = accessors(field);
    quote! {
        #index
        #member
        #shape
        [ #value_type ]
        ( #stored [ #(#aliases),* ] )
        #merge
        #on_invalid
        ( #codec )
        ( #default )
        #alias_check
        #getter
        [ #target ]
        #setter
        [ #generated_doc #(#docs)* ]
        { #(#accessors)* }
    }
}

fn stored(view: &View, field: &Field) -> (Literal, Vec<Literal>) {
    if field.skip.is_some() {
        return (Literal::string(""), Vec::new());
    }
    let literal = |name: &Name| {
        let mut literal = Literal::string(&view.stored(name));
        literal.set_span(Span::call_site().located_at(name.origin.span()));
        literal
    };
    (literal(&field.name), field.aliases.iter().map(literal).collect())
}

/// How the getter returns the value, and what of.
fn getter(field: &Field) -> (Ident, TokenStream) {
    match &field.ty.kind {
        _ if field.copy.is_some() => (word("copy"), TokenStream::new()),
        Kind::Integer | Kind::WideInteger | Kind::Scalar => (word("copy"), TokenStream::new()),
        Kind::String => (word("str"), TokenStream::new()),
        Kind::Vec(item) => (word("slice"), item.to_token_stream()),
        _ => (word("refer"), TokenStream::new()),
    }
}

/// Documentation for a field that has none, so that `#![deny(missing_docs)]` holds.
fn generated_doc(field: &Field) -> Option<TokenStream> {
    let documented = field.docs.iter().any(|attr| matches!(attr.meta, Meta::NameValue(_)));
    let text = format!("The `{}` field.", field.member.unraw());
    (!documented).then(|| quote!(#[doc = #text]))
}

fn accessors(field: &Field) -> Vec<Ident> {
    let getter = &field.accessor.ident;
    let mut names = names::accessors(field.shape(), &field.accessor.base()).into_iter();
    // the first is the getter, which may be raw; the others have a prefix or a suffix, so they are no keywords
    names.next();
    let others = names.map(|name| Ident::new(&name, getter.span()));
    std::iter::once(getter.clone()).chain(others).collect()
}

fn word(word: &str) -> Ident {
    format_ident!("{word}")
}
