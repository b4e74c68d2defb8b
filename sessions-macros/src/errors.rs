//! The errors of one derive, which are collected, so that one compile reports all of them.

use std::fmt::Display;
use std::thread;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The errors so far.
///
/// [`Errors::finish`] reads them. Dropping them unread is a bug of this crate and panics.
#[derive(Default)]
pub(crate) struct Errors {
    all: Option<syn::Error>,
    read: bool,
}

impl Errors {
    /// Adds an error that points at one token.
    pub(crate) fn at(&mut self, span: Span, message: impl Display) {
        self.push(syn::Error::new(span, message));
    }

    /// Adds an error that points at all of `tokens`.
    pub(crate) fn over(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error of the parser.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.all {
            Some(all) => all.combine(error),
            None => self.all = Some(error),
        }
    }

    /// Returns one `compile_error!` for each error.
    pub(crate) fn finish(mut self) -> TokenStream {
        self.read = true;
        self.all.take().map(syn::Error::into_compile_error).unwrap_or_default()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        assert!(self.read || thread::panicking(), "errors of the derive were dropped unread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "dropped unread")]
    fn dropping_it_unread_panics() {
        drop(Errors::default());
    }

    #[test]
    fn keeps_every_error() {
        let mut errors = Errors::default();
        errors.at(Span::call_site(), "one");
        errors.at(Span::call_site(), "two");
        let tokens = errors.finish().to_string();
        assert!(tokens.contains("\"one\"") && tokens.contains("\"two\""), "{tokens}");
    }
}
