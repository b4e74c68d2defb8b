//! `Set-Cookie` values that store and remove the cookie.

use std::{borrow::Cow, time::Duration};

use cookie::Cookie;
use http::HeaderValue;

use super::{CookieConfig, SameSite};

/// The attributes that make two cookies of one name different for a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieScope {
    pub(super) domain: Option<Cow<'static, str>>,
    pub(super) path: Cow<'static, str>,
    pub(super) is_partitioned: bool,
}

impl CookieConfig {
    /// Returns the `Set-Cookie` value that stores a token, for as long as the browser runs if `max_age` is `None`.
    pub(crate) fn set(&self, token: String, max_age: Option<Duration>) -> Option<HeaderValue> {
        let seconds = max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.header(&self.scope(), token, seconds)
    }

    /// Returns the `Set-Cookie` value that removes the cookie: the same attributes, `Max-Age=0`.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header(&self.scope(), String::new(), Some(0))
    }

    /// Returns the `Set-Cookie` values that remove the cookies of earlier deploys, and never the present one.
    ///
    /// A browser that does not know `Partitioned` takes the last of them for the present cookie. So they come before
    /// the present cookie's own value.
    pub(crate) fn remove_former(&self) -> Vec<HeaderValue> {
        let present = self.scope();
        let host_only = self.domain.is_some().then(|| CookieScope { domain: None, ..present.clone() });
        let scopes = self.former.iter().cloned().chain(host_only).chain([present.clone()]);
        // An earlier deploy may have set it without `Partitioned`.
        let variants = &[false, true][..=usize::from(self.is_partitioned)];
        let former = scopes.flat_map(|scope| {
            variants
                .iter()
                .map(move |is_partitioned| CookieScope { is_partitioned: *is_partitioned, ..scope.clone() })
        });
        let former = former.filter(|scope| !scope.is_same(&present));
        former.filter_map(|scope| self.header(&scope, String::new(), Some(0))).collect()
    }

    fn scope(&self) -> CookieScope {
        let Self { domain, path, is_partitioned, .. } = self;
        CookieScope { domain: domain.clone(), path: path.clone(), is_partitioned: *is_partitioned }
    }

    fn header(&self, scope: &CookieScope, value: String, max_age: Option<i64>) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((&*self.name, value))
            .path(&*scope.path)
            .secure(self.is_secure)
            .http_only(self.is_http_only)
            .same_site(match self.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .partitioned(scope.is_partitioned);
        if let Some(seconds) = max_age {
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        if let Some(domain) = &scope.domain {
            cookie = cookie.domain(&**domain);
        }
        let mut value = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl CookieScope {
    fn is_same(&self, other: &Self) -> bool {
        let is_same_domain = match (&self.domain, &other.domain) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (None, None) => true,
            _ => false,
        };
        is_same_domain && self.path == other.path && self.is_partitioned == other.is_partitioned
    }
}
