//! Which pages there are, and what an address asks for.

use serde::{Deserialize, Serialize};

/// A page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Page {
    /// No page at all.
    #[default]
    None,
    /// `/usage`
    Usage,
    /// `/calls`
    Calls,
    /// `/calls/:id`
    Call,
    /// `/keys`
    Keys,
    /// `/keys/new`
    NewKey,
    /// `/keys/reports`
    ReportKeys,
    /// `/keys/:id`
    Limits,
    /// `/billing`
    Billing,
    /// `/billing/auto-top-up`
    AutoTopUp,
    /// `/billing/plans`
    Offers,
    /// `/billing/documents`
    Documents,
    /// `/billing/documents/:id`
    Document,
    /// `/billing/statements/:id`
    Statement,
    /// `/billing/details`
    BillingDetails,
    /// `/pricing`
    Pricing,
    /// `/login`
    Login,
    /// `/signup`
    Signup,
    /// `/admin`
    Today,
    /// `/admin/pricing`
    Prices,
    /// `/admin/pricing/import`
    PriceList,
    /// `/admin/pricing/reprice`
    Repricing,
    /// `/admin/plans`
    Plans,
    /// `/admin/plans/:id`
    Plan,
    /// `/admin/payments`
    Payments,
    /// `/admin/codes`
    Codes,
    /// `/admin/customers`
    Customers,
    /// `/admin/customers/new`
    NewCustomer,
    /// `/admin/customers/:id`
    Customer,
    /// `/admin/customers/:id/prices`
    OwnPrices,
    /// `/admin/customers/:id/settings`
    AccountSettings,
    /// `/admin/proof`
    Proof,
    /// `/admin/audit`
    Audit,
}

impl Page {
    /// Its name in the browser's title.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::None => "Not found",
            Self::Usage => "Usage",
            Self::Calls => "Calls",
            Self::Call => "Receipt",
            Self::Keys => "Keys",
            Self::NewKey => "New key",
            Self::ReportKeys => "Report keys",
            Self::Limits => "Limits and settings",
            Self::Billing => "Billing",
            Self::AutoTopUp => "Auto top-up",
            Self::Offers => "Plans and packages",
            Self::Documents => "Documents",
            Self::Document => "Document",
            Self::Statement => "Statement",
            Self::BillingDetails => "Billing details",
            Self::Pricing => "Pricing",
            Self::Login => "Sign in",
            Self::Signup => "Sign up",
            Self::Today => "Today",
            Self::Prices => "Prices",
            Self::PriceList => "Import a price list",
            Self::Repricing => "Charge past calls anew",
            Self::Plans => "Plans",
            Self::Plan => "Plan",
            Self::Payments => "Payments",
            Self::Codes => "Codes",
            Self::Customers => "Customers",
            Self::NewCustomer => "New customer",
            Self::Customer => "Customer",
            Self::OwnPrices => "Own prices",
            Self::AccountSettings => "Account settings",
            Self::Proof => "Proof",
            Self::Audit => "Audit",
        }
    }

    /// Whether it shows an account: the visitor's own, or the one that its address names.
    #[cfg(feature = "ssr")]
    pub(super) const fn is_of_an_account(self) -> bool {
        matches!(
            self,
            Self::Usage
                | Self::Calls
                | Self::Call
                | Self::Keys
                | Self::Limits
                | Self::Billing
                | Self::Documents
                | Self::Document
                | Self::Statement
        )
    }

    /// Whether it may be compressed: whoever asks for it can have no secret in it, neither one that it shows nor one that it takes. A new page is
    /// taken to have one.
    #[cfg(feature = "ssr")]
    pub(super) const fn is_without_secrets(self) -> bool {
        matches!(
            self,
            Self::None
                | Self::Usage
                | Self::Calls
                | Self::Call
                | Self::Keys
                | Self::Limits
                | Self::Billing
                | Self::Offers
                | Self::Documents
                | Self::Document
                | Self::Statement
                | Self::BillingDetails
                | Self::Pricing
                | Self::Today
                | Self::Prices
                | Self::PriceList
                | Self::Repricing
                | Self::Plans
                | Self::Plan
                | Self::Payments
                | Self::Customers
                | Self::Customer
                | Self::OwnPrices
                | Self::AccountSettings
                | Self::Proof
                | Self::Audit
        )
    }
}

/// What an address asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The page.
    pub(crate) page: Page,
    /// The `:account` in its path: the customer's, at whose pages an operator looks. Empty for one's own.
    pub(crate) account: String,
    /// The `:id` in its path.
    pub(crate) id: String,
    /// Its query string.
    pub(crate) query: String,
}
