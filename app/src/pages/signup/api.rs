use super::page::Signup;
use crate::server::Caller;

/// What the sign-up page shows.
pub(crate) fn signup(caller: &Caller) -> Signup {
    Signup { form: caller.form(), open: caller.console.settings.signup_open }
}
