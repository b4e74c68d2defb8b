//! From a struct to the expansion: `attr` -> `model` -> `check` -> `expand`.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields};

use crate::attr::{FieldAttrs, StructAttrs};
use crate::check;
use crate::errors::Errors;
use crate::expand;
use crate::model::{NamedFields, View};
use crate::writer;

/// Expands `#[derive(Session)]`.
///
/// With errors it is one `compile_error!` for each. If the struct can be understood at all, the view follows without
/// what was wrong. So the accessors that other code calls exist, and one mistake is one error.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expansion = match syn::parse2::<DeriveInput>(input) {
        Ok(input) => expand(input, &mut errors),
        Err(error) => {
            errors.push(error);
            TokenStream::new()
        }
    };
    let mut tokens = errors.finish();
    tokens.extend(expansion);
    tokens
}

fn expand(input: DeriveInput, errors: &mut Errors) -> TokenStream {
    let attrs = StructAttrs::read(&input.attrs, errors);
    let has_generics = !input.generics.params.is_empty();
    if has_generics {
        let message = format!(
            "`{}` must be concrete, since it names what is stored; remove the generics and write the types out",
            input.ident
        );
        errors.over(&input.generics.params, message);
    }
    let fields = named_fields(&input, errors);
    let is_understood = fields.is_some();
    let fields = fields.into_iter().flatten().map(|field| {
        let attrs = FieldAttrs::read(&field.attrs, errors);
        (field, attrs)
    });
    let fields = fields.collect();
    let mut view = View::new(input.vis, input.ident, input.attrs, attrs, fields);
    check::view(&mut view, errors);
    if has_generics {
        // an impl for the bare name of a generic type would be an error of its own
        TokenStream::new()
    } else if is_understood {
        let mut tokens = expand::view(&view);
        tokens.extend(writer::writer(&view));
        tokens
    } else {
        expand::stub(&view)
    }
}

/// Returns the fields of a struct with named fields. Anything else is reported.
fn named_fields(input: &DeriveInput, errors: &mut Errors) -> Option<NamedFields> {
    let name = input.ident.unraw();
    let instead = format!("write `struct {name} {{ … }}` with named fields");
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(once_each(&fields.named)),
            Fields::Unnamed(fields) => errors
                .over(fields, format!("a tuple struct has no names to store its fields under; {instead}")),
            Fields::Unit => {
                errors.over(data.semi_token, format!("a unit struct has no fields to store; {instead}"));
            }
        },
        Data::Enum(data) => {
            errors.over(data.enum_token, format!("an enum has no fields to store; {instead}"));
        }
        Data::Union(data) => {
            errors.over(data.union_token, format!("a union has no fields to store; {instead}"));
        }
    }
    None
}

/// Drops each field whose name a later one has. The compiler reports the two, and goes on with the last, too.
fn once_each(fields: &NamedFields) -> NamedFields {
    let is_last = |i: usize| !fields.iter().skip(i + 1).any(|later| later.ident == fields[i].ident);
    fields.iter().enumerate().filter(|(i, _)| is_last(*i)).map(|(_, field)| field.clone()).collect()
}
