use leptos::prelude::*;

use super::{DETAILS, PATH, page::Details};
use crate::parts::{
    form::{Field, Tone, notice},
    layout::{foreign, head, pairs, stack},
    table::link,
};

/// Who buys, and the form that says so.
pub(crate) fn details(page: &Details) -> AnyView {
    let back = link(PATH.to_owned(), "Documents");
    let about = view! { "As your receipts and invoices name you. Those that were issued stay as they are. "{back} }.into_any();
    let body = if page.can_change { form(page) } else { shown(page) };
    stack(vec![head("Billing details", about, ()), body])
}

fn shown(page: &Details) -> AnyView {
    let buyer = &page.buyer;
    let said = [("Name", &buyer.name), ("E-mail", &buyer.email), ("Address", &buyer.address), ("Tax ID", &buyer.tax_id)];
    let said = said.into_iter().filter(|(_, value)| !value.is_empty());
    let said = said.map(|(name, value)| (name.to_owned(), foreign(value))).collect();
    stack(vec![notice(Tone::Plain, "Only an owner of this account can change them."), pairs("pairs", said)])
}

fn form(page: &Details) -> AnyView {
    let Details { said, form, .. } = page;
    view! {
        <form class="column-form" method="post" action=DETAILS>
            {form.once_field()}
            {form.problem_view()}
            {Field::new("text", "name", "Name").initial(&said.name).hint("Empty: the account's name.").autocomplete("organization").view(form)}
            {Field::new("email", "email", "E-mail address").initial(&said.email).hint("Empty: an owner's address.").autocomplete("email").view(form)}
            {Field::new("text", "address", "Address")
                .initial(&said.address)
                .hint("On one line, with commas: 1 High Street, London N1, United Kingdom.")
                .autocomplete("street-address")
                .view(form)}
            {Field::new("text", "tax_id", "Tax ID").initial(&said.tax_id).hint("By which your tax office knows you.").view(form)}
            <button class="primary">"Save"</button>
        </form>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use domain::document::Buyer;

    use super::*;
    use crate::parts::form::Form;

    fn page(can_change: bool) -> String {
        let buyer = Buyer { name: "Ada <Ltd>".to_owned(), email: "ada@example.com".to_owned(), ..Buyer::default() };
        let page = Details { said: Buyer::default(), buyer, can_change, form: Form::default() };
        Owner::new().with(|| details(&page).to_html()).replace("<!>", "")
    }

    #[test]
    fn only_an_owner_has_a_form_and_others_see_what_stands_there() {
        let (owner, viewer) = (page(true), page(false));
        assert!(owner.contains("<form") && owner.contains("Empty: the account's name."), "{owner}");
        assert!(!viewer.contains("<form") && viewer.contains("<bdi>Ada &lt;Ltd&gt;</bdi>"), "{viewer}");
    }
}
