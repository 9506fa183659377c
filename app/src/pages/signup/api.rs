use super::page::Signup;
use crate::server::Caller;

/// What the sign-up page shows.
pub(crate) fn signup(caller: &Caller) -> Signup {
    caller.lead_on("");
    Signup { form: caller.form(), open: caller.console.settings.signup_open }
}
