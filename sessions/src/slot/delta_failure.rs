//! The error of a request whose delta cannot be applied.

use crate::{
    delta::{DeltaFailure, OpFailure},
    error::Error,
};

/// Returns the error for an operation that cannot be applied.
pub(super) fn failed_operation(failure: &DeltaFailure) -> Error {
    match failure.reason {
        OpFailure::Invalid => Error::not_an_integer(&failure.field),
        OpFailure::Changed => Error::changed_meanwhile(&failure.field),
    }
}
