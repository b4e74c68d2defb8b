//! A field's type as far as its tokens show it: nothing behind an alias can be seen.

use quote::ToTokens;
use syn::{GenericArgument, PathArguments, PathSegment, Type};

/// The type of a field, without parentheses and without the `Option` around it.
pub(crate) struct ValueType {
    /// The user's tokens.
    pub(crate) ty: Type,
    pub(crate) kind: TypeKind,
    /// True if the field's type is `Option<ty>`.
    pub(crate) optional: bool,
}

/// The kind of a type, as its tokens show it.
pub(crate) enum TypeKind {
    /// An integer of at most 64 bits.
    Integer,
    /// `u128` or `i128`.
    WideInteger,
    /// `f32`, `f64`, `bool`, `char` or `()`.
    Scalar,
    String,
    /// `Vec<U>`; this is `U`.
    Vec(Box<Type>),
    /// A type of the standard library that owns memory, so it is no number and not `Copy`.
    Owning,
    /// Any other type that is not written as a path: a tuple, an array, a function pointer.
    Compound,
    /// `&T`.
    Reference,
    /// A path that could be anything, an alias of `Option` included.
    Unknown,
}

impl ValueType {
    pub(crate) fn new(field: &Type) -> Self {
        let field = peel(field);
        let inner = last_segment(field).filter(|segment| segment.ident == "Option").and_then(single_argument);
        let ty = peel(inner.unwrap_or(field)).clone();
        Self { kind: TypeKind::of(&ty), ty, optional: inner.is_some() }
    }
}

impl TypeKind {
    pub(crate) fn of(ty: &Type) -> Self {
        match ty {
            Type::Reference(_) => return Self::Reference,
            Type::Tuple(tuple) if tuple.elems.is_empty() => return Self::Scalar,
            Type::Path(_) | Type::Macro(_) | Type::Infer(_) | Type::Verbatim(_) => {}
            _ => return Self::Compound,
        }
        let Some(segment) = last_segment(ty) else {
            return Self::Unknown;
        };
        let plain = segment.arguments.is_none();
        match segment.ident.to_string().as_str() {
            "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" if plain => {
                Self::Integer
            }
            "u128" | "i128" if plain => Self::WideInteger,
            "f32" | "f64" | "bool" | "char" if plain => Self::Scalar,
            "String" if plain => Self::String,
            "Vec" => single_argument(segment).map_or(Self::Unknown, |item| Self::Vec(Box::new(item.clone()))),
            "PathBuf" if plain => Self::Owning,
            "Box" | "Rc" | "Arc" | "HashMap" | "BTreeMap" | "HashSet" | "BTreeSet" | "VecDeque"
            | "BinaryHeap"
                if !plain =>
            {
                Self::Owning
            }
            _ => Self::Unknown,
        }
    }
}

impl TypeKind {
    /// Returns true if the tokens show that the type is `Clone`.
    pub(crate) fn is_clone(&self) -> bool {
        match self {
            Self::Integer | Self::WideInteger | Self::Scalar | Self::String => true,
            Self::Vec(item) => Self::of(item).is_clone(),
            _ => false,
        }
    }
}

/// Returns the name of a collection of the standard library, as far as the tokens show that the type is one.
pub(crate) fn collection(ty: &Type) -> Option<&'static str> {
    let segment = last_segment(ty).filter(|segment| !segment.arguments.is_none())?;
    let names = ["HashMap", "BTreeMap", "HashSet", "BTreeSet", "Vec"];
    names.into_iter().find(|name| segment.ident == name)
}

/// Returns a type as a person writes it.
pub(crate) fn text(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" ;", ";"),
        ("& ", "&"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

/// Returns the type without the paths in front of its names: `HashMap<String, u8>` for `std::collections::HashMap<…>`.
pub(crate) fn name(ty: &Type) -> String {
    let text = text(ty);
    let mut name = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("::") {
        let before = &rest[..at];
        let kept = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
        name.push_str(kept);
        // behind `<T as Trait>` it is no path
        if kept.len() == before.len() && before.ends_with('>') {
            name.push_str("::");
        }
        rest = &rest[at + 2..];
    }
    name + rest
}

/// Removes parentheses and the invisible groups that `macro_rules!` leaves.
fn peel(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Paren(paren) => &paren.elem,
            Type::Group(group) => &group.elem,
            _ => return ty,
        }
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

/// Returns the `T` of `Name<T>`.
fn single_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match (arguments.args.len(), arguments.args.first()) {
        (1, Some(GenericArgument::Type(ty))) => Some(ty),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ty: &str) -> ValueType {
        ValueType::new(&syn::parse_str(ty).unwrap_or_else(|error| panic!("{ty}: {error}")))
    }

    #[test]
    fn options_are_seen_by_their_last_segment() {
        for (ty, inner) in [
            ("Option<u8>", "u8"),
            ("std::option::Option<u8>", "u8"),
            ("::core::option::Option<u8>", "u8"),
            ("(Option<(u8)>)", "u8"),
            ("Option<Option<u8>>", "Option < u8 >"),
            ("Option<&'static str>", "& 'static str"),
        ] {
            let seen = seen(ty);
            assert!(seen.optional, "{ty}");
            assert_eq!(seen.ty.to_token_stream().to_string(), inner);
        }
        for ty in ["Option", "Option<A, B>", "MyOption<u8>", "<u8 as Trait>::Option", "Vec<Option<u8>>"] {
            assert!(!seen(ty).optional, "{ty}");
        }
    }

    #[test]
    fn an_option_in_the_group_of_a_macro_is_seen() {
        let group = proc_macro2::Group::new(proc_macro2::Delimiter::None, quote::quote!(Option<u8>));
        assert!(ValueType::new(&syn::parse_quote!(#group)).optional);
    }

    #[test]
    fn names_have_no_paths() {
        for (ty, expected) in [
            ("u8", "u8"),
            ("std::collections::HashMap<std::string::String, crate::Role>", "HashMap<String, Role>"),
            ("::core::primitive::u8", "u8"),
            ("(a::B, [c::D; 4])", "(B, [D; 4])"),
            ("<u8 as a::Trait>::Out", "<u8 as Trait>::Out"),
        ] {
            assert_eq!(name(&syn::parse_str(ty).unwrap_or_else(|error| panic!("{ty}: {error}"))), expected);
        }
    }

    #[test]
    fn paths_that_are_not_known_stay_unknown() {
        for ty in
            ["Count", "Maybe<u8>", "NonZeroU32", "String<u8>", "Vec", "T::u9", "<u8 as Trait>::Out", "m!()"]
        {
            assert!(matches!(seen(ty).kind, TypeKind::Unknown), "{ty}");
        }
    }
}
