//! The session cookie: its name and attributes, its checks, reading and writing it.

mod read;
mod rules;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;

use self::write::CookieScope;
use crate::value::Token;

/// The length of the longest token in the cookie: a signed one. A name that fits today then fits with signed tokens.
pub(super) const LONGEST_TOKEN: usize = 92;

const _: () = assert!(Token::TEXT_LENGTH <= LONGEST_TOKEN);

/// The name and attributes of a layer's cookie: by default
/// `__Host-sid=…; HttpOnly; SameSite=Lax; Secure; Path=/`.
///
/// Browsers accept a cookie whose name begins with `__Host-` from this host only, over a secure connection, with the
/// path `/` and without a domain (RFC 6265bis section 4.1.3.2). So no sibling domain can plant one. Chromium and
/// Firefox count HTTP on `localhost` as such a connection.
///
/// [`SessionLayer::with_cookie`](crate::SessionLayer::with_cookie) returns an error for a cookie that browsers would
/// refuse.
///
/// A cookie for all hosts of a domain:
///
/// ```
/// use sessions::{CookieConfig, SameSite, SessionLayer, store::MemoryStore};
///
/// # fn layer() -> Result<(), sessions::Error> {
/// let cookie = CookieConfig::new("__Secure-shop").with_domain("example.com").with_same_site(SameSite::Strict);
/// let layer = SessionLayer::new(MemoryStore::new()).with_cookie(cookie)?;
/// # let _ = layer;
/// # Ok(())
/// # }
/// # layer().unwrap();
/// ```
///
/// A cookie of its own for a second program on the same host, since cookies know no ports:
///
/// ```
/// use sessions::{CookieConfig, SessionLayer, store::MemoryStore};
///
/// let layer = SessionLayer::new(MemoryStore::new()).with_cookie(CookieConfig::new("__Host-admin"));
/// assert!(layer.is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieConfig {
    name: Cow<'static, str>,
    path: Cow<'static, str>,
    domain: Option<Cow<'static, str>>,
    same_site: SameSite,
    is_secure: bool,
    is_http_only: bool,
    is_partitioned: bool,
    /// The domains and paths of earlier deploys.
    former: Vec<CookieScope>,
}

/// The requests of other sites with which a browser sends the cookie (RFC 6265bis section 5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// None: a link from another site leads to a page without a session.
    Strict,
    /// Links to this site, not forms and frames.
    #[default]
    Lax,
    /// All. The application then needs another protection against forged requests (CSRF).
    None,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new("__Host-sid")
    }
}

impl CookieConfig {
    /// A cookie of this name, with the attributes that protect it best.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            path: "/".into(),
            domain: None,
            same_site: SameSite::Lax,
            is_secure: true,
            is_http_only: true,
            is_partitioned: false,
            former: Vec::new(),
        }
    }

    /// Limits the cookie to this path and those below it. This protects nothing: pages of other paths can still read
    /// each other's cookies.
    ///
    /// A path begins with `/`, holds no `;` and has at most 1024 bytes. The default is `/`.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Sends the cookie to all hosts of this domain too. Each of them can then plant one, so the name must not begin
    /// with `__Host-`.
    ///
    /// A domain has at least two labels, as `example.com` does. For one host alone, set no domain. Browsers accept no
    /// cookie for a *public suffix* such as `co.uk` or `github.io`, under which different owners have hosts. That
    /// list changes every week (<https://publicsuffix.org>), so the library does not check it. Names in other scripts
    /// are written as in DNS (`xn--…`).
    ///
    /// A cookie without a domain, from before a deploy that added one, counts as
    /// [former](Self::with_former) automatically.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Names a domain (`None` for the host alone) and a path that the cookie had in an earlier deploy. Call it once
    /// for each earlier place.
    ///
    /// A browser keeps the same name with another domain or path as another cookie, and sends both. When a request
    /// has more than one cookie of this name, a response that sets or removes the session's cookie also removes the
    /// former ones. Without this option, two live tokens come with each request until the older session ends, and the
    /// layer uses neither ([`Event::TwoLiveTokens`](crate::Event::TwoLiveTokens)).
    ///
    /// ```
    /// use sessions::CookieConfig;
    ///
    /// // Earlier deploys set it for `shop.example.com` and its subdomains, and for the path `/shop`.
    /// let cookie = CookieConfig::new("__Secure-shop")
    ///     .with_domain("example.com")
    ///     .with_former(Some("shop.example.com"), "/")
    ///     .with_former(None, "/shop");
    /// # let _ = cookie;
    /// ```
    #[must_use]
    pub fn with_former(mut self, domain: Option<&str>, path: &str) -> Self {
        let domain = domain.map(|domain| Cow::Owned(domain.to_owned()));
        let path = Cow::Owned(path.to_owned());
        self.former.push(CookieScope { domain, path, is_partitioned: false });
        self
    }

    /// Sets the requests of other sites that carry the cookie: [`Lax`](SameSite::Lax) by default.
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets `Partitioned`: a browser keeps separate cookies for each site that embeds this one. Off by default.
    #[must_use]
    pub fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.is_partitioned = partitioned;
        self
    }

    /// Leaves `Secure` out: the cookie is sent over plain HTTP too, where every machine on the network path can read
    /// and change it.
    #[must_use]
    pub fn insecure_over_http(mut self) -> Self {
        self.is_secure = false;
        self
    }

    /// Leaves `HttpOnly` out: scripts of the page can read the cookie, injected ones (XSS) too.
    #[must_use]
    pub fn insecure_readable_by_scripts(mut self) -> Self {
        self.is_http_only = false;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// Returns true if browsers send it over secure connections only.
    pub(super) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(super) fn shared_name(&self) -> Cow<'static, str> {
        self.name.clone()
    }
}
