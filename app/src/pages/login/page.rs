use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The form.
    pub(crate) form: Form,
    /// Where it leads: a path of this console, or empty.
    pub(crate) next: String,
    /// Whether somebody just signed out.
    pub(crate) signed_out: bool,
    /// Why nobody can sign in where it was opened, and what to open instead.
    pub(crate) in_the_clear: Option<String>,
    /// Whether strangers may open an account.
    pub(crate) signup_open: bool,
    /// Who can sign in to a demonstration: what they are, their address and their password.
    pub(crate) demo: Vec<(String, String, String)>,
}
