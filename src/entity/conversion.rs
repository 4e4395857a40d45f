//! Conversion of a call's error to an error of the caller.

/// An error of a call that `?` converts to the caller's error type `Target`. `#[derive(FromCallError)]` requires it.
#[diagnostic::on_unimplemented(
    message = "`?` cannot convert the error `{Self}` of this call to `{Target}`",
    label = "`{Target}` has no variant `#[from] {Self}`",
    note = "add a variant `#[from] {Self}` to `{Target}`; for a `Failure`, use `#[from_call_error] Failure`"
)]
#[doc(hidden)]
pub trait PassedOn<Target> {
    /// Converts the error.
    fn pass_on(self) -> Target;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Target>, Target> PassedOn<Target> for E {
    fn pass_on(self) -> Target {
        self.into()
    }
}
