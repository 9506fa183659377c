use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Signup {
    /// The form.
    pub(crate) form: Form,
    /// Whether strangers may open an account.
    pub(crate) open: bool,
}
