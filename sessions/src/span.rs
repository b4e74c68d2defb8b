//! The `tracing` span of a request, taken along by work that goes on in a task of its own.

use std::future::Future;

/// Runs the work inside of the span that is current now: its events belong to the request that began it.
#[cfg(feature = "tracing")]
pub(crate) fn in_current_span<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    tracing::Instrument::in_current_span(work)
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn in_current_span<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    work
}
