//! The view as this crate understands it: types, names and wishes, taken from the struct and its attributes.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Path, Token, Visibility, parse_quote};

use crate::attr::{DefaultValue, FieldAttrs, Given, Merge, OnInvalid, Standing, StructAttrs};
use crate::names::{self, RenameRule};
use crate::types::ValueType;

/// The struct.
pub(crate) struct View {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) handle: Ident,
    /// The path of the library.
    pub(crate) krate: Path,
    pub(crate) namespace: Option<Given<String>>,
    pub(crate) fields: Vec<Field>,
}

/// One field.
pub(crate) struct Field {
    pub(crate) member: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ty: ValueType,
    /// The stored name, without the namespace.
    pub(crate) name: Name,
    /// Older stored names, without the namespace.
    pub(crate) aliases: Vec<Name>,
    pub(crate) accessor: Accessor,
    pub(crate) flash: Option<Span>,
    pub(crate) skip: Option<Given<()>>,
    pub(crate) default: Option<Given<DefaultValue>>,
    pub(crate) with: Option<Given<Path>>,
    pub(crate) merge: Option<Given<Merge>>,
    pub(crate) standing: Option<Given<Standing>>,
    pub(crate) secret: Option<Given<()>>,
    pub(crate) on_invalid: Option<Given<OnInvalid>>,
    pub(crate) copy: Option<Given<()>>,
}

/// A stored name and where it comes from.
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// Where a name comes from.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// The field itself.
    Member(Span),
    /// A literal in an attribute.
    Written { key: Span, literal: Span },
}

impl Origin {
    /// Where to point when the name is wrong.
    pub(crate) const fn span(self) -> Span {
        match self {
            Self::Member(span) | Self::Written { literal: span, .. } => span,
        }
    }
}

/// The base name of a field's accessors.
pub(crate) struct Accessor {
    /// The getter.
    pub(crate) ident: Ident,
    pub(crate) origin: Origin,
}

impl Accessor {
    /// The name without `r#`.
    pub(crate) fn base(&self) -> String {
        self.ident.unraw().to_string()
    }
}

/// Which accessors a field has, and how they deal with absence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Plain,
    Option,
    Flash,
    SkipPlain,
    SkipOption,
}

impl View {
    /// `fields` are the struct's, each with its attributes.
    pub(crate) fn new(
        vis: Visibility,
        ident: Ident,
        attrs: StructAttrs,
        fields: Vec<(syn::Field, FieldAttrs)>,
    ) -> Self {
        let rename_all = attrs.rename_all.map(|rule| rule.value);
        let fields =
            fields.into_iter().filter_map(|(field, attrs)| Field::new(field, attrs, rename_all)).collect();
        let handle = match attrs.handle {
            Some(handle) => handle.value,
            None => {
                Ident::new(&format!("{}Handle", ident.unraw()), Span::call_site().located_at(ident.span()))
            }
        };
        let krate = attrs.krate.map_or_else(|| parse_quote!(::sessions), |krate| krate.value);
        Self { vis, ident, handle, krate, namespace: attrs.namespace, fields }
    }

    /// A name as the store knows it.
    pub(crate) fn stored(&self, name: &Name) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}.{}", namespace.value, name.text),
            None => name.text.clone(),
        }
    }
}

impl Field {
    /// `None` for the field of a tuple struct, which has no name.
    fn new(field: syn::Field, attrs: FieldAttrs, rename_all: Option<RenameRule>) -> Option<Self> {
        let member = field.ident?;
        let text = member.unraw().to_string();
        let name = match attrs.rename {
            Some(given) => Name::written(given),
            None => Name {
                text: rename_all.map_or_else(|| text.clone(), |rule| rule.apply(&text)),
                origin: Origin::Member(member.span()),
            },
        };
        let accessor = match attrs.accessor {
            Some(given) => Accessor {
                ident: given.value,
                origin: Origin::Written { key: given.key, literal: given.literal },
            },
            None => Accessor::of(&member),
        };
        Some(Self {
            docs: field.attrs.into_iter().filter(|attr| attr.path().is_ident("doc")).collect(),
            ty: ValueType::new(&field.ty),
            name,
            aliases: attrs.aliases.into_iter().map(Name::written).collect(),
            accessor,
            flash: attrs.flash,
            skip: attrs.skip,
            default: attrs.default,
            with: attrs.with,
            merge: attrs.merge,
            standing: attrs.standing,
            secret: attrs.secret,
            on_invalid: attrs.on_invalid,
            copy: attrs.copy,
            member,
        })
    }

    pub(crate) const fn shape(&self) -> Shape {
        match (self.ty.optional, self.skip.is_some(), self.flash.is_some()) {
            (true, false, true) => Shape::Flash,
            (true, false, false) => Shape::Option,
            (true, true, _) => Shape::SkipOption,
            (false, false, _) => Shape::Plain,
            (false, true, _) => Shape::SkipPlain,
        }
    }

    pub(crate) fn merge(&self) -> Merge {
        self.merge.as_ref().map_or(Merge::Last, |merge| merge.value)
    }

    pub(crate) fn is_identity(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.value == Standing::Identity)
    }

    /// The names of the methods that exist for this field if `base` is their base name.
    pub(crate) fn methods(&self, base: &str) -> Vec<String> {
        let mut methods = names::accessors(self.shape(), base);
        match self.shape() {
            Shape::SkipPlain => methods.truncate(4),
            Shape::Plain if self.merge() != Merge::Add => methods.truncate(4),
            Shape::Option if self.is_identity() => drop(methods.remove(3)),
            _ => {}
        }
        methods
    }
}

impl Name {
    fn written(given: Given<String>) -> Self {
        Self { text: given.value, origin: Origin::Written { key: given.key, literal: given.literal } }
    }
}

impl Accessor {
    fn of(member: &Ident) -> Self {
        let span = Span::call_site().located_at(member.span());
        // invariant: a field's name is an identifier, so it is one with or without `r#`
        let ident = names::ident(&member.to_string(), span).unwrap_or_else(|| member.clone());
        Self { ident, origin: Origin::Member(member.span()) }
    }
}

/// The fields of a struct, if they are named.
pub(crate) type NamedFields = Punctuated<syn::Field, Token![,]>;
