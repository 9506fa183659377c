//! Whose pages are shown: those of the visitor's own account, or a customer's, which an operator reads as the customer does.

use domain::id::AccountId;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    pages::Page,
    parts::{
        layout::foreign,
        tabs::{Tab, ways},
    },
};

/// Whose account it is. Every link of a page that both can see is made by [`Self::at`], so that none leads out of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Whose {
    /// The visitor's own.
    #[default]
    Own,
    /// A customer's.
    Customer(Named),
}

/// A customer by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// The account.
    pub(crate) id: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// Its owner's address.
    pub(crate) owner_email: Option<String>,
}

/// A customer's pages, below the one that is the operator's own.
const WAYS: [(&str, &str, &[Page]); 7] = [
    ("", "Customer", &[Page::Customer]),
    ("/usage", "Usage", &[Page::Usage]),
    ("/calls", "Calls", &[Page::Calls, Page::Call]),
    ("/keys", "Keys", &[Page::Keys, Page::Limits]),
    ("/billing", "Billing", &[Page::Billing, Page::Documents, Page::Document, Page::Statement]),
    ("/prices", "Prices", &[Page::OwnPrices]),
    ("/settings", "Settings", &[Page::AccountSettings]),
];

impl Whose {
    /// Where a page of theirs is, by where one's own is: `/usage`, or `/admin/customers/ID/usage`.
    pub(crate) fn at(&self, path: &str) -> String {
        match self {
            Self::Own => path.to_owned(),
            Self::Customer(customer) => address(customer.id, path),
        }
    }

    /// What stands before a page of a customer's: whose it is, that nothing can be changed there, and the way to the others.
    pub(crate) fn banner(&self, page: Page) -> AnyView {
        let Self::Customer(Named { id, name, owner_email }) = self else { return ().into_any() };
        let owner = owner_email.as_deref().map(|email| view! { " ("{foreign(email)}")" });
        view! {
            <aside class="looking" aria-label="Whose page this is">
                <p>
                    <strong>{foreign(name)}</strong>{owner}
                    ", as the customer sees it. Read-only; the "
                    <a href=format!("/admin/audit?object={id}")>"audit log"</a>" says that you looked."
                </p>
                {customer_ways(*id, page)}
            </aside>
        }
        .into_any()
    }
}

/// Where a page of a customer's is, for operators.
fn address(id: AccountId, path: &str) -> String {
    format!("/admin/customers/{id}{path}")
}

/// The ways between a customer's pages.
pub(crate) fn customer_ways(id: AccountId, page: Page) -> AnyView {
    let tab = |(path, label, pages): (&str, &str, &[Page])| Tab {
        label: label.to_owned(),
        href: address(id, path),
        current: pages.contains(&page),
    };
    ways("Pages of this customer", WAYS.into_iter().map(tab).collect())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_page_of_a_customers_is_below_the_customer_and_names_whose_it_is() {
        let id = AccountId::new(DateTime::UNIX_EPOCH, [1; 10]);
        let whose = Whose::Customer(Named { id, name: "A & B".to_owned(), owner_email: Some("ada@example.com".to_owned()) });
        assert_eq!(
            (Whose::Own.at("/usage?range=7d"), whose.at("/usage?range=7d")),
            ("/usage?range=7d".to_owned(), format!("/admin/customers/{id}/usage?range=7d"))
        );
        let html = |whose: &Whose| Owner::new().with(|| whose.banner(Page::Call).to_html()).replace("<!>", "");
        let banner = html(&whose);
        assert!(banner.contains("<bdi>A &amp; B</bdi>") && banner.contains("(<bdi>ada@example.com</bdi>)"), "{banner}");
        let current = format!(r#"<a href="/admin/customers/{id}/calls" aria-current="page">"#);
        assert!(banner.contains(&current) && banner.matches("aria-current").count() == 1, "a receipt is among the calls: {banner}");
        assert!(!html(&Whose::Own).contains("aside"), "nobody is told whose their own page is");
    }
}
