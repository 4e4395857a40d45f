//! From what a call returned to an error of the caller's.

/// An error that a call returned and that `?` turns into the caller's `Target`. `#[derive(FromCallError)]` asks for it.
#[diagnostic::on_unimplemented(
    message = "`?` cannot turn the error `{Self}` of this call into `{Target}`",
    label = "`{Target}` has no variant `#[from] {Self}`",
    note = "add a variant `#[from] {Self}` to `{Target}`; for a `Failure` it is `#[from_call_error] Failure`"
)]
#[doc(hidden)]
pub trait PassedOn<Target> {
    /// Converts it.
    fn pass_on(self) -> Target;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Target>, Target> PassedOn<Target> for E {
    fn pass_on(self) -> Target {
        self.into()
    }
}
