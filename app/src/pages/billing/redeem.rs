//! A code that is redeemed on the page of the books.

use axum::response::Response;
use domain::{code::RedemptionCode, id::RedemptionId};
use ledger::{AccountOwner, Redemption};
use leptos::prelude::*;

use crate::{
    parts::{
        form::{Field, Form},
        layout::section,
    },
    server::{Refusal, Submission, see_other},
};

/// The form's one field, by which it is known.
pub(super) const CODE: &str = "code";

/// The form, drawn by the server: it only asks.
pub(super) fn form(form: &Form) -> AnyView {
    let field = Field::new("text", CODE, "Code").hint("As it was given to you; dashes, spaces and capitals do not matter.").required();
    let form = view! {
        <form class="row-form" method="post" action="/billing">
            {form.once_field()}
            {form.problem_view()}
            {field.view(form)}
            <button>"Redeem"</button>
        </form>
    };
    section("Redeem a code", form.into_any())
}

/// Redeems it, and leads to what the books say then. The same form again is the same redemption. Codes that do not exist are counted: what is mistyped could
/// be none, and is not.
pub(super) async fn redeem(submission: &Submission, owner: &AccountOwner) -> Result<Response, Refusal> {
    let (caller, visitor) = (submission.caller(), &submission.visitor);
    let code = RedemptionCode::parse(submission.text(CODE)).map_err(|_| {
        Refusal::field(CODE, "This is no code: it has 20 letters and digits, and one of them is wrong or missing. Compare them one by one.")
    })?;
    let attempt = submission.console.throttle.redeem(visitor.address, owner.id(), visitor.now)?;
    let redemption = Redemption { id: RedemptionId::from_uuid(submission.once()?), code: &code, actor: caller.actor()? };
    let redeemed = owner.redeem(redemption).await?;
    attempt.forget();
    let again = if redeemed.replayed { "&again=yes" } else { "" };
    Ok(see_other(&format!("/billing?done={}{again}", redeemed.posting)))
}
