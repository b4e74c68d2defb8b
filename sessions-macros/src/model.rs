//! The view as this crate understands it: types, names and options, taken from the struct and its attributes.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Path, Token, Visibility, parse_quote};

use crate::accessor::{Accessor, AccessorSet, FieldFacts};
use crate::attr::{DefaultValue, EntryMerge, FieldAttrs, FieldClass, Given, Merge, OnInvalid, StructAttrs};
use crate::names::{self, RenameRule};
use crate::types::ValueType;

/// The struct.
pub(crate) struct View {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) docs: Vec<Attribute>,
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
    pub(crate) base: BaseName,
    pub(crate) flash: Option<Span>,
    pub(crate) skip: Option<Given<()>>,
    pub(crate) default: Option<Given<DefaultValue>>,
    pub(crate) with: Option<Given<Path>>,
    pub(crate) merge: Option<Given<Merge>>,
    /// The merge of one entry of a map.
    pub(crate) entry: Option<Given<EntryMerge>>,
    /// The number of items of a list that stay.
    pub(crate) keep_last: Option<Given<TokenStream>>,
    pub(crate) class: Option<Given<FieldClass>>,
    pub(crate) secret: Option<Given<()>>,
    pub(crate) index: Option<Given<()>>,
    pub(crate) on_invalid: Option<Given<OnInvalid>>,
    pub(crate) copy: Option<Given<()>>,
    /// The name of the type that other views and later versions are compared with.
    pub(crate) logical_type: Option<Given<String>>,
}

/// A stored name with its origin.
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// The origin of a name.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// The field itself.
    Member(Span),
    /// A literal in an attribute.
    Written { key: Span, literal: Span },
}

impl Origin {
    /// Returns the span that an error about the name points at.
    pub(crate) const fn span(self) -> Span {
        match self {
            Self::Member(span) | Self::Written { literal: span, .. } => span,
        }
    }
}

/// The base name of a field's accessors.
pub(crate) struct BaseName {
    /// The getter, which has this name alone.
    pub(crate) ident: Ident,
    pub(crate) origin: Origin,
}

impl BaseName {
    /// Returns the name without `r#`.
    pub(crate) fn text(&self) -> String {
        self.ident.unraw().to_string()
    }
}

impl View {
    /// Makes the view of a struct with these attributes, as they stand and as they were read, and these fields.
    pub(crate) fn new(
        vis: Visibility,
        ident: Ident,
        attributes: Vec<Attribute>,
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
        Self { vis, ident, docs: docs(attributes), handle, krate, namespace: attrs.namespace, fields }
    }

    /// Returns a name as the store knows it.
    pub(crate) fn stored(&self, name: &Name) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}.{}", namespace.value, name.text),
            None => name.text.clone(),
        }
    }
}

impl Field {
    /// Makes the field; `None` for one of a tuple struct, which has no name.
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
        let base = match attrs.accessor {
            Some(given) => BaseName {
                ident: given.value,
                origin: Origin::Written { key: given.key, literal: given.literal },
            },
            None => BaseName::of(&member),
        };
        Some(Self {
            docs: docs(field.attrs),
            ty: ValueType::new(&field.ty),
            name,
            aliases: attrs.aliases.into_iter().map(Name::written).collect(),
            base,
            flash: attrs.flash,
            skip: attrs.skip,
            default: attrs.default,
            with: attrs.with,
            merge: attrs.merge,
            entry: attrs.entry,
            keep_last: attrs.keep_last,
            class: attrs.class,
            secret: attrs.secret,
            index: attrs.index,
            on_invalid: attrs.on_invalid,
            copy: attrs.copy,
            logical_type: attrs.logical_type,
            member,
        })
    }

    pub(crate) fn merge(&self) -> Merge {
        self.merge.as_ref().map_or(Merge::Last, |merge| merge.value)
    }

    /// Returns true if sessions can be found by the field: an identity, unless the store cannot read it, and an `index`.
    pub(crate) fn is_indexed(&self) -> bool {
        let is_identity = self.class.as_ref().is_some_and(|class| class.value == FieldClass::Identity);
        self.index.is_some() || (is_identity && self.secret.is_none())
    }

    /// Returns true if it is a list of flashes.
    pub(crate) fn is_flash_list(&self) -> bool {
        self.flash.is_some() && !self.ty.optional
    }

    /// Returns what the field's accessors depend on.
    pub(crate) fn facts(&self) -> FieldFacts {
        FieldFacts {
            set: match (self.ty.optional, self.flash.is_some() && self.skip.is_none()) {
                (false, true) => AccessorSet::FlashList,
                (false, false) => AccessorSet::Plain,
                (true, false) => AccessorSet::Optional,
                (true, true) => AccessorSet::Flash,
            },
            is_skipped: self.skip.is_some(),
            is_secret: self.secret.is_some(),
            merge: self.merge(),
            class: self.class.as_ref().map(|class| class.value),
        }
    }

    /// Returns the names of the field's accessors if `base` is their base name.
    pub(crate) fn methods(&self, base: &str) -> Vec<String> {
        Accessor::of(self.facts()).map(|accessor| accessor.name(base)).collect()
    }
}

impl Name {
    fn written(given: Given<String>) -> Self {
        Self { text: given.value, origin: Origin::Written { key: given.key, literal: given.literal } }
    }
}

impl BaseName {
    fn of(member: &Ident) -> Self {
        let span = Span::call_site().located_at(member.span());
        // invariant: a field's name is an identifier, so it is one with or without `r#`
        let ident = names::ident(&member.to_string(), span).unwrap_or_else(|| member.clone());
        Self { ident, origin: Origin::Member(member.span()) }
    }
}

/// Returns the attributes that are documentation.
fn docs(attrs: Vec<Attribute>) -> Vec<Attribute> {
    attrs.into_iter().filter(|attr| attr.path().is_ident("doc")).collect()
}

/// The fields of a struct, if they are named.
pub(crate) type NamedFields = Punctuated<syn::Field, Token![,]>;
